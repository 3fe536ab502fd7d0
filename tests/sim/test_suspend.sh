#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Save, restore and migration, in the order in which libxl writes: control/shutdown=suspend, the guest's
# answer, the guest stops, then either its end (save) or nothing at all (save -c, a migration that
# failed). The copy is a new domain with the same UUID, whose disks are attached before it runs.
#
# Refused means: the hotplug script fails with one line, the same stands in hotplug-error, no worker
# is started. What goes on is fxfront's verify in the background: it exits 0 only if every answer
# came and was right.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

number=0

# A UUID nobody has had.
fresh() {
    number=$((number + 1))
    uuid=$(printf '5a5e0000-0000-4000-8000-%012d' $number)
    record=$DISK/state/suspended/$uuid
}

guest_up() {
    sim_domain "$1" "${2:-guest$1}" "$uuid" && disk "$1" 51712 "$DISK/base"
}

shutdown_node() {
    xenstore-write "/local/domain/$1/control/shutdown" "$2"
}

recorded() {
    [ -e "$record" ]
}

# As libxl asks and Linux answers.
ask_suspend() {
    shutdown_node "$1" suspend && sim_until 5 recorded && shutdown_node "$1" ""
}

# More than a command and its answer before the daemon has looked.
suspend_unread() {
    sim_freeze "$(cat "$SIM/pid/daemon")" && shutdown_node "$1" suspend &&
        shutdown_node "$1" "" && kill -CONT "$(cat "$SIM/pid/daemon")" && daemon_answers
}

# refused N WORDS [NAME]: a domain with $uuid gets no disk.
refused() {
    refused_status=0
    sim_domain "$1" "${3:-guest$1}" "$uuid" && attach_only "$1" 51712 "$DISK/base" || return 1
    helper "$1" 51712 2>"$SIM/words" && { echo "it was accepted"; refused_status=1; }
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -qF -e "$2" "$SIM/words" || refused_status=1
    [ "block-ephem: $(backend "$1" 51712 hotplug-error)" = "$(cat "$SIM/words")" ] ||
        refused_status=1
    [ "$(backend "$1" 51712 hotplug-status)" = error ] && [ -z "$(worker_of "$1")" ] ||
        refused_status=1
    sim_destroy "$1" && return $refused_status
}

accepted() {
    guest_up "$1" && sim_front "$1" verify 50 && sim_destroy "$1"
}

forgotten() {
    "$B/ephemctl" forget "${1:-$uuid}" >"$SIM/words" && grep "$uuid may start anew" "$SIM/words" &&
        ! recorded
}

suspended_words() {
    echo "guest $uuid was suspended: the key of its volumes is gone and its memory does not fit" \
        "pristine ones: throw its saved copies away, then start it anew after: ephemctl forget $uuid"
}

saved() {
    fresh
    guest_up 1 || return 1
    saved_log=$(log_end)
    sim_front_bg 1 verify 600s
    busy 1 && ask_suspend 1 && sim_destroy 1 || return 1
    [ "$(stat -c '%a %U' "$record")" = "600 $(id -un)" ] || { stat "$record"; return 1; }
    grep -qE '^1 [0-9]{10,}$' "$record" || { cat "$record"; return 1; }
    log_since "$saved_log" | grep -c "guest 1 ($uuid) is asked to suspend" | grep -x 1 &&
        refused 2 "$(suspended_words)"
}

listed_by_status() {
    "$B/ephemctl" status | grep "^suspended: guest $uuid, domid 1, at 20.*ephemctl forget $uuid$" &&
        listed '.daemon.suspended | length' | grep -x 1 &&
        listed '.daemon.suspended[0] | [.uuid, .domid, .kept] | join(" ")' |
        grep -x "$uuid 1 true"
}

forget_asks() {
    "$B/ephemctl" forget 2>"$SIM/words"
    [ $? = 2 ] && [ "$(wc -l <"$SIM/words")" = 1 ] || return 1
    for forget_word in nobody 5a5e0000-0000-4000-8000-00000000ffff ../../base \
        5a5e0000-0000-4000-8000-0000000000011; do
        "$B/ephemctl" forget "$forget_word" 2>"$SIM/words" && return 1
        [ "$(wc -l <"$SIM/words")" = 1 ] && grep 'no such suspended guest' "$SIM/words" ||
            return 1
    done
    recorded
}

# In capitals, as people paste UUIDs.
forget_lifts() {
    forgotten "$(echo "$uuid" | tr a-f A-F)" && accepted 3 &&
        listed '.daemon.suspended | length' | grep -x 0
}

# save -c and a failed migration: nothing is destroyed, the frontend stays Connected.
copied() {
    fresh
    guest_up 1 || return 1
    sim_front_bg 1 verify 6s
    busy 1 || return 1
    copied_worker=$(worker_of 1)
    ask_suspend 1 && refused 2 "$(suspended_words)" || return 1
    { disk 1 51728 "$DISK/base" && sim_detach 1 51728; } || { echo "no hot-plug"; return 1; }
    [ "$(worker_of 1)" = "$copied_worker" ] && [ "$(backend 1 51712 state)" = 4 ] || return 1
    # The operator's word, by the name of the guest that runs; then the guest is copied again.
    forgotten guest1 && ask_suspend 1 && front_ended 1 && sim_destroy 1 &&
        refused 2 "$(suspended_words)"
}

