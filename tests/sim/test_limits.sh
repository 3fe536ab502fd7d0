#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The limits of workers' control groups: written when a guest gets its first disk, raised with more of
# them and when they grow, found again by the next daemon, whatever a service manager has done to them
# meanwhile; gone again after a crash. And what must not move them: a note that is none, a worker's words.
#
# For each GiB of a volume, the last one begun counting whole, there are 2 MiB of memory.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=1048576
groups=

# Guest N with a disk of 8 MiB, and what memory its worker may have then.
guest_up() {
    sim_domain "$1" && disk "$1" 51712 "$DISK/base" || return 1
    worker=$(worker_of "$1") memory=$(limits | cut -d' ' -f3)
}

# The daemon in a unit of a service manager, as far as files go (fakecgroup.c).
grouped_daemon() {
    DAEMON_UNDER="env LD_PRELOAD=$sim_libs/fakecgroup.so FAKECGROUP=$SIM/cgroup"
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
        daemon_start --cgroup on "$@"
}

again() {
    daemon_left && grouped_daemon && sim_until 10 taken_back "$worker"
}

group() {
    echo "$groups"/guest-1-*
}

# The four limits of guest 1, in one line.
limits() {
    for limits_of in cpu.weight pids.max memory.max memory.swap.max; do
        xargs <"$(group)/$limits_of"
    done | xargs
}

# As systemd leaves them when it takes the controllers away and gives them back.
limits_lost() {
    for lost in "cpu.weight 100" "pids.max max" "memory.max max" "memory.swap.max max"; do
        echo "${lost#* }" >"$(group)/${lost% *}"
    done
}

limits_are() {
    echo "limits $(limits), expected $1"
    [ "$(limits)" = "$1" ]
}

# Memory for so many GiB more than the guest began with.
more_are() {
    limits_are "100 7 $((memory + ($1 << 21))) 0"
}

note() {
    echo "$SIM/run/workers/1".*.limits
}

nothing_stays() {
    sim_destroy 1 && sim_until 5 no_group && sim_until 5 no_files
}

no_group() {
    [ -z "$(find "$groups" -name 'guest-*')" ]
}

no_files() {
    [ -z "$(ls "$SIM/run/workers/1".* 2>/dev/null)" ]
}

kept() {
    guest_up 1 && [ "$(cat "$(group)/cgroup.procs")" = "$worker" ] || return 1
    [ "$memory" -gt $(((256 + 2 * 16) << 20)) ] && more_are 0 || return 1
    disk 1 51728 "$DISK/base,size=2049M" && more_are 3 || return 1
    limits_lost && again && more_are 3 || return 1
    limits_lost && disk 1 51744 "$DISK/base" && more_are 4 || return 1
    # What it was once allowed it keeps, whatever it holds when it is taken over.
    sim_detach 1 51728 && sim_detach 1 51744 && limits_lost && again && more_are 4 || return 1
    disk 1 51728 "$DISK/base,size=3G" && more_are 4 && disk 1 51744 "$DISK/base,size=2G" &&
        more_are 5 && nothing_stays
}

# The note is replaced, never rewritten; what a daemon leaves that ends in between does no harm.
replaced() {
    guest_up 1 || return 1
    ln "$(note)" "$SIM/note"
    echo cut >"$(note | sed 's/limits$/new/')"
    cat "$SIM/note" >"$SIM/before"
    disk 1 51728 "$DISK/base,size=2G" && more_are 2 && cmp "$SIM/note" "$SIM/before" &&
        ! cmp -s "$(note)" "$SIM/before" || return 1
    echo cut >"$(note | sed 's/limits$/new/')"
    again && more_are 2 && rm "$SIM/note" && nothing_stays
}

unknown_told() {
    log_since "$unknown_log" | grep -c "of its worker's limits nothing usable is noted"
}

# Nothing is lowered, nor lifted; and what else a service manager took away comes back.
unknown() {
    guest_up 1 || return 1
    unknown_note=$(note)
    cp "$unknown_note" "$SIM/note"
    for unknown_case in none empty cut; do
        case $unknown_case in
        none) rm "$unknown_note" ;;
        empty) : >"$unknown_note" ;;
        cut) tr -d '\n' <"$SIM/note" >"$unknown_note" ;;
        esac
        unknown_log=$(log_end)
        echo "$unknown_case"
        again && more_are 0 && [ "$(unknown_told)" = 1 ] || return 1
    done
    disk 1 51728 "$DISK/base,size=2G" && more_are 0 || return 1
    limits_lost && again && limits_are "100 max max 0" || return 1
    # Noted as before: the disk that came meanwhile counts too, by what xenstore says of it.
    cp "$SIM/note" "$unknown_note"
    again && sim_until 5 more_are 2 && nothing_stays
}

