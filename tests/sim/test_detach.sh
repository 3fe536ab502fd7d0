#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The operator detaches a disk that is in use: libxl writes online=0 and state=5 and waits 10 s for 6.
# As with the kernel's backend the guest decides: its ring is served until its frontend lets go. Only
# --force and the guest's end do not wait, and libxl says those by removing the frontend's directory.
# What libxl gives up it leaves as it is, online=0 and state=5; a second detach finds it so.
#
# I/O is fxfront's verify in the background; it exits 0 only if every answer came and was right.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3

guest_up() {
    sim_domain "$1" && disk "$1" 51712 "$DISK/base"
}

# What libxl asks for, without its waiting.
asked_to_go() {
    xenstore-write $back/1/51712/online 0 $back/1/51712/state 5
}

# Requests answered so far.
answered() {
    "$B/ephemctl" status --json |
        jq -e ".guests[0].volumes[] | select(.devid == $1) | .reads + .writes"
}

# moves DEVID: the ring is served.
moves() {
    moves_from=$(answered "$1") || return 1
    sim_until 5 moved "$1"
}

moved() {
    [ "$(answered "$1")" -gt "$moves_from" ]
}

in_use() {
    guest_up 1 || return 1
    in_use_log=$(log_end)
    sim_front_bg 1 --queues 2 --depth 8 verify 5s
    busy 1 || return 1
    in_use_worker=$(worker_of 1)
    asked_to_go
    for _ in 1 2 3; do
        sleep 0.7
        [ "$(backend 1 51712 state)" = 5 ] && moves 51712 || return 1
    done
    # The frontend lets go later: then it completes, by itself.
    front_ended 1 && sim_wait $back/1/51712/state 6 -t 5 && sim_until 5 gone "$in_use_worker" &&
        nobody_holds "$DISK/base" && [ -z "$(complaints "$in_use_log")" ] && sim_destroy 1
}

# The toolstack has given up, the operator tries again and again, and once more when it is unused.
given_up() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 14s
    busy 1 || return 1
    given_up_began=$(date +%s)
    asked_to_go
    sim_wait $back/1/51712/state 6 -t 2 && { echo "it was taken"; return 1; }
    asked_to_go
    sim_wait $back/1/51712/state 6 -t 2 && { echo "it was taken"; return 1; }
    moves 51712 && front_ended 1 && sim_wait $back/1/51712/state 6 -t 5 || return 1
    [ $(($(date +%s) - given_up_began)) -ge 12 ] && sim_detach 1 51712 && sim_destroy 1
}

# An operator who thinks better of it.
set_back() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 4s
    busy 1 || return 1
    set_back_worker=$(worker_of 1)
    asked_to_go
    sleep 0.5
    xenstore-write $back/1/51712/online 1 $back/1/51712/state 4
    moves 51712 && [ "$(backend 1 51712 state)" = 4 ] && front_ended 1 || return 1
    # Closed by the guest, for a while: a disk that is wanted keeps its data.
    sim_wait $back/1/51712/state 6 -t 5 && [ "$(worker_of 1)" = "$set_back_worker" ] &&
        sim_front 1 verify 50 && sim_detach 1 51712 && sim_until 5 gone "$set_back_worker" &&
        sim_destroy 1
}

# --force on one of two: at once, with I/O in flight, and the other one does not notice.
forced() {
    guest_up 1 && disk 1 51728 "$DISK/base" || return 1
    front_beside 1 51712 --queues 4 --indirect 256 --depth 8 verify 600s
    front_beside 1 51728 verify 4s
    sim_wait /local/domain/1/device/vbd/51712/state 4 -t 10 &&
        sim_wait /local/domain/1/device/vbd/51728/state 4 -t 10 && moves 51712 || return 1
    forced_worker=$(worker_of 1)
    forced_began=$(date +%s%N)
    "$B/tests/toolstack" force 1 51712 || return 1
    forced_took=$((($(date +%s%N) - forced_began) / 1000000))
    echo "forced after $forced_took ms"
    sim_end KILL front.1.51712
    [ $forced_took -lt 8000 ] && [ "$(worker_of 1)" = "$forced_worker" ] && moves 51728 &&
        listed '.guests[0].volumes | length' | grep -x 1 && front_ended 1.51728 && sim_destroy 1
}

# Forced after a plain detach was given up, which is what an operator does.
forced_later() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1 && asked_to_go && sleep 1 && moves 51712 || return 1
    later_worker=$(worker_of 1)
    "$B/tests/toolstack" force 1 51712 && sim_until 5 gone "$later_worker" || return 1
    sim_end KILL front.1
    sim_destroy 1
}

# The same with a worker that hangs.
forced_hanging() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1 || return 1
    hanging_worker=$(worker_of 1)
    sim_freeze "$hanging_worker"
    "$B/tests/toolstack" force 1 51712 && sim_until 5 gone "$hanging_worker" || return 1
    sim_end KILL front.1
    sim_destroy 1
}

uuid_refused() {
    attach_only 1 51712 "$DISK/base" && not helper 1 51712 &&
        backend 1 51712 hotplug-error | grep -F "ephemctl forget $unwatched_uuid"
}

# A request to suspend may have come while no daemon ran: who is torn from its disk then counts as
# suspended.
forced_unwatched() {
    guest_up 1 && disk 1 51728 "$DISK/base" || return 1
    unwatched_uuid=$("$B/ephemctl" status --json | jq -r '.guests[0].uuid')
    front_beside 1 51712 verify 600s
    front_beside 1 51728 verify 20s
    sim_wait /local/domain/1/device/vbd/51712/state 4 -t 10 &&
        sim_wait /local/domain/1/device/vbd/51728/state 4 -t 10 || return 1
    unwatched_log=$(log_end) unwatched_worker=$(worker_of 1)
    daemon_left && daemon_start && sim_until 20 taken_back "$unwatched_worker" && moves 51712 &&
        "$B/tests/toolstack" force 1 51712 || return 1
    sim_end KILL front.1.51712
    complaints "$unwatched_log" |
        grep -F "($unwatched_uuid) has ended in the middle of its work" || return 1
    moves 51728 && front_ended 1.51728 && sim_destroy 1 || return 1
    sim_domain 1 guest1 "$unwatched_uuid" && uuid_refused &&
        "$B/ephemctl" forget "$unwatched_uuid" && sim_destroy 1 &&
        sim_domain 1 guest1 "$unwatched_uuid" && disk 1 51712 "$DISK/base" && sim_destroy 1
}

# Nothing is left to wait for: somebody has removed the backend's directory, or the whole domain.
removed() {
    for removed_path in $back/1/51712 /local/domain/1; do
        guest_up 1 || return 1
        sim_front_bg 1 verify 600s
        busy 1 || return 1
        removed_worker=$(worker_of 1)
        xenstore-rm "$removed_path"
        sim_until 10 gone "$removed_worker" && nobody_holds "$DISK/base" || return 1
        sim_end KILL front.1
        sim_destroy 1 || return 1
    done
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
check "a disk in use is served until its frontend lets go" in_use
check "a detach that was given up completes later" given_up
check "one that was taken back leaves everything as it was" set_back
check "--force takes a disk at work within the toolstack's time, its neighbour stays" forced
check "also after a detach that was given up" forced_later
check "and from a worker that hangs" forced_hanging
check "forced on one of two after a restart: the UUID is refused until it is forgotten" forced_unwatched
check "a backend or a domain that is removed is not waited for" removed
case_end
