#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Block devices as pools: the daemon on a loop device of 16 extents, with a worker that serves nobody
# but asks, returns, lies and dies as told (fakeworker.c). It fills what it is given and looks for
# what others left there, so that a discard that came too late or not at all is seen.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

extents=16
mib=1048576

# The daemon with a pool: block:... without its device.
# Flags stand behind the device in --pool, but quota=SIZE, which is the configuration's.
serve() {
    serve_flags=${1%,quota=*}
    mkdir -p "$DISK/etc"
    : >"$DISK/etc/blkback-ephem.conf"
    if [ "$serve_flags" != "$1" ]; then
        printf '[pool]\nquota = %s\n' "${1##*=}" >"$DISK/etc/blkback-ephem.conf"
    fi
    shift
    daemon_start --pool "block:$LOOP$serve_flags" --worker "$B/tests/fakeworker" "$@"
}

up() {
    sim_domain "$1" && disk "$1" 51712 blank:8M
}

# A line for the worker of a guest.
tell() {
    tell_pid=$(worker_of "$1")
    shift
    [ -n "$tell_pid" ] && echo "$*" >"$EPHEM_FAKE_DIR/$tell_pid.in"
}

held_by() {
    cat "$EPHEM_FAKE_DIR/$(worker_of "$1").held"
}

holds() {
    [ "$(held_by "$1" | wc -l)" = "$2" ]
}

holds_more() {
    [ "$(held_by "$1" | wc -l)" -gt "$2" ]
}

asked_in_vain() {
    test -e "$EPHEM_FAKE_DIR/$(worker_of "$1").none"
}

# A figure of the device, in extents (4 MiB).
pool_of() {
    listed ".daemon.pools[0].$1 / 4194304"
}

pool_is() {
    [ "$(pool_of "$1")" = "$2" ] || { echo "$1 is $(pool_of "$1"), not $2"; return 1; }
}

# What the backing file has, in extents.
filled() {
    filled_now=$(($(du -B $mib "$IMAGE" | cut -f1) / 4))
    [ "$filled_now" = "$1" ] || { echo "$filled_now extents are on disk, not $1"; return 1; }
}

# What an extent reads, on the backing file itself.
reads_zero() {
    cmp -n 4194304 -i $(($1 * 4194304)):0 "$IMAGE" /dev/zero
}

all_clean() {
    [ -z "$(ls "$EPHEM_FAKE_DIR"/*.unclean 2>/dev/null)" ]
}

# Nobody holds what another holds; of the guests named.
disjoint() {
    for disjoint_guest in "$@"; do
        held_by "$disjoint_guest"
    done | sort -n | uniq -d >"$SIM/twice"
    cat "$SIM/twice"
    [ ! -s "$SIM/twice" ]
}

no_records() {
    [ -z "$(ls "$SIM"/run/workers/*.pool 2>/dev/null)" ]
}

logged_since() {
    [ "$(log_since "$1" | grep -c "$2")" = "$3" ] || { log_since "$1" | tail -n 20; return 1; }
}

first_use() {
    daemon_left || return 1
    head -c $((extents * 4 * mib)) /dev/urandom | dd of="$LOOP" bs=4M oflag=direct status=none
    serve ,shared && filled $extents && up 1 && sim_until 10 pool_is free $extents && filled 0 &&
        tell 1 want 3 && sim_until 10 holds 1 3 && filled 3 && pool_is held 3 && all_clean &&
        [ "$(listed '.daemon.pools[0].spec')" = "block:$LOOP,shared" ] &&
        [ "$(listed '.daemon.pools[0].lives[0] | "\(.domid) \(.held / 4194304)"')" = "1 3" ]
}

two_guests() {
    up 2 && tell 2 want 8 && sim_until 10 holds 2 8 && tell 1 want 20 && sim_until 10 holds 1 8 &&
        disjoint 1 2 && pool_is free 0 && filled $extents
}

returned() {
    tell 2 want 3 && sim_until 10 asked_in_vain 2 && holds 2 8 || return 1
    returned_extent=$(held_by 1 | head -n 1)
    tell 1 back 2 && sim_until 10 holds 2 10 && holds 1 6 && disjoint 1 2 && all_clean &&
        held_by 2 | grep -qx "$returned_extent" || return 1
    # Nobody waits now: what comes back is discarded and stays free.
    returned_extent=$(held_by 2 | head -n 1)
    tell 2 back 3 && sim_until 10 pool_is free 3 && filled 13 && reads_zero "$returned_extent"
}

