#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `ephemctl attach` and `detach`: disks that no toolstack knows of.  They come with the nodes and permissions
# libxl gives them, are undone when anything fails, and nothing is left of them at the guest's end,
# though libxl then removes only what it has a record of.  Beside them what shows a guest at work: top,
# pool, metrics.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3
front=/local/domain/1/device/vbd/51728

# attach N VDEV TARGET...: what it says is in $SIM/said, both streams.
attach() {
    sim_run "$B/ephemctl" attach "$@" >"$SIM/said" 2>&1
    attach_status=$?
    cat "$SIM/said"
    return $attach_status
}

detach() {
    sim_run "$B/ephemctl" detach "$@" >"$SIM/said" 2>&1
    attach_status=$?
    cat "$SIM/said"
    return $attach_status
}

said() {
    grep -F -- "$1" "$SIM/said" >/dev/null || { echo "not said: $1"; return 1; }
}

# As sim_domain; a case of its own: a guest 1 that one before has left is ended.
fresh() {
    [ -z "$(sim_domids)" ] || sim_destroy 1
    sim_domain "$@"
}

# The command fails with status 1 and says WHY.
fails() {
    fails_why=$1
    shift
    "$@"
    [ $? = 1 ] && said "$fails_why"
}

there() {
    xenstore-exists "$1"
}

# Nothing of guest 1's xvdb, in any folder.
nothing_of_it() {
    for nothing_path in $back/1/51728 $front /libxl/1/device/vbd/51728 \
        /local/domain/0/error/backend/vbd3/1/51728; do
        there "$nothing_path" && { echo "still there: $nothing_path"; return 1; }
    done
    return 0
}

perms() {
    xenstore-ls -fp "${1%/*}" | sed -n "s|^$1 = .*(\(.*\)).*|\1|p"
}

# The guest comes as soon as it sees the disk, while attach waits.
comes() {
    sim_until 10 there $front && front_beside 1 51728 "$@"
}

used() {
    fresh 1 || return 1
    comes verify 3s &
    attach 1 xvdb "cow:$DISK/base" --wait 20 || return 1
    wait $!
    said "guest 1 guest1: xvdb attached" && not said "not connected yet" || return 1
    [ "$(xenstore-read $back/1/51728/state)" = 4 ] && not there /libxl/1/device/vbd/51728 &&
        [ "$(listed '.guests[0].volumes[0].vdev')" = xvdb ] || return 1
    echo "permissions: $(perms $front), $(perms $back/1/51728)"
    [ "$(perms $front)" = n1,r0 ] && [ "$(perms $back/1/51728)" = n0,r1 ] || return 1
    used_worker=$(worker_of 1)
    sim_wait $front/state 6 -t 10 && detach guest1 xvdb --json || return 1
    [ "$(jq -r .vdev "$SIM/said")" = xvdb ] && nothing_of_it && not there $back/1 &&
        sim_until 5 gone "$used_worker" && nobody_holds "$DISK/base" && sim_destroy 1
}

# Built, never run: it finds the disk at its start.
paused() {
    { [ -z "$(sim_domids)" ] || sim_destroy 1; } && sim_build 1 || return 1
    attach 1 51728 blank:8M --wait 0 --json && [ "$(jq .connected "$SIM/said")" = false ] || return 1
    [ "$(xenstore-read $back/1/51728/hotplug-status)" = connected ] || return 1
    "$B/tests/fxctl" unpause 1 && sim_front 1 --devid 51728 verify 50 && detach 1 xvdb &&
        nothing_of_it && sim_destroy 1
}

readonly_disk() {
    fresh 1 && attach 1 xvdb "$DISK/base" --mode r --wait 0 &&
        [ "$(xenstore-read $back/1/51728/mode)" = r ] && [ "$(listed '.guests[0].volumes[0].mode')" = r ] &&
        detach 1 xvdb && sim_destroy 1
}

