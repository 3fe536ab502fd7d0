#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every kind of pool under guests with rings: memory, memory in front of a directory, a device of a
# guest's own, a device shared by two; a quota that holds one guest and not its neighbour; a rate
# limit. What a guest wrote is read back by the front itself; what a device holds is looked up in the
# loop device's backing file.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=1048576
IMAGE='' LOOP=''

# rules FILE LINE...: the daemon's configuration for guests that start from now on.
rules() {
    rules_file=$DISK/etc/$1
    shift
    mkdir -p "$DISK/etc/domains" && printf '%s\n' "$@" >"$rules_file"
}

no_rules() {
    rm -rf "${DISK:?}/etc"
}

guest_up() {
    sim_domain "$1" && disk "$1" 51712 "${2:-blank:64M}"
}

status() {
    "$B/ephemctl" status "$1" --json | jq -r ".guests[0] | $2"
}

is() {
    is_now=$(status "$1" "$2")
    [ "$is_now" = "$3" ] || { echo "$2 of guest $1 is $is_now, not $3"; return 1; }
}

in_kib() {
    du -B 1024 "$IMAGE" | cut -f1
}

emptied() {
    [ "$(in_kib)" -le 64 ]
}

memory_only() {
    rules blkback-ephem.conf "[pool]" "pool=ram:64M" && guest_up 1 &&
        sim_front 1 pattern 0 $((16 * MIB)) 7 check 0 $((16 * MIB)) 7 verify 200 &&
        is 1 .pool ram:64M && [ "$(status 1 .ram_bytes)" -ge $((16 * MIB)) ] &&
        is 1 .pool_writes 0 && nobody_holds "$DISK/pool" && sim_destroy 1
}

compressed() {
    rules blkback-ephem.conf "[pool]" "pool=ram:64M,lz4" && guest_up 1 &&
        sim_front 1 pattern 0 $((8 * MIB)) 7 verify 400 && is 1 .pool ram:64M,lz4 &&
        [ "$(status 1 .ram_bytes)" -gt 0 ] && sim_destroy 1
}

in_front() {
    rules blkback-ephem.conf "[pool]" "ram-budget=16M" && guest_up 1 blank:128M &&
        sim_front 1 pattern 0 $((4 * MIB)) 3 check 0 $((4 * MIB)) 3 && is 1 .pool_writes 0 &&
        is 1 .pool_bytes 0 && is 1 .ram_budget $((16 * MIB)) &&
        sim_front 1 check 0 $((4 * MIB)) 3 pattern $((8 * MIB)) $((64 * MIB)) 4 \
            check $((8 * MIB)) $((64 * MIB)) 4 check 0 $((4 * MIB)) 3 verify 200 || return 1
    [ "$(status 1 .pool_writes)" -gt 4 ] && [ "$(status 1 .ram_bytes)" -le $((16 * MIB)) ] &&
        [ "$(status 1 '.pool_write_blocks / .pool_writes | floor')" -ge 256 ] && sim_destroy 1
}

own_device() {
    rules blkback-ephem.conf "[pool]" "pool=block:$LOOP" && guest_up 1 &&
        sim_front 1 pattern 0 $((16 * MIB)) 7 check 0 $((16 * MIB)) 7 discard 0 $((8 * MIB)) \
            checkzero 0 $((8 * MIB)) check $((8 * MIB)) $((8 * MIB)) 7 verify 100 &&
        [ "$(in_kib)" -ge 8192 ] && sim_destroy 1 && sim_until 20 emptied
}

own_device_killed() {
    guest_up 1 && sim_front 1 pattern 0 $((16 * MIB)) 7 && [ "$(in_kib)" -ge 16384 ] || return 1
    pools_worker=$(worker_of 1)
    kill -9 "$pools_worker" && sim_until 10 gone "$pools_worker" && sim_destroy 1 &&
        sim_until 20 emptied
}

