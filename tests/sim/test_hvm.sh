#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# HVM guests with a stub domain: guest G and its device model's domain S have the same disks, and both
# are doors onto one volume in one worker, in any order of arrival and departure; who only says that
# he is a stub domain gets nothing.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"
# shellcheck source=tests/sim/pairs.sh
. "$(dirname "$0")/pairs.sh"

# Rings of both, one wrote, the other reads it at once, to and fro.
coherent() {
    both_up 1 2 && one_worker 1 2 && talker 1 51712 && talker 2 51712 || return 1
    for turn in 1 2 3 4 5 6; do
        tell 1 51712 pattern $((turn * 40))k 100k $turn && tell 2 51712 check $((turn * 40))k 100k $turn &&
            tell 2 51712 pattern $((turn * 40 + 3))k 512 9$turn &&
            tell 1 51712 check $((turn * 40 + 3))k 512 9$turn &&
            tell 1 51712 discard $((turn * 40 + 8))k 8k &&
            tell 2 51712 checkzero $((turn * 40 + 8))k 8k || return 1
    done
    listed .
    [ "$(listed '[.guests[].volumes[].error // empty] | length')" = 0 ] &&
        [ "$(listed '.guests[] | select(.domid == 2) | .stubdom_of')" = 1 ] || return 1
    hang_up 1 51712 && hang_up 2 51712 && front_ended 1.51712 && front_ended 2.51712 &&
        ends 1 2
}

# The stub domain's disk before the guest's; the volume is the one the first has written.
stub_first() {
    sim_domain 1 && sim_domain 2 && pair 2 1 && disk 2 51712 "$DISK/base" || return 1
    sim_front 2 pattern 1m 64k 5 && disk 1 51712 "$DISK/base" && one_worker 1 2 &&
        sim_front 1 check 1m 64k 5 && ends 2 1
}

# Doors that come and go: what was written stays as long as one of the two is there.
come_and_go() {
    both_up 1 2 && sim_front 1 pattern 0 64k 1 && sim_front 2 check 0 64k 1 || return 1
    go_worker=$(worker_of 1)
    sim_detach 1 51712 && sim_front 2 check 0 64k 1 pattern 64k 64k 2 &&
        disk 1 51712 "$DISK/base" && sim_front 1 check 0 64k 1 check 64k 64k 2 &&
        sim_detach 2 51712 && sim_front 1 check 64k 64k 2 &&
        disk 2 51712 "$DISK/base" && sim_front 2 check 0 64k 1 || return 1
    one_worker 1 2 && [ "$(worker_of 1)" = "$go_worker" ] || return 1
    # With both gone the state is gone: the next is a life of its own.
    sim_detach 2 51712 && sim_detach 1 51712 && all_gone && disk 2 51712 "$DISK/base" &&
        [ "$(worker_of 2)" != "$go_worker" ] && sim_front 2 expect-error check 0 64k 1 &&
        ends 1 2
}

# One of two disks goes from both domains while the other is served.
one_disk_goes() {
    both_up 1 2 && disk 1 51728 "$DISK/other" && disk 2 51728 "$DISK/other" || return 1
    sim_front_bg 1 verify 3s
    busy 1 && sim_front 2 --devid 51728 pattern 0 64k 3 && sim_detach 1 51728 &&
        sim_front 2 --devid 51728 check 0 64k 3 && sim_detach 2 51728 &&
        sim_until 5 nobody_holds "$DISK/other" && one_worker 1 2 && front_ended 1 || return 1
    disk 2 51728 "$DISK/other" && sim_front 2 --devid 51728 expect-error check 0 64k 3 &&
        ends 1 2
}

# Two writers through two doors at full speed: whole blocks of each in turn, and parts of blocks.
two_writers() {
    both_up 1 2 || return 1
    for writers_stripe in 3 64; do
        front_beside 1 51712 --queues 2 --indirect 64 --mine "0/2/$writers_stripe" --seed 11 \
            verify "${HVM_WRITES:-3}s"
        front_beside 2 51712 --queues 2 --mine "1/2/$writers_stripe" --seed 12 \
            verify "${HVM_WRITES:-3}s"
        front_ended 1.51712 && front_ended 2.51712 || return 1
        cat "$SIM/log/front.1.51712" "$SIM/log/front.2.51712"
    done
    ends 1 2
}

