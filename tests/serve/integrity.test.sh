#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An attacker who may write to the pool under a running server, as root through /proc/PID/fd and on
# the device: with integrity he gets errors for the blocks he touched and nothing else; without it,
# which shows that each attack is one, clients are given what nobody wrote.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if ! is_root; then
    skip "a pool that is tampered with" "needs root to reach the pool's file"
    exit 0
fi

LINE='xvdc: block'

# What a client is answered: fine, refused, wrong, or qemu-io's words.
answer() { # COMMAND...
    local args=() c said
    for c; do args+=(-c "$c"); done
    said=$(qemu-io -f raw "${args[@]}" "$(uri xvdc)" 2>&1) || true
    case $said in
        *"Input/output error"*) echo refused ;;
        *"verification failed"*) echo wrong ;;
        *rror* | *ailed*) echo "$said" ;;
        *) echo fine ;;
    esac
}

block_is() { # BLOCK ANSWER: blocks are filled with their own number and 100
    local got
    got=$(answer "read -P $(($1 + 100)) $(($1 * 4))K 4K")
    [ "$got" = "$2" ] || { echo "block $1: $got, not $2"; return 1; }
}

others_are_fine() { # but BLOCK...
    local b
    for b in {0..9}; do
        case " $* " in *" $b "*) ;; *) block_is "$b" fine ;; esac
    done
}

# With integrity `refused`, without `wrong`; that is $BAD.
begin() { # on|off|default
    case $1 in default) set -- ;; *) set -- --integrity "$1" ;; esac
    serve --volume xvdc=blank:64M "$@"
    FILE=${DEVICE_FILE:-$(pool_file)} BAD=refused
    [ "${2:-on}" = on ] || BAD=wrong
    for b in {0..9}; do put_block "$b"; done
}

# AT[BLOCK]: where in the pool a block lies that was just written: what has changed there.
declare -a AT
put_block() { # BLOCK
    cp "$FILE" "$WORK/before"
    qio xvdc "write -P $(($1 + 100)) $(($1 * 4))K 4K"
    local first
    first=$(cmp -l "$WORK/before" "$FILE" 2>/dev/null | awk 'NR == 1 { print $1 }')
    if [ -z "$first" ]; then # behind the old end
        first=$(($(stat -c %s "$WORK/before") + 1))
    fi
    AT[$1]=$(((first - 1) / 4096))
}

keep() { # PLACE FILE
    dd "if=$FILE" "of=$2" bs=4096 "skip=$1" count=1 status=none
}

plant() { # FILE PLACE
    dd "if=$1" "of=$FILE" bs=4096 "seek=$2" count=1 conv=notrunc,fsync status=none
}

flip() { # PLACE BYTE
    keep "$1" "$WORK/one"
    python3 - "$WORK/one" "$2" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    was = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([was ^ 1]))
PY
    plant "$WORK/one" "$1"
}

# So many lines for the block, where there is integrity; else none at all.
told() { # BLOCK COUNT
    if [ "$BAD" = refused ]; then
        says "$LINE $1: " "$2"
    else
        absent "$LINE" "$ERR"
    fi
}

flipped() { # on|off|default
    begin "$1"
    others_are_fine
    flip "${AT[4]}" 1234
    block_is 4 "$BAD"
    told 4 1
    others_are_fine 4
    flip "${AT[4]}" 1234
    others_are_fine
    serve_end
}

swapped() {
    begin "$1"
    keep "${AT[2]}" "$WORK/two"
    keep "${AT[7]}" "$WORK/seven"
    plant "$WORK/two" "${AT[7]}"
    plant "$WORK/seven" "${AT[2]}"
    block_is 2 "$BAD"
    block_is 7 "$BAD"
    others_are_fine 2 7
    told 2 1
    told 7 1
    serve_end
}

zeroed() {
    begin "$1"
    head -c 4096 /dev/zero >"$WORK/zero"
    plant "$WORK/zero" "${AT[0]}"
    block_is 0 "$BAD"
    told 0 1
    others_are_fine 0
    serve_end
}

