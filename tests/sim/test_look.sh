#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/bed/look.sh with a small machine that runs nothing: what lies in its memory and on its disks is found
# by way of QEMU's monitor, the answer is where dom0 reads it, and after a power cut it starts anew.
# shellcheck disable=SC2034 # what look.sh takes from bed.sh
set -u

bed=$(dirname "$(readlink -f "$0")")/../bed
BUILD=$B
CASES=forensics
memory_size=64
run=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill "$qemu"; rm -rf "$run"' EXIT

say() { echo "# $*"; }
fail() { echo "# FAIL $*"; }
# shellcheck source=tests/bed/look.sh
. "$bed/look.sh"

VERDICT=$run/last
# shellcheck source=tests/sim/verdict.sh
. "$(dirname "$0")/verdict.sh"

if ! command -v qemu-system-x86_64 >/dev/null; then
    skip look "qemu-system-x86_64 is not there"
    echo "0 passed, 0 failed"
    exit 0
fi

# Its processor never starts (-S), unless it is told to; what is loaded is in memory all the same
power_on() {
    local machine=()
    open_memory
    timeout 120 qemu-system-x86_64 -accel tcg -S -m "$memory_size" -nographic -nodefaults -serial none "${machine[@]}" \
        -monitor "unix:$run/monitor,server=on,wait=off" \
        -device "loader,file=$run/planted,addr=0x2000123,force-raw=on" </dev/null >"$run/qemu.log" 2>&1 &
    qemu=$!
    for _ in $(seq 100); do
        [ ! -S "$run/monitor" ] || return 0
        sleep 0.1
    done
    return 1
}

seed=look-$RANDOM-$RANDOM
text=$(printf %s "$seed" | sha256sum | cut -c1-64)
key=$(head -c 96 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
masked=$(perl -e 'my @k = unpack("C*", pack("H*", shift));
    printf "%02x", $k[$_] ^ 0xa5 ^ (($_ * 37 + 11) & 255) for 0 .. 95' "$key")
{ printf %s "$text"; perl -e 'print pack("H*", shift)' "$key"; } >"$run/planted"
for disk in dom0 bed logs; do truncate -s 256M "$run/$disk.img"; done
printf %s "$text" | dd of="$run/bed.img" bs=1 seek=100000000 conv=notrunc status=none
mkdir "$run/looks"
: >"$run/known"
answered() { tail -c 1M "$run/logs.img" | tr -d '\0' >"$run/answer" && grep -qx "end $1" "$run/answer"; }
has() { grep -qx "$1" "$run/answer" || { cat "$run/answer"; return 1; }; }
line() { look_line "BED: $1" >"$run/said" 2>&1; }

check on power_on
check takes-a-key line "key two $masked"
check takes-a-marker line "marker one $seed"
check leaves-other-lines eval '! line "case forensics"'
check look line 'look memory first'
check answered answered first
check marker-in-memory has 'sum marker one 1'
check key-in-memory has 'sum key two 3'
check where has "hit marker one $(machine_memory) $((0x2000123)) 64"
check all-memory [ "$(stat -L -c %s "$(machine_memory)")" = $((memory_size << 20)) ]
# What the machine itself sees of it from 1 MiB on; below, firmware and the screen lie over it. It runs since the look.
as_dumped() {
    monitor stop && monitor "pmemsave 0 $((memory_size << 20)) \"$run/memory\"" &&
        cmp -i 1M "$run/memory" "$(machine_memory)" && monitor cont
}
check is-what-a-dump-has as_dumped
no_copy() { [ -z "$(find "$run" -size +16M ! -name '*.img')" ]; }
rm "$run/memory"
check leaves-no-copy no_copy
check look-at-disks line 'look disks second'
check disks-answered answered second
check marker-on-disk has 'sum marker one 1'
check no-key-on-disk has 'sum key two 0'
before=$qemu
child=$(pgrep -P "$qemu")
: >"$run/planted"
printf none >"$run/planted"
dom0_words=init_on_free=1
check cut line 'cut third some words'
check cut-answered answered third
check another-machine [ "$qemu" != "$before" ]
check killed [ ! -e "/proc/$child" ]
check words [ "$dom0_words" = 'some words' ]
check look-again line 'look memory fourth'
check answered-again answered fourth
check memory-is-empty has 'sum marker one 0'
dead_monitor() {
    ! "$bed/monitor.pl" "$run/monitor" 'no-such-command' && ! "$bed/monitor.pl" "$run/none" cont
}
check monitor-fails-aloud dead_monitor
machine_memory() { :; }
check no-memory line 'look memory fifth'
check said grep -q 'memscan: ' "$run/said"
check no-memory-answered answered fifth
check no-memory-is-no-success has failed

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