# The base grows: both are told, and one that comes later too.
grows() {
    make_base "$DISK/growing" $((4 << 20))
    sim_domain 1 && sim_domain 2 && disk 1 51712 "$DISK/growing" && pair 2 1 &&
        disk 2 51712 "$DISK/growing" || return 1
    sim_front_bg 1 verify 600s
    busy 1 && talker 2 51712 && truncate -s 5M "$DISK/growing" && "$B/ephemctl" refresh &&
        sim_wait $back/1/51712/sectors 10240 -t 5 && sim_wait $back/2/51712/sectors 10240 -t 5 &&
        tell 2 51712 checkzero 4m 1m || return 1
    hang_up 2 51712 && front_ended 2.51712 && sim_detach 2 51712 && truncate -s 6M "$DISK/growing" &&
        "$B/ephemctl" refresh && disk 2 51712 "$DISK/growing" && sim_front 2 checkzero 4m 2m &&
        [ "$(backend 2 51712 sectors)" = 12288 ] && ends 1 2
}

# The stub domain alone is destroyed: the guest's I/O goes on, and nothing of it stays.
stub_crashes() {
    both_busy 4s || return 1
    [ "$(handles 2)" = 2 ] || { handles 2; return 1; }
    sim_destroy 2 && [ "$(worker_of 1)" = "$busy_worker" ] && sim_until 5 no_handles 2 &&
        front_ended 1 || return 1
    grep -c ' 2 ' "$SIM"/run/workers/1.*.pid | grep -x 0 && [ -z "$(worker_of 2)" ] && ends 1
}

# The guest is destroyed first: the device model is served on, and what it reads is what was written.
guest_first() {
    both_up 1 2 || return 1
    sim_front_bg 1 --span $((4 << 20)) verify 600s
    sim_front 2 pattern 8m 64k 7 && busy 1 || return 1
    sim_destroy 1 && sim_front 2 check 8m 64k 7 && ends 2
}

# As libxl: both at once.
at_once() {
    both_busy || return 1
    once_uuid=$(xenstore-read $dom/1/vm)
    sim_freeze "$(cat "$SIM/pid/front.1")"
    sim_freeze "$(cat "$SIM/pid/front.2")"
    "$B/tests/toolstack" destroy 1 &
    once_pid=$!
    "$B/tests/toolstack" destroy 2 && wait "$once_pid" || return 1
    sim_until 5 gone "$busy_worker" && ends 1 2 && not_suspended "${once_uuid#/vm/}"
}

# Guest UUID is not taken for one that was suspended.
not_suspended() {
    "$B/ephemctl" status >"$SIM/words" && ! grep "^suspended: guest $1" "$SIM/words"
}

# A new daemon takes both back; each can go as before.
taken_over() {
    both_busy 8s || return 1
    sim_kill daemon
    daemon_start || return 1
    sim_until 10 taken_both || { listed .; return 1; }
    sim_destroy 2 && sim_until 5 no_handles 2 && front_ended 1 && ends 1
}

taken_both() {
    [ "$(listed '[.guests[] | select(.state == null) | .worker_pid] | unique | .[]')" = "$busy_worker" ] &&
        [ "$(listed '[.guests[].volumes[]] | length')" = 2 ] &&
        [ "$(listed '.guests[] | select(.domid == 2) | .stubdom_of')" = 1 ]
}

# A disk without a ring is taken back too: the device model's, not connected yet, then alone.
taken_over_alone() {
    both_up 1 2 && sim_front 1 pattern 1m 64k 4 || return 1
    alone_worker=$(worker_of 2)
    sim_kill daemon
    daemon_start && sim_until 10 one_worker 1 2 && sim_detach 1 51712 || return 1
    sim_kill daemon
    daemon_start && sim_until 10 taken_back "$alone_worker" 2 &&
        sim_front 2 check 1m 64k 4 && ends 1 2
}