# The whole pool goes back to what it was, where the same block has lain in the same places before.
rolled_back() {
    local i args=() back
    begin "$1"
    for ((i = 0; i < 3000; i++)); do args+=(-c "write -q -P $((i % 100)) 12K 4K"); done
    qemu-io -f raw "${args[@]}" "$(uri xvdc)"
    cp "$FILE" "$WORK/back"
    put_block 3
    others_are_fine
    # An earlier ciphertext lies there, not nothing.
    back=$(dd "if=$WORK/back" bs=4096 "skip=${AT[3]}" count=1 status=none | tr -d '\0' | wc -c)
    [ "$back" -gt 3900 ]
    dd "if=$WORK/back" "of=$FILE" bs=1M conv=notrunc,fsync status=none
    block_is 3 "$BAD"
    told 3 1
    others_are_fine 3
    serve_end
}

# Cut off behind a block: that is an error in any case.  Grown again it is zeroes.
cut_off() {
    local size
    begin "$1"
    [ "${AT[5]}" -gt "${AT[4]}" ]
    size=$(stat -Lc %s "$FILE")
    truncate -s $(((AT[4] + 1) * 4096)) "$FILE"
    block_is 5 refused
    block_is 4 fine
    [ "$BAD" = wrong ] || says "$LINE 5: the pool ends" 1
    truncate -s "$size" "$FILE"
    block_is 5 "$BAD"
    block_is 9 "$BAD"
    block_is 4 fine
    qio xvdc "write -P 105 20K 4K"
    block_is 5 fine
    serve_end
}

# A part of a bad block is not written; the whole is, and a discard helps too.
mended() {
    begin "$1"
    flip "${AT[1]}" 0
    flip "${AT[8]}" 4095
    if [ "$1" = off ]; then
        # What this is about: garbage passes for data.
        [ "$(answer 'write -P 1 4K 512')" = fine ]
        block_is 1 wrong
        serve_end
        return
    fi
    [ "$(answer 'write -P 1 4K 512')" = refused ]
    [ "$(answer 'write -P 1 32256 1K')" = refused ]
    block_is 1 refused
    block_is 8 refused
    others_are_fine 1 8
    qio xvdc "write -P 101 4K 4K" "discard 32K 4K"
    block_is 1 fine
    [ "$(answer 'read -P 0 32K 4K')" = fine ]
    qio xvdc "write -P 108 32K 4K"
    others_are_fine
    qio xvdc "write -P 101 4608 1K"
    told 1 1
    told 8 1
    others_are_fine
    serve_end
}

# Many at once, some of them bad: whoever does not touch those notices nothing.
under_load() {
    begin on
    flip "${AT[6]}" 99
    verified xvdc 16m --offset=1m
    block_is 6 refused
    others_are_fine 6
    serve_end
}

on_a_device() {
    truncate -s 64M "$WORK/disk"
    DEVICE=$(losetup -f --show "$WORK/disk")
    echo "losetup -d '$DEVICE'" >>"$WORK/undo"
    DEVICE_FILE=$WORK/disk PLACE=block:$DEVICE
    "$@"
}

undo_devices() { # of cases, which are subshells
    # shellcheck source=/dev/null
    . "$WORK/undo"
    : >"$WORK/undo"
}

try "a bit is changed: noticed by default" flipped default
for how in on off; do
    try "a bit is changed, integrity $how" flipped "$how"
    try "two blocks change places, integrity $how" swapped "$how"
    try "a block is zeroed, integrity $how" zeroed "$how"
    try "the pool goes back to an earlier state, integrity $how" rolled_back "$how"
    try "the pool is cut off, integrity $how" cut_off "$how"
    try "a bad block is not written in part, integrity $how" mended "$how"
done
try "a bad block under load" under_load
UNDO+=(undo_devices)
: >"$WORK/undo"
if losetup -f >/dev/null 2>&1; then
    for how in on off; do
        try "on a device: a bit is changed, integrity $how" on_a_device flipped "$how"
        try "on a device: it goes back, integrity $how" on_a_device rolled_back "$how"
        undo_devices
    done
else
    skip "on a device" "no loop devices here"
fi
