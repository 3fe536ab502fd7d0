#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Bases that grow while they are served: what NBD clients see, and what does not count as growth.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

MIB=1048576
BASE=$WORK/base
head -c $((4 * MIB + 512)) /dev/urandom >"$BASE"
cp "$BASE" "$WORK/other"
cp "$BASE" "$WORK/shrinks"
cp "$BASE" "$WORK/written"
serve --volume "xvda=cow:$BASE" --volume "xvdb=cow:$BASE,size=8M" --volume "xvdc=cow:$WORK/other" \
    --volume "xvdd=cow:$WORK/shrinks" --volume "xvde=cow:$WORK/written"

size_is() { # NAME BYTES
    [ "$(nbdinfo --size "$(uri "$1")")" = "$2" ]
}

soon() { # COMMAND...: within 10 s
    local i
    for ((i = 0; i < 100; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "still not: $*"
    return 1
}

append() { # FILE BYTES
    head -c "$2" /dev/urandom >>"$1"
}

# The last block was written before: behind the old end stands the base's, not zeros.
grows() {
    qio xvda "write -P 0x5a $((4 * MIB)) 512"
    append "$BASE" $((2 * MIB))
    soon size_is xvda $((6 * MIB + 512))
    qemu-img dd -f raw -O raw bs=512 skip=$((4 * MIB / 512 + 1)) "if=$(uri xvda)" "of=$WORK/out"
    tail -c $((2 * MIB)) "$BASE" | cmp - "$WORK/out"
    qio xvda "read -P 0x5a $((4 * MIB)) 512" "write -P 0x5b $((5 * MIB)) $((MIB + 512))" \
        "read -P 0x5b $((5 * MIB)) $((MIB + 512))"
}

# A client that was there before may use what it knows to be there now.
stays_connected() {
    mkfifo "$WORK/pipe"
    qemu-io -f raw "$(uri xvdc)" <"$WORK/pipe" >"$WORK/qio" 2>&1 &
    local client=$!
    exec 7>"$WORK/pipe"
    echo "write -P 0x11 0 4096" >&7
    append "$WORK/other" $((2 * MIB))
    soon size_is xvdc $((6 * MIB + 512))
    echo "read -P 0x11 0 4096" >&7
    exec 7>&-
    wait $client
    absent -iE 'verification failed|error|failed' "$WORK/qio"
}

sized() {
    size_is xvdb $((8 * MIB))
    qio xvdb "read -P 0 $((4 * MIB + 512)) 1M"
}

told() { # NAME
    grep "$1: its base was changed while in use.*truncate or lvextend" "$ERR"
}

unreadable() { # NAME
    if qio "$1" "read 0 4096"; then return 1; fi
}

shrunk() {
    truncate -s 4M "$WORK/shrinks"
    soon told xvdd
    unreadable xvdd
    size_is xvdd $((4 * MIB + 512))
}

# Larger, but somebody is writing it.
open_for_writing() {
    exec 9>>"$WORK/written"
    append "$WORK/written" $MIB
    soon told xvde
    exec 9>&-
    unreadable xvde
    size_is xvde $((4 * MIB + 512))
}

try "a volume grows with its base" grows
try "a client that was there before is served on" stays_connected
try "a volume with a size of its own does not" sized
try "a base that shrinks fails" shrunk
try "a base that grows while it is open for writing fails" open_for_writing
try "SIGTERM ends it, nothing is left" serve_end