# Whatever fails, nothing is left, and it is said why.
undone() {
    fresh 1 || return 1
    fails "$DISK/missing" attach 1 xvdb "$DISK/missing" && nothing_of_it && [ -z "$(workers)" ] &&
        fails "no domain 'guest7'" attach guest7 xvdb blank:1M &&
        fails "no domain ''" attach "" xvdb blank:1M &&
        fails "'xvd' is no device" attach 1 xvd blank:1M && nothing_of_it && sim_destroy 1
}

# The guest's ring is refused while attach waits.
refused() {
    fresh 1 || return 1
    {
        sim_until 10 there $back/1/51728/hotplug-status
        guest_write 1 51728 ring-ref 4000000000
        guest_write 1 51728 event-channel 7
        guest_write 1 51728 state 3
    } >"$SIM/guest" 2>&1 &
    fails "its ring cannot be served" attach 1 xvdb blank:8M --wait 20 || return 1
    wait $!
    # The daemon removes what it said of the ring, soon.
    sim_until 5 nothing_of_it && sim_destroy 1
}

taken() {
    fresh 1 && disk 1 51712 "$DISK/base" || return 1
    fails "has a xvda already" attach 1 xvda blank:1M &&
        fails "xl block-detach 1 xvda" detach 1 xvda && fails "no xvdb" detach 1 xvdb || return 1
    attach 1 xvdb blank:8M --wait 0 && fails "has a xvdb already" attach 1 xvdb blank:1M || return 1
    sim_front 1 verify 20 && sim_front 1 --devid 51728 verify 20 || return 1
    [ "$(listed '.guests[0].volumes | length')" = 2 ] && detach 1 xvdb && nothing_of_it &&
        sim_detach 1 51712 && sim_destroy 1
}

no_daemon() {
    fresh 1 && daemon_left || return 1
    fails "is not running" attach 1 xvdb blank:8M && nothing_of_it
    no_daemon_status=$?
    daemon_start && sim_destroy 1 && return $no_daemon_status
}

# Asked for while it is in use, then taken by force.
forced() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    front_beside 1 51728 verify 600s
    sim_wait $front/state 4 -t 10 && fails "now with --force" detach 1 xvdb || return 1
    there $back/1/51728 && detach 1 xvdb --force && nothing_of_it || return 1
    sim_end KILL front.1.51728
    sim_until 5 no_workers && sim_destroy 1
}

# Given up, and the guest lets go later: the daemon removes both folders by itself.
later() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    front_beside 1 51728 verify 13s
    sim_wait $front/state 4 -t 10 && fails "lets go of it" detach 1 xvdb || return 1
    front_ended 1.51728 && sim_wait $back/1/51728 - -t 10 && sim_until 5 no_workers || return 1
    nothing_of_it && fails "no xvdb" detach 1 xvdb && attach 1 xvdb blank:8M --wait 0 && detach 1 xvdb && sim_destroy 1
}

# What libxl does at a domain's end with a disk it has no record of: nothing.
ends() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    front_beside 1 51728 verify 600s
    sim_wait $front/state 4 -t 10 || return 1
    ends_worker=$(worker_of 1)
    xenstore-rm /local/domain/1
    xenstore-rm /libxl/1
    sim_until 10 gone "$ends_worker" && sim_wait $back/1 - -t 5 || return 1
    sim_end KILL front.1.51728
    sim_destroy 1
}

# What xl makes of a disk on the same device, of which it knows nothing: the frontend is written anew, with another
# backend.  Nobody serves that one here: its state stays as it is written.
theirs=/local/domain/0/backend/vbd/1/51728
xl_takes() {
    sim_attach 1 51728 /dev/null @kind=vbd
}

xls_own_stays() {
    for xls_path in $front $theirs /libxl/1/device/vbd/51728; do
        there "$xls_path" || { echo "gone: $xls_path"; return 1; }
    done
    [ "$(xenstore-read $theirs/state)" = 1 ]
}

# Ours goes, theirs stays, whatever the guest writes.
ours_alone_goes() {
    detach 1 xvdb "$@" && said "xl's own of that name stays" || return 1
    there $back/1/51728 && return 1
    xls_own_stays && fails "xl block-detach 1 xvdb" detach 1 xvdb "$@" && xls_own_stays
}

