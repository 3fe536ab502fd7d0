#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each attack on a guest's pool, on one block of which it is known where it lies: root changes the file by
# way of the worker's descriptor. The guest with integrity is answered with an error for that block, which
# is one line in the log, and finds all others whole; the guest without is given what it never wrote, so
# each attack is one.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

BLOCKS="0 1 2 3 4 5 6 7 8 9"

# The guest whose turn it is: 1 with integrity, 2 without. What it gets from a bad block.
turn() {
    guest=$1
    case $guest in 1) BAD=refused ;; *) BAD=wrong ;; esac
}

front_says() {
    sim_front "$guest" "$@"
}

at() { # BLOCK: its place, as page of the file
    cat "$DISK/at.$guest.$1"
}

# Writes a block and notes where that went: what has changed in the file.
put() { # BLOCK
    cp "$file" "$DISK/before" && front_says pattern $(($1 * 4096)) 4096 $(($1 + 100)) || return 1
    put_first=$(cmp -l "$DISK/before" "$file" 2>/dev/null | awk 'NR == 1 { print $1 }')
    [ -n "$put_first" ] || put_first=$(($(stat -c %s "$DISK/before") + 1)) # behind the old end
    echo $(((put_first - 1) / 4096)) >"$DISK/at.$guest.$1"
}

put_all() {
    for put_block in $BLOCKS; do put "$put_block" || return 1; done
}

keep() { # BLOCK NAME
    dd "if=$file" "of=$DISK/kept.$2" bs=4096 "skip=$(at "$1")" count=1 status=none
}

plant() { # NAME BLOCK
    dd "if=$DISK/kept.$1" "of=$file" bs=4096 "seek=$(at "$2")" count=1 conv=notrunc,fsync status=none
}

block_is() { # BLOCK fine|refused|wrong
    case $2 in
    fine) front_says check $(($1 * 4096)) 4096 $(($1 + 100)) ;;
    refused) front_says expect-error readsha $(($1 * 4096)) 4096 ;;
    wrong) front_says readsha $(($1 * 4096)) 4096 && not block_is "$1" fine ;;
    esac
}

others_are_fine() { # but BLOCK...
    others_but=" $* "
    set --
    for other in $BLOCKS; do
        case $others_but in
        *" $other "*) ;;
        *) set -- "$@" check "$((other * 4096))" 4096 "$((other + 100))" ;;
        esac
    done
    front_says "$@"
}

# Lines of the guest's disk since the attack began: one for each of $@, blocks that had not been told before;
# none without integrity.
told() {
    log_since "$attacked" | grep 'guest [0-9]*: xvda: block' >"$SIM/told"
    cat "$SIM/told"
    if [ "$BAD" = wrong ]; then
        [ ! -s "$SIM/told" ]
        return
    fi
    [ "$(wc -l <"$SIM/told")" = $# ] || return 1
    for told_block; do
        [ "$(grep -c "^<[0-4]>.*guest $guest: xvda: block $told_block: " "$SIM/told")" = 1 ] || return 1
    done
}

guest_up() {
    turn "$1" && sim_domain "$1" "$2" && disk "$1" 51712 blank:64M && file=$(pool_fd_of "$guest") && put_all &&
        others_are_fine
}

# Lines of a pool's are one a second at most, but for the first five.
begin() {
    turn "$1" && file=$(pool_fd_of "$guest") && { [ "$BAD" = wrong ] || sleep 2; } && attacked=$(log_end)
}

flipped() {
    begin "$1" && keep 4 is && cp "$DISK/kept.is" "$DISK/kept.flipped" || return 1
    python3 - "$DISK/kept.flipped" <<'PY' || return 1
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(1234)
    was = f.read(1)[0]
    f.seek(1234)
    f.write(bytes([was ^ 1]))
PY
    plant flipped 4 && block_is 4 $BAD && others_are_fine 4 && told 4 && plant is 4 && others_are_fine
}

swapped() {
    begin "$1" && keep 2 two && keep 7 seven && plant two 7 && plant seven 2 && block_is 2 $BAD &&
        block_is 7 $BAD && others_are_fine 2 7 && told 2 7 && plant two 2 && plant seven 7 &&
        others_are_fine
}

zeroed() {
    begin "$1" && keep 0 is && head -c 4096 /dev/zero >"$DISK/kept.zero" && plant zero 0 &&
        block_is 0 $BAD && others_are_fine 0 && told 0 && plant is 0 && others_are_fine
}

# Behind the place of block 4. That is an error for everybody; grown again it is zeroes.
cut_off() {
    begin "$1" && [ "$(at 5)" -gt "$(at 4)" ] && cut_size=$(stat -Lc %s "$file") || return 1
    cp "$file" "$DISK/whole"
    truncate -s $((($(at 4) + 1) * 4096)) "$file"
    block_is 5 refused && told 5 || return 1
    [ "$BAD" = wrong ] || grep -q 'block 5: the pool ends before it' "$SIM/told" || return 1
    block_is 4 fine && attacked=$(log_end) && truncate -s "$cut_size" "$file" && block_is 5 $BAD &&
        block_is 9 $BAD && told 9 && others_are_fine 5 6 7 8 9 || return 1
    for cut_block in 5 6 7 8 9; do put $cut_block || return 1; done
    others_are_fine
}

# What the same place had for the same block, a generation before or more.
replayed() {
    begin "$1" && yes pattern 12288 4096 77 | head -n 3000 | front_says >/dev/null &&
        cp "$file" "$DISK/back" && put 3 && others_are_fine || return 1
    dd "if=$DISK/back" "of=$DISK/kept.back" bs=4096 "skip=$(at 3)" count=1 status=none
    # An earlier ciphertext, not nothing, and not this one.
    [ "$(tr -d '\0' <"$DISK/kept.back" | wc -c)" -gt 3900 ] && keep 3 is &&
        not cmp -s "$DISK/kept.back" "$DISK/kept.is" && plant back 3 && block_is 3 $BAD &&
        others_are_fine 3 && told 3 && plant is 3 && others_are_fine
}

# The whole file, as somebody does who has a snapshot of the pool.
rolled_back() {
    begin "$1" && cp "$file" "$DISK/back" && put 6 && put 8 && others_are_fine &&
        dd "if=$DISK/back" "of=$file" bs=1M conv=notrunc,fsync status=none && block_is 6 $BAD &&
        block_is 8 $BAD && others_are_fine 6 8 && told 6 8 && put 6 && put 8 && others_are_fine
}

# Status counts what was refused: 1 bit, 2 places, 1 of zeroes, 3 cut off, 1 and 2 earlier ones.
counted() {
    for counted_guest in 1 2; do
        counted_now=$("$B/ephemctl" status $counted_guest --json | jq '.guests[0].tampered')
        echo "guest $counted_guest: $counted_now"
        [ "$counted_now" = $(((2 - counted_guest) * 10)) ] || return 1
    done
}

# shellcheck disable=SC2119 # no options
case_begin
mkdir -p "$DISK/etc/domains" && printf '[pool]\nintegrity=off\n' >"$DISK/etc/domains/plain.conf"
check "a guest with integrity" guest_up 1 sealed
check "a guest without" guest_up 2 plain
for n in 1 2; do
    how=with
    [ $n = 1 ] || how=without
    check "a bit is changed, $how" flipped $n
    check "two blocks change places, $how" swapped $n
    check "a block is zeroed, $how" zeroed $n
    check "the pool is cut off, $how" cut_off $n
    check "an earlier block comes back, $how" replayed $n
    check "the whole pool goes back, $how" rolled_back $n
done
check "status has counted them" counted
case_end