# Two guests write all over one device at once; each finds its own.
shared_device() {
    rules blkback-ephem.conf "[pool]" "pool=block:$LOOP,shared" && guest_up 1 && guest_up 2 || return 1
    front_beside 1 51712 pattern 0 $((24 * MIB)) 11 check 0 $((24 * MIB)) 11 verify 300
    front_beside 2 51712 pattern 0 $((24 * MIB)) 12 check 0 $((24 * MIB)) 12 verify 300
    front_ended 1.51712 && front_ended 2.51712 &&
        sim_front 1 pattern 0 $((8 * MIB)) 21 && sim_front 2 pattern 0 $((8 * MIB)) 22 &&
        sim_front 1 check 0 $((8 * MIB)) 21 && sim_front 2 check 0 $((8 * MIB)) 22 || return 1
    pools_worker=$(worker_of 1)
    kill -9 "$pools_worker" && sim_until 10 gone "$pools_worker" && sim_destroy 1 &&
        sim_front 2 check 0 $((8 * MIB)) 22 verify 100 && sim_destroy 2 && sim_until 20 emptied
}

# More than the device has: held, until the neighbour goes.
shared_full() {
    guest_up 1 blank:1G && guest_up 2 && sim_front 2 pattern 0 $((40 * MIB)) 5 || return 1
    front_beside 1 51712 pattern 0 $((224 * MIB)) 6 check 0 $((224 * MIB)) 6
    sim_until 60 is_held 1 && sim_front 2 check 0 $((40 * MIB)) 5 && is_held 1 && sim_destroy 2 &&
        front_ended 1.51712 && is 1 .held 0 && sim_destroy 1
}

is_held() {
    [ "$(status "$1" .held)" -gt 0 ] && [ "$(status "$1" .held_since)" -gt 0 ]
}

# One guest's quota is used up: it waits; its neighbour on the same pool does not. Room comes from a
# discard of its own. Its end is not delayed by what is held.
quota() {
    rules domains/guest1.conf "[pool]" "quota=32M" "low-water=8M" && guest_up 1 && guest_up 2 || return 1
    pools_log=$(log_end)
    front_beside 1 51712 pattern 0 $((48 * MIB)) 5
    sim_until 60 is_held 1 && sim_front 2 pattern 0 $((48 * MIB)) 6 check 0 $((48 * MIB)) 6 &&
        is 2 .held 0 && is_held 1 && [ "$(status 1 .pool_bytes)" -le $((32 * MIB)) ] &&
        sim_until 10 low_water 1 || return 1
    log_since "$pools_log" | grep -q "the pool is full: its quota is used up" || return 1
    [ "$(log_since "$pools_log" | grep -c 'the pool is full')" = 1 ] || return 1
    pools_worker=$(worker_of 1)
    sim_destroy 1 && gone "$pools_worker" && sim_end KILL front.1.51712 && sim_destroy 2
}

low_water() {
    [ "$(status "$1" .low_since)" -gt 0 ]
}

# So many requests take so long.
slow() {
    no_rules && rules blkback-ephem.conf "[limits]" "iops=200" && guest_up 1 || return 1
    pools_began=$(date +%s%N)
    sim_front 1 verify 500 || return 1
    pools_took=$((($(date +%s%N) - pools_began) / 1000000))
    pools_asked=$(status 1 '.volumes[0] | .reads + .writes')
    echo "$pools_asked requests in $pools_took ms, $(status 1 .throttled) waits"
    [ "$pools_took" -ge $(((pools_asked - 40) * 1000 / 200)) ] && [ "$(status 1 .throttled)" -gt 0 ] &&
        sim_destroy 1
}

# shellcheck disable=SC2119 # no options
case_begin
check "memory" memory_only
check "memory, compressed" compressed
no_rules
check "memory in front of a directory" in_front
no_rules
check "a quota holds its own guest, says so once, and delays no end" quota
check "a rate limit" slow
no_rules

IMAGE=$DISK/image
truncate -s 256M "$IMAGE"
if LOOP=$(losetup -f --show "$IMAGE" 2>/dev/null); then
    trap 'losetup -d "$LOOP"; case_clean' EXIT
    check "a device of its own" own_device
    check "a device whose worker was killed" own_device_killed
    check "a device shared by two" shared_device
    check "a shared device that is full" shared_full
    all_destroyed
    sim_until 20 no_workers
    losetup -d "$LOOP"
    trap 'case_clean' EXIT
else
    skip "devices as pools" "no loop device here"
fi
no_rules
case_end