killed() {
    up 3 && tell 3 want 8 && sim_until 10 holds 3 3 && tell 3 want 6 &&
        sim_until 10 asked_in_vain 3 || return 1
    kill -9 "$(worker_of 1)"
    # Six come back, discarded, to who waits, run by run; who wants more asks again.
    sim_until 10 holds_more 3 3 && sim_until 10 pool_is dirty 0 && tell 3 want 6 &&
        sim_until 10 holds 3 9 && disjoint 2 3 && all_clean && pool_is held $extents || return 1
    kill -9 "$(worker_of 3)"
    sim_until 10 pool_is free 9 && filled 7 && sim_destroy 1 && sim_destroy 3 &&
        [ "$(listed '.daemon.pools[0].lives | length')" = 1 ]
}

foreign() {
    up 1 && tell 1 want 2 && sim_until 10 holds 1 2 || return 1
    foreign_log=$(log_end) foreign_worker=$(worker_of 2)
    tell 2 foreign "$(held_by 1 | head -n 1)"
    sim_until 10 gone "$foreign_worker" && sim_until 10 pool_is free 14 && holds 1 2 &&
        logged_since "$foreign_log" "$foreign_worker returns extents .* not its own" 1 &&
        filled 2 && sim_destroy 2
}

# Questions of ours are answered before a worker has the next of its own.
unanswered() {
    tell 1 want 14 && sim_until 10 holds 1 16 && up 2 || return 1
    unanswered_log=$(log_end) unanswered_worker=$(worker_of 2)
    tell 2 mute 1
    tell 2 want 1
    sim_until 10 asked_in_vain 2 && tell 1 back 1 && sim_until 10 holds 2 1 || return 1
    tell 2 owe
    tell 2 want 1
    sim_until 10 gone "$unanswered_worker" &&
        logged_since "$unanswered_log" "asks for extents of the pool without end" 1 &&
        sim_destroy 2
}

quit() {
    sim_destroy 1 && sim_until 10 pool_is free $extents && filled 0 && sim_until 5 no_records
}

quota() {
    daemon_left && serve ,shared,quota=16M && up 1 && up 2 && tell 1 want 9 &&
        sim_until 10 holds 1 4 && tell 1 want 1 && sim_until 10 asked_in_vain 1 &&
        tell 2 want 3 && sim_until 10 holds 2 3 && holds 1 4 && disjoint 1 2
}

# The daemon dies; one worker ends meanwhile, one lives on with what it has.
take_over() {
    take_over_worker=$(worker_of 1)
    take_over_gone=$(worker_of 2)
    sim_kill daemon
    kill -9 "$take_over_gone"
    # Nobody else may claim the device meanwhile.
    python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)' "$LOOP" 2>/dev/null &&
        { echo "the device can be claimed"; return 1; }
    serve ,shared,quota=16M && sim_until 10 pool_is free 12 && pool_is held 4 && filled 4 &&
        [ "$(worker_of 1)" = "$take_over_worker" ] && sim_destroy 2 && up 3 && tell 3 want 2 &&
        sim_until 10 holds 3 2 && disjoint 1 3 && all_clean || return 1
    # The quota is what it was told at first.
    tell 1 back 1 && sim_until 10 holds 1 3 && tell 1 want 5 && sim_until 10 holds 1 4
}

# A worker's word of what it holds is bounded by what it can have been given.
above_quota() {
    tell 1 claim 14
    above_log=$(log_end) above_worker=$(worker_of 1)
    sim_until 5 holds 1 5 && sim_kill daemon && serve ,shared,quota=16M &&
        sim_until 10 gone "$above_worker" &&
        logged_since "$above_log" "claims extents .* not its own" 1 && sim_until 10 pool_is held 2 &&
        sim_destroy 1 && up 1 && tell 1 want 4 && sim_until 10 holds 1 4 && disjoint 1 3
}

# A worker that does not answer yet may hold anything.
silent() {
    silent_worker=$(worker_of 1)
    sim_kill daemon
    kill -STOP "$silent_worker"
    serve ,shared && tell 3 want 1 && sim_until 10 asked_in_vain 3 || return 1
    sleep 1
    silent_status=0
    holds 3 2 && pool_is free 0 || silent_status=1
    kill -CONT "$silent_worker"
    sim_until 20 holds 3 3 && holds 1 4 && disjoint 1 3 && all_clean && return $silent_status
}