incoming() {
    fresh
    refused 4 'receiving end of a migration' web--incoming && ! recorded && accepted 4 || return 1
    sim_domain 4 --incoming "$uuid" && attach_only 4 51712 "$DISK/base" || return 1
    helper 4 51712 && return 1
    sim_destroy 4 && sim_domain 4 incoming "$uuid" && disk 4 51712 "$DISK/base" || return 1
    # Only the first life of a domain is judged by its name.
    xenstore-write /local/domain/4/name web--incoming
    disk 4 51728 "$DISK/base" && sim_destroy 4
}

# busy_end WANTED: guest 1 ends in the middle of its work; is there a record then?
busy_end() {
    sim_destroy 1 || return 1
    if recorded; then ended=recorded; else ended=clean; fi
    [ "$ended" = "$1" ] || { echo "$ended"; return 1; }
}

busy_guest() {
    fresh
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1
}

destroyed() {
    busy_guest && busy_end clean && accepted 1 && ! recorded
}

missed() {
    busy_guest && suspend_unread 1 && ! recorded && busy_end recorded &&
        log_since 0 | grep "guest 1 ($uuid) has ended in the middle of its work" &&
        refused 2 "$(suspended_words)"
}

# What was read is no suspicion; what was not is none once the guest has closed its disks.
power_off() {
    busy_guest && shutdown_node 1 poweroff && daemon_answers && sleep 0.2 &&
        shutdown_node 1 "" && sleep 0.2 && busy_end clean || return 1
    fresh
    guest_up 1 || return 1
    sim_front_bg 1 verify 1s
    busy 1 && suspend_unread 1 && front_ended 1 && busy_end clean
}

# A guest that has itself suspended by an event channel, or removes the node.
silent() {
    busy_guest && xenstore-write /local/domain/1/device/suspend/event-channel 7 &&
        busy_end recorded || return 1
    busy_guest && sim_freeze "$(cat "$SIM/pid/daemon")" && shutdown_node 1 suspend &&
        xenstore-rm /local/domain/1/control/shutdown &&
        kill -CONT "$(cat "$SIM/pid/daemon")" && daemon_answers && ! recorded && busy_end recorded
}

# 6000 writes by the guest itself; its neighbour starts meanwhile.
storm() {
    busy_guest || return 1
    storm_guest=$uuid storm_record=$record storm_log=$(log_end) storm_status=0
    storm_ticks=$(ticks)
    python3 - <<'END' &
import os, socket, struct
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["XENSTORED_RUNDIR"] + "/socket")
f = s.makefile("rb")
for i in range(6000):
    body = b"/local/domain/1/control/shutdown\0" + (b"suspend", b"", b"\xff" * 200, b"halt")[i % 4]
    s.sendall(struct.pack("=IIII", 11, i, 0, len(body)) + body)
    kind, _, _, size = struct.unpack("=IIII", f.read(16))
    f.read(size)
    assert kind == 11, kind
END
    storm_pid=$!
    fresh
    accepted 2 || storm_status=1
    wait $storm_pid || storm_status=1
    sleep 2
    uuid=$storm_guest record=$storm_record
    complaints "$storm_log" >"$SIM/complaints"
    cat "$SIM/complaints"
    [ "$(wc -l <"$SIM/complaints")" -le 2 ] && grep -q "guest 1 .*asked to suspend" \
        "$SIM/complaints" && grep -q 'guest 1 keeps rewriting' "$SIM/complaints" || storm_status=1
    echo "the daemon took $(($(ticks) - storm_ticks)) ticks"
    [ "$(($(ticks) - storm_ticks))" -lt 300 ] || storm_status=1
    busy_end recorded && return $storm_status
}

# The daemon's CPU time, in ticks of 10 ms.
ticks() {
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$(cat "$SIM/pid/daemon")/stat"
}

# Throttled, the guest may be asked unseen.
storm_hides() {
    busy_guest || return 1
    for _ in $(seq 300); do shutdown_node 1 halt; done
    shutdown_node 1 "" && ! recorded && busy_end recorded
}

# Without a UUID there is nothing to refuse it by: said, once.
nameless() {
    sim_domain 1 && xenstore-rm /local/domain/1/vm && disk 1 51712 "$DISK/base" || return 1
    nameless_log=$(log_end)
    for _ in 1 2 3; do shutdown_node 1 suspend && shutdown_node 1 "" || return 1; done
    sleep 0.5
    complaints "$nameless_log" | grep -c 'guest 1 is asked to suspend, and has no UUID' |
        grep -x 1 && sim_destroy 1 && [ "$(complaints "$nameless_log" | wc -l)" = 1 ]
}

