#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ends, of guests, disks, workers and the daemon, in the middle of I/O: what must stop stops within
# the toolstack's 10 s and leaves nothing, what must go on goes on.
#
# A disk whose frontend had closed is at state 6 before the toolstack asks for it, so its worker is
# waited for after a detach; after a destroy in mid-I/O it must be gone by then, or within a moment.
#
# I/O is fxfront's verify in the background: it exits 0 only if every answer came and was right, so
# waiting for it is the proof that a guest was served all the while.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3

guest_up() {
    sim_domain "$1" && disk "$1" 51712 "$DISK/base.$1"
}

base_closed() {
    nobody_holds "$DISK/base.$1"
}

pool_files() {
    holders "$DISK/pool/" | cut -d/ -f3 | sort -u
}

destroy_busy() {
    guest_up 1 || return 1
    sim_front_bg 1 --queues 4 --indirect 256 --depth 8 verify 600s
    busy 1 || return 1
    destroy_worker=$(worker_of 1)
    [ "$(pool_files)" = "$destroy_worker" ] || { echo "pool: $(pool_files)"; return 1; }
    destroy_began=$(date +%s%N)
    sim_destroy 1 || return 1
    echo "destroyed after $((($(date +%s%N) - destroy_began) / 1000000)) ms"
    sim_until 5 gone "$destroy_worker" && base_closed 1 && nobody_holds "$DISK/pool/" && no_workers
}

detach_idle() {
    guest_up 1 && sim_front 1 verify 200 || return 1
    detach_worker=$(worker_of 1)
    sim_detach 1 51712 && sim_until 5 gone "$detach_worker" && base_closed 1 &&
        nobody_holds "$DISK/pool/"
}

# A disk comes back into the same guest: a new life, with a new worker.
attach_again() {
    disk 1 51712 "$DISK/base.1" && sim_front 1 verify 100 && sim_destroy 1
}

one_of_two() {
    guest_up 1 && disk 1 51728 "$DISK/base.2" || return 1
    two_worker=$(worker_of 1)
    sim_front_bg 1 verify 2s
    busy 1 && sim_detach 1 51728 && base_closed 2 && [ "$(worker_of 1)" = "$two_worker" ] &&
        front_ended 1 && sim_destroy 1 && sim_until 5 gone "$two_worker"
}

worker_killed() {
    guest_up 1 && disk 1 51728 "$DISK/base.1" && guest_up 2 || return 1
    killed_log=$(log_end)
    sim_front_bg 1 verify 600s
    sim_front_bg 2 verify 3s
    busy 1 && busy 2 || return 1
    kill -9 "$(worker_of 1)"
    sim_wait $back/1/51712/state 6 -t 10 && sim_wait $back/1/51728/state 6 -t 10 || return 1
    log_since "$killed_log" | grep 'vbd 1/51712: Clos' >"$SIM/words"
    [ "$(tr '\n' ' ' <"$SIM/words" | grep -c 'Closing .*Closed')" = 1 ] || {
        cat "$SIM/words"
        return 1
    }
    sim_end KILL front.1
    # It asks again, as a new kernel would: its data is gone, so there is no disk any more.
    guest_write 1 51712 state 1
    guest_write 1 51712 state 3
    helper 2 51712 && front_ended 2 && [ "$(backend 1 51712 state)" = 6 ] || return 1
    [ -z "$(worker_of 1)" ] && listed '.guests[0].volumes[0].error' | grep 'data is gone' &&
        base_closed 1 && sim_destroy 1 && sim_front 2 verify 100 && sim_destroy 2
}

daemon_killed() {
    guest_up 1 && guest_up 2 || return 1
    sim_front_bg 1 --queues 2 verify 15s reopen verify 100
    sim_front_bg 2 --queues 2 verify 600s
    busy 1 && busy 2 || return 1
    orphan_kept=$(worker_of 1)
    orphan_lost=$(worker_of 2)
    sim_kill daemon
    # Without a daemon the toolstack gives up on its disk after 10 s and ends the domain.
    sim_freeze "$(cat "$SIM/pid/front.2")"
    "$B/tests/toolstack" destroy 2 && { echo "the toolstack had an answer"; return 1; }
    "$B/tests/fxctl" destroy 2
    sim_end KILL front.2
    sim_end TERM guestxs.2
    # Its worker lets go of the dead domain by itself, and ends when a daemon tells it to.
    orphan_status=0
    sim_until 10 sim_leaks 2 || orphan_status=1
    gone "$orphan_kept" && { echo "guest 1 lost its worker"; orphan_status=1; }
    daemon_start && sim_until 10 gone "$orphan_lost" || orphan_status=1
    [ "$(worker_of 1)" = "$orphan_kept" ] || { listed .; orphan_status=1; }
    [ "$(listed '.guests | length')" = 1 ] || { listed .; orphan_status=1; }
    base_closed 2 || orphan_status=1
    front_ended 1 && [ "$(backend 1 51712 state)" = 6 ] && sim_destroy 1 &&
        sim_until 5 no_workers && return $orphan_status
}