# Both are there when the guest comes, with its ring in the folder: it is not ours to take.
xl_first() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    xl_first_log=$(log_end)
    xl_first_daemon=$(cat "$SIM/pid/daemon")
    sim_freeze "$xl_first_daemon"
    xl_takes && guest_write 1 51728 ring-ref 8 && guest_write 1 51728 event-channel 7 &&
        guest_write 1 51728 state 3
    kill -CONT "$xl_first_daemon"
    sim_wait $back/1/51728/state 6 -t 5 || return 1
    log_since "$xl_first_log" | grep "vbd 1/51728: connecting" && return 1
    complaints "$xl_first_log" | grep -F "its frontend belongs to another backend" &&
        [ "$(xenstore-read $front/state)" = 3 ] && ours_alone_goes && sim_until 5 no_workers &&
        sim_destroy 1
}

# In mid-I/O
xl_later() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    front_beside 1 51728 verify 600s
    sim_wait $front/state 4 -t 10 && sim_until 10 grep -q '^verify' "$SIM/log/front.1.51728" &&
        xl_takes && sim_wait $back/1/51728/state 6 -t 10 || return 1
    ours_alone_goes --force && sim_until 5 no_workers || return 1
    sim_end KILL front.1.51728
    sim_destroy 1
}

# A guest that calls xl's disk ours keeps it; the end of a guest with both leaves nothing.
xl_and_a_liar() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 && xl_takes || return 1
    guest_write 1 51728 backend $back/1/51728
    ours_alone_goes --force && sim_destroy 1 || return 1
    fresh 1 && attach 1 xvdb blank:8M --wait 0 && xl_takes || return 1
    sim_wait $back/1/51728/state 6 -t 5 || return 1
    xenstore-rm $theirs
    xenstore-rm /local/domain/1
    xenstore-rm /libxl/1
    sim_wait $back/1 - -t 10 && sim_until 5 no_workers && sim_destroy 1
}

xl_was_first() {
    fresh 1 && xl_takes && fails "has a xvdb already" attach 1 xvdb blank:1M &&
        fails "xl block-detach 1 xvdb" detach 1 xvdb --force && xls_own_stays || return 1
    there $back/1 && return 1
    xenstore-rm $theirs
    sim_destroy 1
}

# A guest that writes nonsense, or a neighbour's, where its backend stands loses the disk, until it writes the right one.
liar() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    for lie in "" / "$(head -c 2000 /dev/zero | tr '\0' a)" backend/vbd3/1/51728 $back/1/51729 $back/2/51728 \
        /local/domain/5/backend/vbd3/1/51728 $back/1/51728/ $back/1/051728; do
        sim_front 1 --devid 51728 verify 20 || return 1
        guest_write 1 51728 backend "$lie"
        guest_write 1 51728 state 1
        sim_wait $back/1/51728/state 6 -t 5 || return 1
        guest_write 1 51728 backend $back/1/51728
        guest_write 1 51728 state 1
        sim_wait $back/1/51728/state 2 -t 5 || return 1
    done
    guest_write 1 51728 backend /
    # What it has made of its folder stays its own.
    detach 1 xvdb --force && there $front && ! there $back/1 && sim_until 5 no_workers && sim_destroy 1
}

# ephemctl ARGUMENT... in the background, until xvdb is there; its words are in $SIM/log/slow
slowly() {
    rm -f "$SIM/log/slow"
    sim_daemon slow "$B/ephemctl" "$@"
    slow_pid=$sim_pid
}

slow_ended() {
    rm "$SIM/pid/slow"
    wait "$slow_pid"
    slow_status=$?
    cat "$SIM/log/slow"
    return $slow_status
}