# The daemon is killed in the moment in which it would give a worker its second volume.
window() {
    guest_up 1 && touch "$SIM/cgroup/die" && sim_attach 1 51728 "$DISK/base,size=2G" || return 1
    window_daemon=$(cat "$SIM/pid/daemon")
    sim_until 10 ended "$window_daemon" && rm "$SIM/cgroup/die" && sim_kill daemon && more_are 2 &&
        limits_lost && grouped_daemon && sim_until 10 taken_back "$worker" && more_are 2 && nothing_stays
}

# It is this shell's child, so the kernel keeps it as a zombie.
ended() {
    ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status"
}

grown_to() {
    log_since "$grown_log" | grep "has grown with its base to $1 bytes"
}

size_is() {
    [ "$(listed ".guests[] | select(.domid == 1) | .volumes[0].size")" = "$1" ]
}

# Under the daemon's eyes, and while there is none.
grown() {
    cp "$DISK/base" "$DISK/grows"
    sim_domain 1 && disk 1 51712 "$DISK/grows" || return 1
    worker=$(worker_of 1) memory=$(limits | cut -d' ' -f3) grown_log=$(log_end)
    truncate -s $((1024 * MIB)) "$DISK/grows"
    sim_until 10 size_is $((1024 * MIB)) && more_are 0 || return 1
    truncate -s $((2049 * MIB)) "$DISK/grows"
    sim_until 10 size_is $((2049 * MIB)) && more_are 2 || return 1
    sim_kill daemon
    truncate -s $((4096 * MIB)) "$DISK/grows"
    sim_until 10 grown_to $((4096 * MIB)) && limits_lost && grouped_daemon &&
        sim_until 10 size_is $((4096 * MIB)) && sim_until 10 more_are 3 && nothing_stays
}

liar_told() {
    log_since "$liar_log" | grep "has $((1024 * MIB)): the worker gets no memory for the rest"
}

# A worker that says that its volume has grown, and says so again when it is taken over.
liar() {
    mkdir "$DISK/fake"
    truncate -s $((1024 * MIB)) "$DISK/liar"
    export EPHEM_FAKE_DIR="$DISK/fake"
    daemon_left && grouped_daemon --worker "$B/tests/fakeworker" && sim_domain 1 &&
        disk 1 51712 "$DISK/liar" || return 1
    worker=$(worker_of 1) memory=$(limits | cut -d' ' -f3) liar_log=$(log_end)
    echo "grow 3" >"$DISK/fake/$worker.in"
    sim_until 10 size_is $((1024 * MIB + 3 * 512)) && liar_told && more_are 0 || return 1
    liar_log=$(log_end)
    limits_lost && again && sim_until 10 size_is $((1024 * MIB + 3 * 512)) &&
        sim_until 10 liar_told && more_are 0 || return 1
    nothing_stays && again_nobody
}

again_nobody() {
    daemon_left && grouped_daemon
}

# A crashed worker's group, in which its undertaker still works: another process here. The daemon does not
# wait for it, and nothing else has to happen for the group to go.
crashed() {
    guest_up 1 || return 1
    sleep 300 &
    sleeper=$!
    crashed_group=$(group) crashed_log=$(log_end)
    echo "$sleeper" >"$crashed_group/cgroup.procs"
    : >"$SIM/cgroup/refused"
    kill -9 "$worker"
    sim_until 5 worker_missed && sleep 0.3 && [ -d "$crashed_group" ] &&
        "$B/ephemctl" list >/dev/null
    crashed_status=$? crashed_tries=$(grep -cx "$crashed_group" "$SIM/cgroup/refused")
    kill -9 "$sleeper"
    wait "$sleeper" 2>/dev/null
    echo "$crashed_tries tries"
    [ $crashed_status = 0 ] && [ "$crashed_tries" -ge 2 ] && [ "$crashed_tries" -le 12 ] &&
        sim_until 5 no_group && nothing_stays
}

worker_missed() {
    log_since "$crashed_log" | grep -q "guest 1: worker $worker "
}

case_begin
make_base "$DISK/base" $((8 * MIB))
groups=$SIM/cgroup/fs/unit
mkdir -p "$groups/daemon"
echo "0::/unit/daemon" >"$SIM/cgroup/cgroup"
echo "30 20 0:26 / $SIM/cgroup/fs rw - cgroup2 cgroup2 rw" >"$SIM/cgroup/mountinfo"
touch "$groups/cgroup.subtree_control" "$groups/daemon/cpu.weight"
check "the daemon finds its group" again_nobody
check "a group whose worker crashed goes when it can, and holds nobody up" crashed
check "limits are written again at a take-over" kept
check "their note is replaced by a whole one" replaced
check "without a usable note they are left alone" unknown
check "a volume's memory is noted before its worker has it" window
check "a disk that grows brings memory" grown
check "one that is said to have grown brings none" liar
case_end