# A guest destroyed while no daemon runs, whose worker is stopped: the new daemon ends it.
silent_worker() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1 || return 1
    silent_pid=$(worker_of 1)
    sim_kill daemon
    sim_freeze "$silent_pid"
    sim_end KILL front.1
    xenstore-rm $back/1
    xenstore-rm /local/domain/1
    daemon_start && sim_until 15 gone "$silent_pid" && sim_destroy 1 && sim_until 5 no_workers
}

second_daemon() {
    second_status=0
    sim_run "$B/blkback-ephemd" --pool "dir:$DISK/pool" --worker "$B/blkback-ephem" \
        --state-dir "$DISK/state" --run-dir "$SIM/run" >"$SIM/words" 2>&1 && second_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q 'another.*end it' "$SIM/words" &&
        return $second_status
}

leaves() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 4s
    busy 1 || return 1
    leaves_pid=$(worker_of 1)
    daemon_left || return 1
    gone "$leaves_pid" && { echo "its worker went with it"; return 1; }
    daemon_start && [ "$(worker_of 1)" = "$leaves_pid" ] && front_ended 1 && sim_destroy 1 &&
        sim_until 5 gone "$leaves_pid"
}

# Without a daemon libxl waits for InitWait in vain; the script, were it run, says why.
no_daemon() {
    daemon_left || return 1
    none_status=0
    sim_domain 3 && sim_attach 3 51712 "$DISK/base.1" || return 1
    helper 3 51712 2>"$SIM/words" && none_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q 'not running: start it' "$SIM/words" ||
        none_status=1
    backend 3 51712 hotplug-error | grep 'not running' || none_status=1
    for none_command in list status; do
        "$B/ephemctl" $none_command 2>"$SIM/words" && none_status=1
        cat "$SIM/words"
        [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q 'not running: start it' "$SIM/words" ||
            none_status=1
    done
    daemon_start && sim_destroy 3 && return $none_status
}

tables() {
    guest_up 1 && guest_up 2 && disk 2 51728 "$DISK/base.1" mode=r || return 1
    sim_front_bg 1 verify 20 pause
    busy 1 || return 1
    "$B/ephemctl" list >"$SIM/table" && cat "$SIM/table" &&
        "$B/ephemctl" list --json >"$SIM/json" && jq -r '.guests[] | . as $g | .volumes[] |
            [$g.domid, $g.name, $g.worker_pid, .vdev, .state, .mode, .base] | join(" ")' \
            "$SIM/json" >"$SIM/flat" || return 1
    awk 'NR > 1 { print $1, $2, $3, $4, $5, $7, $8 }' "$SIM/table" | diff - "$SIM/flat" &&
        [ "$(wc -l <"$SIM/flat")" = 3 ] || return 1
    "$B/ephemctl" status --json | jq -e '.guests[0].resident > 0 and .guests[0].pool_bytes > 0 and
        .guests[1].volumes[1].reads == 0' && "$B/ephemctl" status guest2 >"$SIM/table" &&
        cat "$SIM/table" && [ "$(grep -c '^guest' "$SIM/table")" = 1 ] || return 1
    "$B/ephemctl" status nobody 2>"$SIM/words" && return 1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && sim_destroy 1 && sim_destroy 2
}

case_begin --queues 4
make_base "$DISK/base.1" $((16 << 20))
make_base "$DISK/base.2" $((8 << 20))
check "a guest destroyed in the middle of I/O leaves nothing" destroy_busy
check "a detached disk leaves nothing" detach_idle
check "and can come back" attach_again
check "one of two disks detached, the other is served" one_of_two
check "a killed worker: its disks close for good, the neighbour's do not" worker_killed
check "ephemctl's table, JSON and status agree" tables
check "a second daemon is refused" second_daemon
check "SIGTERM of the daemon leaves the workers" leaves
check "without a daemon every program says so" no_daemon
check "a daemon killed in the middle of I/O, and a guest destroyed" daemon_killed
check "a worker that does not answer goes with its guest" silent_worker
case_end