# Two say that they hold the same: one of them is killed, and one line says so.
twice() {
    tell 3 claim "$(held_by 1 | head -n 1)"
    twice_log=$(log_end)
    sim_until 5 holds 3 4 && sim_kill daemon && serve ,shared || return 1
    sim_until 10 twice_one && logged_since "$twice_log" "claims extents .* not its own" 1 &&
        sim_destroy 1 && sim_destroy 3 && sim_until 10 pool_is free $extents && filled 0
}

twice_one() {
    [ "$(workers | wc -l)" = 1 ]
}

# What a worker says of its pool does not count against what was noted.
other_kind() {
    up 1 && tell 1 want 1 && sim_until 10 holds 1 1 || return 1
    kind_worker=$(worker_of 1) kind_log=$(log_end)
    tell 1 kind 0
    sleep 0.2
    sim_kill daemon
    serve ,shared && sim_until 10 gone "$kind_worker" &&
        logged_since "$kind_log" "claims another pool" 1 && sim_until 10 pool_is held 0 &&
        sim_destroy 1
}

# A process of an earlier daemon discards yet.
locked() {
    daemon_left || return 1
    flock "$SIM/run/discard.lock" sleep 5 &
    sim_until 5 not flock -n "$SIM/run/discard.lock" true
    locked_log=$(log_end)
    serve ,shared && sim_domain 1 && attach_only 1 51712 blank:8M || return 1
    sleep 1
    locked_status=0
    sim_until 5 logged_since "$locked_log" "earlier daemon still discards" 1 || locked_status=1
    [ -z "$(worker_of 1)" ] || { echo "it began"; locked_status=1; }
    helper 1 51712 && [ "$(backend 1 51712 hotplug-status)" = connected ] && sim_destroy 1 &&
        return $locked_status
}

# A guest gets no disk, and its hotplug script these words.
no_disk() {
    sim_domain "$1" || return 1
    disk "$1" 51712 blank:8M && { echo "it got one"; return 1; }
    backend "$1" 51712 hotplug-error | grep "$2"
}

exclusive() {
    daemon_left && serve "" && up 1 && tell 1 fill && sim_until 10 filled $extents &&
        [ "$(listed '.daemon.pools[0].held')" = $((extents * 4 * mib)) ] &&
        no_disk 2 "block:$LOOP: another guest's pool" && filled $extents && sim_destroy 2
}

other_name() {
    sim_kill daemon
    mknod "$DISK/alias" b "$((0x$(stat -c %t "$LOOP")))" "$((0x$(stat -c %T "$LOOP")))"
    daemon_start --pool "block:$DISK/alias,shared" --worker "$B/tests/fakeworker" &&
        no_disk 2 "pool of one guest alone" && sim_destroy 2 || return 1
    kill -9 "$(worker_of 1)"
    sim_until 10 filled 0 && sim_until 5 no_records && sim_destroy 1 &&
        [ "$(listed '.daemon.pools | length')" = 0 ] && rm "$DISK/alias"
}

# Claims the device for 4 s, and writes $1 all over it if there is one.  The kernel, when it looks for
# partitions, has it for a moment.
claim_it() {
    python3 -c 'import os, sys, time
for _ in range(100):
    try:
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
        break
    except OSError as e:
        why = e
        time.sleep(0.1)
else:
    sys.exit("never free: %s" % why)
os.pwrite(fd, sys.argv[2].encode() * (64 << 20), 0)
os.fsync(fd)
print("claimed", flush=True)
time.sleep(4)' "$LOOP" "$1"
}

# Its guest and the daemon gone together, and somebody has the device when the next daemon starts.
redone() {
    daemon_left && serve "" && up 1 && tell 1 fill && sim_until 10 filled $extents || return 1
    redone_worker=$(worker_of 1)
    sim_kill daemon
    kill -9 "$redone_worker"
    sim_until 5 gone "$redone_worker"
    claim_it "" >"$SIM/claimed" &
    sim_until 20 grep -q claimed "$SIM/claimed" || return 1
    serve "" && sim_destroy 1 && sim_domain 2 && attach_only 2 51712 blank:8M || return 1
    redone_status=0
    sleep 1
    filled $extents || redone_status=1
    [ -z "$(worker_of 2)" ] || { echo "it began"; redone_status=1; }
    helper 2 51712 && [ "$(backend 2 51712 hotplug-status)" = connected ] && filled 0 &&
        sim_destroy 2 && sim_until 5 no_records && return $redone_status
}