# Destroyed, both, while no daemon runs.
both_gone_meanwhile() {
    both_busy || return 1
    sim_kill daemon
    sim_end KILL front.1
    sim_end KILL front.2
    xenstore-rm $back/1
    xenstore-rm $back/2
    xenstore-rm $dom/1
    xenstore-rm $dom/2
    daemon_start && sim_until 15 gone "$busy_worker" && ends 1 2
}

# A worker that does not answer serves the device model as long as that is wanted, and no longer.
silent_worker() {
    both_up 1 2 || return 1
    silent_pid=$(worker_of 1)
    sim_kill daemon
    sim_freeze "$silent_pid"
    xenstore-rm $back/1
    xenstore-rm $dom/1
    daemon_start && sleep 5 && ! gone "$silent_pid" || return 1
    xenstore-rm $back/2
    xenstore-rm $dom/2
    sim_until 15 gone "$silent_pid" && ends 1 2
}

# The stub domain died while no daemon ran, and its domid is another guest's by now.
domid_comes_again() {
    both_busy 9s || return 1
    sim_kill daemon
    sim_freeze "$(cat "$SIM/pid/front.2")"
    sim_end KILL front.2
    xenstore-rm $back/2
    xenstore-rm $dom/2
    xenstore-rm /libxl/2
    "$B/tests/fxctl" destroy 2 && sim_end TERM guestxs.2
    sim_until 10 sim_leaks 2 && sim_domain 2 newcomer && sim_attach 2 51712 "$DISK/other" &&
        daemon_start && sim_wait $back/2/51712/state 2 -t 10 && helper 2 51712 || return 1
    sim_front 2 readsha 0 1m && [ "$(worker_of 2)" != "$busy_worker" ] &&
        [ "$(worker_of 1)" = "$busy_worker" ] || return 1
    [ "$(sha "$DISK/other.1m")" = "$(sim_front 2 readsha 0 1m | grep -o '^[0-9a-f]\{64\}')" ] &&
        sim_until 5 only_new_handles && front_ended 1 && ends 1 2
}

only_new_handles() {
    [ "$(handles 2)" = 2 ]
}

worker_killed() {
    both_busy || return 1
    kill -9 "$busy_worker"
    sim_wait $back/1/51712/state 6 -t 10 && sim_wait $back/2/51712/state 6 -t 10 || return 1
    sim_end KILL front.1
    sim_end KILL front.2
    guest_write 2 51712 state 1
    [ -z "$(worker_of 1)$(worker_of 2)" ] && ends 2 1
}

# A disk that is refused: what attach says must name this, and there is one line of it: N, WORDS.
refused() {
    refused_log=$(log_end)
    attach_only "$1" 51712 "$DISK/base" || return 1
    helper "$1" 51712 2>"$SIM/words" && { echo "it got a disk"; return 1; }
    cat "$SIM/words"
    grep -q "$2" "$SIM/words" && backend "$1" 51712 hotplug-error | grep -q "$2" &&
        [ "$(complaints "$refused_log" | grep -c "$2")" = 1 ] && [ -z "$(worker_of "$1")" ] &&
        "$B/tests/toolstack" force "$1" 51712
}

other_target() {
    both_up 1 2 && sim_detach 2 51712 && refused_beside "$DISK/other" && refused_beside "$DISK/base" mode=r &&
        sim_front 1 verify 100 && ends 1 2
}

# The same disk of the same guest, with another target or mode.
refused_beside() {
    attach_only 2 51712 "$@" || return 1
    helper 2 51712 2>"$SIM/words" && { echo "it got a disk"; return 1; }
    cat "$SIM/words"
    grep -q 'not as vbd 1/51712.*give both' "$SIM/words" && "$B/tests/toolstack" force 2 51712
}