restarted() {
    fresh
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1 && ask_suspend 1 && sim_destroy 1 && daemon_left && daemon_start &&
        refused 2 "$(suspended_words)" || return 1
    # The next daemon watches who it takes over.
    busy_guest && daemon_left && daemon_start && ask_suspend 1 && sim_destroy 1 &&
        refused 2 "$(suspended_words)"
}

# Saved and gone while no daemon ran.
unwatched() {
    busy_guest || return 1
    sim_kill daemon
    shutdown_node 1 suspend && shutdown_node 1 "" || return 1
    sim_freeze "$(cat "$SIM/pid/front.1")"
    xenstore-rm /local/domain/1/device/vbd/51712
    daemon_start && sim_until 10 recorded && sim_destroy 1 && refused 2 "$(suspended_words)"
}

# Nobody can ask the worker of a life that was taken over: it hangs, or is of another version.
unanswered() {
    busy_guest && unanswered_worker=$(worker_of 1) && daemon_left &&
        sim_freeze "$unanswered_worker" && daemon_start && sleep 0.5 || return 1
    unanswered_status=0
    ask_suspend 1 || unanswered_status=1
    kill -CONT "$unanswered_worker"
    sim_until 20 daemon_knows 1 && sim_destroy 1 && refused 2 "$(suspended_words)" || return 1
    return $unanswered_status
}

daemon_knows() {
    [ "$(worker_of "$1")" = "$unanswered_worker" ]
}

# What a worker says of its guest does not count where the daemon has noted it.
noted() {
    fresh
    guest_up 1 && grep -qE "^[0-9]+ [0-9]+ $uuid$" "$SIM"/run/workers/1.*.pid && sim_destroy 1
}

# Asked, saved and gone, the disks by force as libxl does after 10 s, before the daemon has looked.
overslept() {
    busy_guest && sim_freeze "$(cat "$SIM/pid/daemon")" && shutdown_node 1 suspend &&
        shutdown_node 1 "" && sim_freeze "$(cat "$SIM/pid/front.1")" || return 1
    for overslept_node in /local/domain/1/device/vbd/51712 \
        /local/domain/0/backend/vbd3/1/51712 /local/domain/1; do
        xenstore-rm "$overslept_node" || return 1
    done
    kill -CONT "$(cat "$SIM/pid/daemon")" && sim_until 10 recorded && sim_destroy 1 &&
        refused 2 "$(suspended_words)"
}

# The store has what is no record in it, and then cannot be written.
unwritable() {
    mkdir "$DISK/state/suspended/x" && : >"$DISK/state/suspended/5a5e0000" || return 1
    mv "$DISK/state/suspended" "$DISK/state/away" && : >"$DISK/state/suspended" || return 1
    busy_guest || return 1
    unwritable_log=$(log_end) unwritable_status=0
    for _ in 1 2 3; do
        shutdown_node 1 suspend
        sim_until 5 in_memory || unwritable_status=1
        shutdown_node 1 ""
    done
    log_since "$unwritable_log" | grep -c 'this is not on disk (Not a directory)' | grep -x 1 ||
        unwritable_status=1
    sim_destroy 1
    refused 2 "$(suspended_words)" || unwritable_status=1
    "$B/ephemctl" status | grep "$uuid.*, not on disk" || unwritable_status=1
    forgotten && accepted 2 || unwritable_status=1
    daemon_left
    sim_run timeout 20 "$B/blkback-ephemd" --worker "$B/blkback-ephem" --pool "dir:$DISK/pool" \
        --run-dir "$SIM/run" --state-dir "$DISK/state" >"$SIM/words" 2>&1 && unwritable_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q "$DISK/state/suspended" "$SIM/words" ||
        unwritable_status=1
    rm "$DISK/state/suspended" && mv "$DISK/state/away" "$DISK/state/suspended"
    daemon_start && return $unwritable_status
}

in_memory() {
    listed '.daemon.suspended[] | select(.kept == false) | .uuid' | grep -x "$uuid"
}

case_begin --queues 4
make_base "$DISK/base" $((8 << 20))
check "a saved guest leaves a record and its restored copy is refused" saved
check "status lists it" listed_by_status
check "forget wants a guest that was suspended" forget_asks
check "and lifts the record" forget_lifts
check "a guest that is copied goes on, hot-plug included; its copy is refused" copied
check "the receiving end of a migration is refused by its name" incoming
check "a guest destroyed at work leaves no record" destroyed
check "unless it was told something that was missed" missed
check "one that closes its disks leaves none" power_off
check "suspended by an event channel, or without the node" silent
check "a storm on control/shutdown is throttled, with one record and two lines" storm
check "what a storm may have hidden is recorded" storm_hides
check "a guest without a UUID is warned of" nameless
check "records and watches survive the daemon" restarted
check "a guest saved while no daemon ran is recorded" unwatched
check "so is one whose worker does not answer the next daemon" unanswered
check "whose UUID the daemon has noted itself" noted
check "one that was saved and gone before the daemon looked, too" overslept
check "without a place for records they hold as long as the daemon" unwritable
case_end