# The disk makes way for another between two steps of an attach, or of a detach, which act upon their own alone.
later_one_stays() {
    fresh 1 || return 1
    slowly attach 1 xvdb blank:8M --wait 30
    sim_wait $back/1/51728/hotplug-status connected -t 10 || return 1
    sleep 0.2
    sim_freeze "$slow_pid"
    xenstore-rm $front
    xenstore-rm $back/1/51728
    sim_until 5 no_workers && attach 1 xvdb blank:16M --wait 0 || return 1
    later_token=$(xenstore-read $back/1/51728/token)
    kill -CONT "$slow_pid"
    slow_ended && return 1
    [ "$(cat "$SIM/log/slow")" = "ephemctl attach: it was removed meanwhile" ] || return 1
    sim_front 1 --devid 51728 verify 20 && [ "$(xenstore-read $back/1/51728/token)" = "$later_token" ] &&
        [ "${#later_token}" = 32 ] || return 1

    front_beside 1 51728 verify 3s
    sim_wait $front/state 4 -t 10 || return 1
    slowly detach 1 xvdb
    sim_wait $back/1/51728/online 0 -t 5 || return 1
    sim_freeze "$slow_pid"
    front_ended 1.51728 && sim_wait $back/1/51728 - -t 10 && attach 1 xvdb blank:8M --wait 0 || return 1
    [ "$(xenstore-read $back/1/51728/token)" != "$later_token" ] || return 1
    kill -CONT "$slow_pid"
    slow_ended && there $front && sim_front 1 --devid 51728 verify 20 && detach 1 xvdb && nothing_of_it && sim_destroy 1
}

# One that an earlier release attached has no token.
tokenless() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 && xenstore-rm $back/1/51728/token && detach 1 xvdb &&
        nothing_of_it && sim_destroy 1
}

shown() {
    fresh 1 && attach 1 xvdb blank:8M --wait 0 || return 1
    front_beside 1 51728 verify 600s
    sim_wait $front/state 4 -t 10 || return 1
    "$B/ephemctl" top -n 2 -d 1 --json >"$SIM/top" && [ "$(wc -l <"$SIM/top")" = 2 ] &&
        tail -n 1 "$SIM/top" | jq -e '.seconds >= 1 and .guests[0].domid == 1 and
            .guests[0].requests > 0 and .guests[0].write_bytes > 0 and .guests[0].ram > 0 and
            .guests[0].latency > 0 and .guests[0].latency_99 > 0' &&
        head -n 1 "$SIM/top" | jq -e '.guests[0].requests == null' || return 1
    "$B/ephemctl" top -b -n 1 | grep -E '^1 +guest1 +- +- ' || return 1
    "$B/ephemctl" top -b -n 1 | grep -q "$(printf '\033')" && return 1
    "$B/ephemctl" metrics | grep -E '^blkback_ephem_volume_write_requests_total\{domid="1",name="guest1",life="[0-9]+",vdev="xvdb"\} [1-9]' || return 1
    "$B/ephemctl" metrics | grep -cE '^blkback_ephem_volume_latency_seconds_bucket\{.*le="\+Inf"\} [1-9]' || return 1
    "$B/ephemctl" pool | grep -F "dir:$DISK/pool (dir, the default)" || return 1
    "$B/ephemctl" pool --json | jq -e ".default == \"dir:$DISK/pool\" and .pools[0].taken > 0 and
        .pools[0].guests[0].domid == 1" || return 1
    sim_destroy 1
}

case_begin --queues 2
make_base "$DISK/base" $((16 << 20))
check "a guest that runs is given a disk, uses it and lets go of it: nothing is left" used
check "one that is paused finds it when it runs" paused
check "a read-only disk" readonly_disk
check "what cannot be attached leaves nothing, and says why" undone
check "a ring that is refused while attach waits is undone" refused
check "no device is given twice, and xl's disks stay xl's" taken
check "without a daemon nothing is written" no_daemon
check "a disk in use is taken by force only" forced
check "a guest that lets go later" later
check "a domain's end leaves nothing, without libxl's help" ends
check "xl's disk on the same device is xl's: a ring in its frontend is not taken" xl_first
check "xl's disk under one at work: ours ends, xl's stays" xl_later
check "a guest that calls xl's disk ours; a guest's end with both" xl_and_a_liar
check "a device that xl's phy disk has is not given" xl_was_first
check "a guest that lies about its backend" liar
check "an attach or detach that was overtaken leaves the later disk alone" later_one_stays
check "a disk without a token" tokenless
check "top, metrics and pool show a guest at work" shown
case_end
