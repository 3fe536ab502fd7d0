#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# xenstored dies while rings are served, and comes back: with what it knew (as one that keeps its store),
# with nothing (as C xenstored does after a crash, wherever its database lay), or it is replaced by
# itself without ever being gone (live update). Rings are served throughout and the daemon, which has
# lost its eyes, does not spin. libxenstore wakes nobody when its connection breaks: the daemon notices
# when it next asks something, at the latest after 10 s.
#
# The guest's own connection to xenstored dies with it, so fxfront only moves data (verify) and then
# waits to be killed (pause); what its driver would write dom0 writes for it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3

guest_up() {
    sim_domain "$1" && disk "$1" 51712 "$DISK/base"
}

# The daemon's CPU time, in ticks of 10 ms.
ticks() {
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$(cat "$SIM/pid/daemon")/stat"
}

# quiet SECONDS: the daemon uses at most 5% of a CPU.
quiet() {
    quiet_from=$(ticks)
    sleep "$1"
    quiet_took=$(($(ticks) - quiet_from))
    echo "$quiet_took ticks in $1 s"
    [ $quiet_took -le $(($1 * 5)) ]
}

answered() {
    "$B/ephemctl" status --json |
        jq '.guests[] | select(.domid == 1) | .volumes[0] | .reads + .writes'
}

moves() {
    moves_from=$(answered) || return 1
    sim_until 5 moved
}

moved() {
    [ "$(answered)" -gt "$moves_from" ]
}

said() {
    log_since "$said_from" | grep -qF "$1"
}

# Guest 1 is at work, and xenstored is killed.
blind() {
    guest_up 1 || return 1
    said_from=$(log_end)
    sim_front_bg 1 --queues 2 verify 600s
    busy 1 || return 1
    worker=$(worker_of 1)
    xenstore-ls -f -p / >"$SIM/store" || return 1
    sim_kill xenstored
    quiet 3 && moves && sim_until 15 said "xenstored's connection broke" && moves && quiet 3 &&
        [ "$(worker_of 1)" = "$worker" ] &&
        "$B/ephemctl" status | grep 'xenstored does not answer'
}

# shellcheck disable=SC2154 # sim.sh's
xenstored_again() {
    sim_daemon xenstored env LD_PRELOAD="$sim_libs/xsdopen.so" "$sim_store" -N -F "$SIM/xs/pid"
    sim_until 10 xenstore-exists /tool
}

# What `xenstore-ls -f -p` has printed: path = "value"   (owner,others...)
put_back() {
    python3 - "$SIM/store" <<'END'
import re, subprocess, sys
for line in open(sys.argv[1]):
    path, value, perms = re.fullmatch(r'(\S+) = "(.*)"\s+\(([a-z0-9,]+)\)\n', line).groups()
    if path.startswith("/local") or path.startswith("/vm") or path.startswith("/libxl"):
        subprocess.run(["xenstore-write", path, value], check=True)
        subprocess.run(["xenstore-chmod", path] + perms.split(","), check=True)
END
}

# A guest that ended at work after a time in which nobody watched it may have been saved.
recorded() {
    [ -e "$DISK/state/suspended/$1" ]
}

uuid_of() {
    xenstore-read "/local/domain/$1/vm" | cut -c5-
}

remembers() {
    guest_up 3 || return 1
    sim_front_bg 3 verify 600s
    busy 3 && blind || return 1
    sim_freeze "$(cat "$SIM/pid/daemon")"
    remembers_status=0
    xenstored_again && put_back || remembers_status=1
    kill -CONT "$(cat "$SIM/pid/daemon")"
    [ $remembers_status = 0 ] && sim_until 5 said "xenstored is back" && moves && quiet 3 ||
        return 1
    said 'has forgotten' && { echo "it has not"; return 1; }
    [ "$(worker_of 1)" = "$worker" ] && [ "$(backend 1 51712 state)" = 4 ] && moves &&
        guest_up 2 && sim_front 2 verify 50 && sim_destroy 2 || return 1
    remembers_one=$(uuid_of 1) remembers_three=$(uuid_of 3)
    sim_destroy 3 && recorded "$remembers_three" || return 1
    # It is watched again: the guest lets go.
    sim_end KILL front.1
    guest_write 1 51712 state 6
    sim_wait $back/1/51712/state 6 -t 5 && sim_destroy 1 && sim_until 5 gone "$worker" &&
        not recorded "$remembers_one"
}

forgets() {
    blind && xenstored_again &&
        xenstore-write /local/domain/0/domid 0 /local/domain/0/name Domain-0 || return 1
    sim_until 5 said 'has forgotten' && sim_until 5 said 'xenstored is back' && moves &&
        quiet 3 && moves && [ "$(worker_of 1)" = "$worker" ] || return 1
    log_since "$said_from" | grep -c 'has forgotten' | grep -x 1 &&
        guest_up 2 && sim_front 2 verify 50 && sim_destroy 2 || return 1
    # Its guest ends, its worker is ended by hand, its domid is another guest's.
    sim_end KILL front.1
    kill -9 "$worker"
    "$B/tests/fxctl" destroy 1
    sim_end TERM guestxs.1
    sim_until 10 sim_leaks 1 && sim_until 5 no_workers && guest_up 1 && sim_front 1 verify 50 && sim_destroy 1
}

# While `ephemctl attach` waits for a guest that does not come; nothing is claimed of what cannot be known.
attaching() {
    sim_domain 4 || return 1
    attaching_words=$SIM/log/attaching
    sim_daemon attaching "$B/ephemctl" attach 4 xvdb blank:8M --wait 4
    attaching_pid=$sim_pid
    sim_wait $back/4/51728/hotplug-status connected -t 10 || return 1
    sleep 0.5
    said_from=$(log_end)
    xenstore-ls -f -p / >"$SIM/store"
    sim_kill xenstored
    wait "$attaching_pid" && return 1
    cat "$attaching_words"
    head -n 1 "$attaching_words" | grep -F "xenstore does not answer any more: the guest may have the disk" || return 1
    sim_until 15 said "xenstored's connection broke" || return 1
    sim_freeze "$(cat "$SIM/pid/daemon")"
    attaching_status=0
    xenstored_again && put_back || attaching_status=1
    kill -CONT "$(cat "$SIM/pid/daemon")"
    [ $attaching_status = 0 ] && sim_until 5 said "xenstored is back" &&
        sim_run "$B/ephemctl" detach 4 xvdb && sim_destroy 4
}

live_update() {
    live_control=$(dirname "$sim_store")/xenstore-control
    guest_up 1 || return 1
    said_from=$(log_end)
    sim_front_bg 1 verify 6s
    busy 1 || return 1
    worker=$(worker_of 1)
    timeout 20 "$live_control" live-update -F -t 10 "$sim_store" || return 1
    tr '\0' ' ' <"/proc/$(cat "$SIM/pid/xenstored")/cmdline" | grep -e ' -U' || return 1
    moves && quiet 2 && disk 1 51728 "$DISK/base" && sim_detach 1 51728 || return 1
    said "xenstored's connection broke" && { echo "it did not"; return 1; }
    front_ended 1 && sim_wait $back/1/51712/state 6 -t 5 && sim_destroy 1 &&
        sim_until 5 gone "$worker"
}

case_begin --queues 4
make_base "$DISK/base" $((8 << 20))
check "xenstored dies and comes back with its store" remembers
check "xenstored dies under an attach that waits" attaching
check "xenstored dies and comes back with nothing" forgets
check "xenstored is updated live" live_update
case_end