# Who says that he is guest 1's stub domain, and is not.
forged() {
    sim_domain 1 && disk 1 51712 "$DISK/base" && sim_front 1 pattern 0 64k 1 || return 1
    forged_worker=$(worker_of 1)
    sim_domain 3 && sim_domain 4 && sim_domain 5 || return 1
    xenstore-write $dom/3/target 1 && refused 3 'no such stub domain' || return 1
    pair 4 1 && refused 3 'no such stub domain' || return 1 # the stub domain of 1 is another
    xenstore-write $dom/1/image/device-model-domid 3 && xenstore-chmod $dom/3/target n3 &&
        refused 3 'others than dom0' || return 1
    xenstore-chmod $dom/3/target n0 b3 && refused 3 'others than dom0' || return 1
    xenstore-chmod $dom/3/target n0 r3 && xenstore-chmod $dom/1/image/device-model-domid n1 &&
        refused 3 'no such stub domain' || return 1
    pair 5 5 && refused 5 'names no guest' || return 1
    pair 5 0 && refused 5 'names no guest' && xenstore-rm $dom/0/image || return 1
    pair 5 77 && xenstore-rm $dom/77 && refused 5 'no such stub domain' || return 1
    pair 5 4 && refused 5 'says the same of itself' || return 1 # the stub domain's own
    pair 4 5 && refused 5 'says the same of itself' && refused 4 'says the same of itself' || return 1
    [ "$(worker_of 1)" = "$forged_worker" ] && [ "$(workers | wc -l)" = 1 ] &&
        sim_front 1 check 0 64k 1 && ends 3 4 5 1
}

# In the guest's own words, through its own connection to xenstored: refused there already.
own_words() {
    sim_domain 1 && sim_domain 3 && disk 3 51712 "$DISK/base" || return 1
    env LD_LIBRARY_PATH="$B/tests/fakexen" XENSTORED_PATH="$SIM/xenbus.3" FAKEXEN_DOMID=3 \
        xenstore-write $dom/3/target 1 && { echo "xenstored let it"; return 1; }
    sim_detach 3 51712 && disk 3 51712 "$DISK/base" && [ "$(listed '.guests | length')" = 1 ] &&
        ends 1 3
}

# Guests with and without PV drivers that shut down: no tombstone, and their UUID may start again.
shuts_down() {
    down_uuid=$(cat /proc/sys/kernel/random/uuid)
    for down_driver in yes no; do
        sim_domain 1 hvm "$down_uuid" && sim_domain 2 && disk 1 51712 "$DISK/base" && pair 2 1 &&
            disk 2 51712 "$DISK/base" || return 1
        sim_front_bg 2 --mine 1/2/64 verify 600s
        busy 2 || return 1
        [ $down_driver = no ] || sim_front 1 --mine 0/2/64 verify 100 || return 1
        xenstore-write $dom/1/control/shutdown poweroff && xenstore-write $dom/1/control/shutdown "" &&
            sim_shutdown 1 0 || return 1
        # What is left of the device model's ring when its guest is gone already tells nothing of that.
        if [ $down_driver = no ]; then ends 1 2; else ends 2 1; fi && not_suspended "$down_uuid" || return 1
        [ $down_driver = no ] || continue
        sim_domain 1 hvm "$down_uuid" && disk 1 51712 "$DISK/base" && ends 1 || return 1
    done
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
make_base "$DISK/other" $((8 << 20))
head -c 1M "$DISK/other" >"$DISK/other.1m"
check "what one ring wrote the other reads at once" coherent
check "the stub domain's disk first" stub_first
check "doors come and go, the volume stays with the last" come_and_go
check "one of two disks goes from both" one_disk_goes
check "two writers through two doors" two_writers
check "both are told that their base has grown" grows
check "the stub domain ends alone" stub_crashes
check "the guest ends first" guest_first
check "both end at once" at_once
check "a new daemon takes both back" taken_over
check "and one that has no ring" taken_over_alone
check "both end while there is no daemon" both_gone_meanwhile
check "a silent worker is left to the device model" silent_worker
check "the stub domain's domid comes again" domid_comes_again
check "a killed worker takes both disks with it" worker_killed
check "the same disk with another target or mode is refused" other_target
check "forged stub domains get nothing" forged
check "xenstored does not let a domain name its target" own_words
check "a shutdown is no suspend" shuts_down
case_end