# Another disk stands behind the number of the device: it is none of ours.
exchanged() {
    up 1 && tell 1 fill && sim_until 10 filled $extents || return 1
    exchanged_worker=$(worker_of 1)
    sim_kill daemon
    kill -9 "$exchanged_worker"
    sim_until 5 gone "$exchanged_worker"
    losetup -d "$LOOP" && losetup "$LOOP" "$IMAGE" || return 1
    exchanged_log=$(log_end)
    serve "" && sim_until 10 no_records && filled $extents && sim_destroy 1 &&
        logged_since "$exchanged_log" "another device by now" 1
}

# A guest with something on its extents; its worker is $used_worker.
used() {
    daemon_left && serve "$1" && up 1 || return 1
    if [ -z "$1" ]; then
        tell 1 fill && sim_until 10 filled $extents || return 1
    else
        sim_until 10 pool_is free $extents && tell 1 want 3 && sim_until 10 holds 1 3 || return 1
    fi
    used_worker=$(worker_of 1)
    sim_kill daemon
}

# The host was started anew: numbers of devices mean nothing any more.
rebooted() {
    used "$1" || return 1
    kill -9 "$used_worker"
    sim_until 5 gone "$used_worker"
    rebooted_log=$(log_end) rebooted_sum=$(sha "$IMAGE")
    sed -i 's/^[^ ]* /00000000-0000-0000-0000-000000000000 /' "$SIM"/run/workers/*.pool
    serve "$1" && sim_until 10 no_records && sim_destroy 1 &&
        [ "$(sha "$IMAGE")" = "$rebooted_sum" ] &&
        log_since "$rebooted_log" | grep 'pool: not a record of a device: Stale'
}

# Nobody kept the device for us while no daemon ran, and the operator has put it to another use.
reused() {
    used "$1" || return 1
    kill -9 "$used_worker"
    sim_until 5 gone "$used_worker"
    mkswap "$LOOP" && sync "$LOOP" || return 1
    reused_log=$(log_end) reused_sum=$(sha "$IMAGE")
    serve "$1" && sim_until 10 no_records && sim_destroy 1 && [ "$(sha "$IMAGE")" = "$reused_sum" ] &&
        logged_since "$reused_log" "has swap on it.* is not discarded" 1 && wipefs -qa "$LOOP"
}

# The last worker of an earlier daemon is gone, and somebody is faster than we are.
snatched() {
    # Stopped in mid-start it may have the device itself.
    used "$1" && serve "$1" && sim_until 20 taken_back "$used_worker" || return 1
    snatched_daemon=$(cat "$SIM/pid/daemon")
    sim_freeze "$snatched_daemon" || return 1
    kill -9 "$used_worker"
    rm -f "$SIM/snatcher" # of the time before
    claim_it y >"$SIM/snatcher" &
    sim_until 20 grep -q claimed "$SIM/snatcher" || {
        kill -CONT "$snatched_daemon"
        sim_destroy 1
        return 1
    }
    kill -CONT "$snatched_daemon"
    sleep 2
    snatched_status=0
    filled $extents || snatched_status=1
    sim_destroy 1 && sim_until 10 no_records && reads_zero 0 && return $snatched_status
}

# A worker grows its volume, sector by sector, and says at RESUME what cannot be.
chatter() {
    daemon_left && serve ,shared && make_base "$DISK/base" $((8 * mib)) && sim_domain 1 &&
        disk 1 51712 "$DISK/base" || return 1
    chatter_log=$(log_end)
    tell 1 grow 500
    sim_until 10 chatter_size $((8 * mib + 500 * 512)) || return 1
    chatter_lines=$(log_since "$chatter_log" | grep -c 'has grown')
    echo "$chatter_lines lines of growing"
    [ "$chatter_lines" -gt 0 ] && [ "$chatter_lines" -lt 100 ] && tell 1 rave 500 || return 1
    sleep 0.2
    sim_kill daemon
    chatter_log=$(log_end)
    serve ,shared && sim_until 10 log_has_since "$chatter_log" "taken back" || return 1
    chatter_lines=$(log_since "$chatter_log" | grep -c 'a ring nobody gave it')
    echo "$chatter_lines lines of a ring"
    [ "$chatter_lines" -gt 0 ] && [ "$chatter_lines" -lt 100 ] && sim_destroy 1
}

log_has_since() {
    log_since "$1" | grep "$2"
}

chatter_size() {
    [ "$(listed '.guests[0].volumes[0].size')" = "$1" ]
}

# A pool may not be what a guest reads: not another's base, not its own, by no name, forced or not.
bases() {
    daemon_left && dd if=/dev/urandom of="$LOOP" bs=1M count=$((extents * 4)) oflag=direct status=none &&
        daemon_start --pool "dir:$DISK/pool" --worker "$B/tests/fakeworker" && sim_domain 1 &&
        disk 1 51712 "$LOOP" || return 1
    bases_sum=$(sha "$IMAGE") bases_status=0
    daemon_left
    mknod "$DISK/alias" b "$((0x$(stat -c %t "$LOOP")))" "$((0x$(stat -c %T "$LOOP")))"
    daemon_start --pool "block:$DISK/alias,force" --worker "$B/tests/fakeworker" &&
        no_disk 2 "the base of a guest's disk" || bases_status=1
    sim_destroy 2 && sim_destroy 1 && sim_domain 1 || return 1
    disk 1 51712 "$LOOP" && bases_status=1
    backend 1 51712 hotplug-error | grep "the base of a guest's disk" || bases_status=1
    sim_destroy 1 && [ "$(sha "$IMAGE")" = "$bases_sum" ] && rm "$DISK/alias" && no_records &&
        return $bases_status
}

# Its worker cannot be started: nothing was written, so nothing is discarded.
never_began() {
    daemon_left && mkswap "$LOOP" && sync "$LOOP" || return 1
    began_sum=$(sha "$IMAGE")
    daemon_start --pool "block:$LOOP,force" --worker "$DISK/none" && no_disk 1 "cannot start" &&
        sim_until 5 no_records && sleep 0.5 && [ "$(sha "$IMAGE")" = "$began_sum" ] &&
        [ "$(listed '.daemon.pools | length')" = 0 ] && sim_destroy 1 && wipefs -qa "$LOOP"
}

bad_devices() {
    daemon_left && daemon_start --pool "block:$DISK/none" --worker "$B/tests/fakeworker" &&
        no_disk 1 "block:$DISK/none: No such file" && sim_destroy 1 && daemon_left &&
        daemon_start --pool "block:$IMAGE,shared" --worker "$B/tests/fakeworker" &&
        no_disk 1 "not a block device" && sim_destroy 1 && no_records
}

cleanup() {
    losetup -d "$LOOP"
    case_clean
}

case_begin
IMAGE=$DISK/image
truncate -s $((extents * 4))M "$IMAGE"
if ! LOOP=$(losetup -f --show "$IMAGE" 2>/dev/null); then
    skip "block devices as pools" "no loop device can be had here"
    case_end
    exit
fi
trap 'cleanup' EXIT
mkdir "$DISK/fake"
export EPHEM_FAKE_DIR="$DISK/fake"

check "what lay on a shared device is discarded before it is used" first_use
check "no two guests hold the same extent" two_guests
check "an extent that comes back is discarded, then given to who waits" returned
check "a killed worker's extents come back" killed
check "a worker that returns what is another's is killed" foreign
check "a worker that leaves questions unanswered gets no more of them" unanswered
check "a life that ends returns all" quit
check "a quota holds one guest and not the next" quota
check "a worker taken over keeps what it has" take_over
check "a worker that claims more than its quota is killed" above_quota
check "nothing is handed out while a left worker is silent" silent
check "of two that claim the same one is killed" twice
check "a worker's word of its pool does not count" other_kind
check "a new daemon waits for an old one's discards" locked
check "an exclusive device is one guest's" exclusive
check "a device has no second name; all of it is discarded at the end" other_name
check "a discard that the daemon did not live to see is done by the next" redone
check "another device of that number is left alone" exchanged
check "an exclusive device of an earlier boot is left alone" rebooted ""
check "a shared device of an earlier boot is left alone" rebooted ,shared
check "an exclusive device that was put to another use is left alone" reused ""
check "a shared device that was put to another use is left alone" reused ,shared
check "an exclusive device that somebody else has claimed is left alone" snatched ""
check "a shared device that somebody else has claimed is left alone" snatched ,shared
check "a worker that never stops talking does not fill the log" chatter
check "a base in use is no pool" bases
check "a guest that never began leaves the device as it was" never_began
check "what is no device, or too little of it" bad_devices
all_destroyed
trap 'case_clean' EXIT
losetup -d "$LOOP"
case_end
