#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Library for tests that run production binaries against the real xenstored without a hypervisor.
# A test sources it with $B set to the build folder, calls sim_start, and ends by sim_stop:
#
#   sim_start                      an own instance: pretended hypervisor, xenstored, log folder
#   sim_run COMMAND...             runs a program in dom0 of this instance (in the foreground)
#   sim_daemon NAME COMMAND...     the same in the background, log in $SIM/log/NAME
#   sim_domain N [NAME [UUID]]     a running domain with its xenbus, known to xenstored; as with
#                                  xl each has a UUID of its own, unless one is given
#   sim_driver N [NAME [UUID]]     the same, a driver domain
#   sim_build N [NAME [UUID]]      the same, as its toolstack has it: paused, and it has never run
#   sim_attach N DEVID TARGET [KEY=VALUE]...   one tap disk as libxl writes it; see toolstack.c
#   sim_detach N DEVID             as libxl: online=0, state=5, wait for 6
#   sim_front N ARGUMENT...        fxfront as domain N, in the foreground; see front/main.c
#   sim_front_bg N ARGUMENT...     in the background: pid in $sim_pid, log in $SIM/log/front.N
#   sim_wait PATH VALUE... [-t S]  until a node has one of the values ("-": is gone)
#   sim_until SECONDS COMMAND...   until a command succeeds
#   sim_shutdown N [REASON]        the guest has shut down (0 off, 1 reboot, 2 suspend, 3 crash)
#   sim_destroy N                  as libxl: pause, close the disks, end the domain; leak check
#   sim_freeze PID                 SIGSTOP for a program on the stand-ins (a bare kill -STOP may
#                                  catch it inside their lock, and then nothing moves any more)
#   sim_kill NAME                  kill -9 a daemon, then what the kernel does for a dead process
#   sim_stop                       ends everything; fails if a domain left mappings or ports
#
# With SIM_TRACE set, $SIM/trace is xenstored's record of all that was asked and answered; the words of SIM_STORE are
# options of xenstored.
#
# Functions return non-zero on failure after showing the tails of the logs. One shell drives one
# instance; parallel tests are parallel shells. Nothing is shared between instances, and what a test
# leaves behind (a crash of the shell too) is ended by its EXIT trap.

sim_here=$(cd "${SIM_SOURCE:-$(dirname "$0")}" && pwd)
B=$(cd "${B:-build}" && pwd)
sim_libs=$B/tests/fakexen
# shellcheck source=tests/account.sh
. "$sim_here/../account.sh"

sim_logs() {
    for sim_log in "$SIM"/log/*; do
        [ -s "$sim_log" ] || continue
        echo "--- $(basename "$sim_log"), last lines:"
        tail -n "${SIM_TAIL:-15}" "$sim_log"
    done >&2
}

sim_fail() {
    echo "sim: $*" >&2
    sim_logs
    return 1
}

sim_run() {
    LD_LIBRARY_PATH=$sim_libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$@"
}

sim_daemon() {
    sim_name=$1
    shift
    # env replaces itself by the program: the pid is the program's own.
    env LD_LIBRARY_PATH="$sim_libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@" \
        >>"$SIM/log/$sim_name" 2>&1 </dev/null &
    sim_pid=$!
    echo "$sim_pid" >"$SIM/pid/$sim_name"
}

# Ends one background program by its own pid: signal, name. Waits for it.
sim_end() {
    [ -f "$SIM/pid/$2" ] || return 0
    sim_pid=$(cat "$SIM/pid/$2")
    rm -f "$SIM/pid/$2"
    kill -"$1" "$sim_pid" 2>/dev/null || :
    wait "$sim_pid" 2>/dev/null || :
}

sim_until() {
    sim_tries=$(($1 * 50))
    shift
    while ! "$@" >/dev/null 2>&1; do
        sim_tries=$((sim_tries - 1))
        [ $sim_tries -gt 0 ] || { sim_fail "still not: $*"; return 1; }
        sleep 0.02
    done
}

sim_start() {
    SIM=$(mktemp -d /dev/shm/fx.XXXXXX)
    mkdir "$SIM/log" "$SIM/pid" "$SIM/xs"
    chmod 755 "$SIM"
    export SIM
    export FAKEXEN_DIR="$SIM/hv" XENSTORED_RUNDIR="$SIM/xs"
    unset FAKEXEN_DOMID XENSTORED_PATH
    trap 'sim_clean' EXIT
    trap 'exit 130' INT TERM
    sim_store=$("$sim_here/../fakexen/get-xenstored.sh") || return 1
    "$B/tests/fxctl" init || { sim_fail "fxctl init"; return 1; }
    # shellcheck disable=SC2086 # words
    sim_daemon xenstored env LD_PRELOAD="$sim_libs/xsdopen.so" "$sim_store" -N -F "$SIM/xs/pid" \
        ${SIM_TRACE:+-T "$SIM/trace"} ${SIM_STORE:-}
    sim_until 30 xenstore-exists /tool
    xenstore-write /local/domain/0/domid 0 /local/domain/0/name Domain-0
}

sim_domain() {
    "$B/tests/fxctl" "${sim_make:-create}" "$1" || { sim_fail "create $1"; return 1; }
    "$B/tests/toolstack" "${sim_kind:-domain}" "$1" "${2:-guest$1}" \
        "${3:-$(cat /proc/sys/kernel/random/uuid)}" || return 1
    sim_daemon "guestxs.$1" "$B/tests/guestxs" "$1" "$SIM/xenbus.$1"
    sim_until 30 test -S "$SIM/xenbus.$1"
}

sim_build() {
    sim_make=build
    sim_domain "$@"
    sim_status=$?
    sim_make=
    return $sim_status
}

sim_driver() {
    sim_kind=driver
    sim_domain "$@"
    sim_status=$?
    sim_kind=
    return $sim_status
}

sim_attach() {
    "$B/tests/toolstack" attach "$@" || sim_fail "attach $*"
}

sim_detach() {
    "$B/tests/toolstack" detach "$@" || sim_fail "detach $*"
}

sim_wait() {
    "$B/tests/toolstack" wait "$@" || sim_fail "wait $*"
}

sim_front() {
    sim_domid=$1
    shift
    sim_run env FAKEXEN_DOMID="$sim_domid" XENSTORED_PATH="$SIM/xenbus.$sim_domid" \
        "$B/tests/fxfront" "$@" || { sim_status=$?; sim_fail "fxfront: exit $sim_status"; \
        return $sim_status; }
}

sim_front_bg() {
    sim_domid=$1
    shift
    sim_daemon "front.$sim_domid" env FAKEXEN_DOMID="$sim_domid" \
        XENSTORED_PATH="$SIM/xenbus.$sim_domid" "$B/tests/fxfront" "$@"
}

sim_shutdown() {
    "$B/tests/fxctl" shutdown "$@"
}

# Xen 4.17's xenstored waits for the rest of a message that it has begun to read, and for nobody else then: who is in the
# middle of one gets on.
sim_freeze() {
    for sim_try in 1 2 3 4 5 6 7 8 9; do
        "$B/tests/fxctl" stop "$1" || return 1
        timeout 2 xenstore-exists /tool 2>/dev/null
        [ $? = 124 ] || return 0 # it answers, or is not there
        kill -CONT "$1"
        sleep "0.0$sim_try"
    done
    sim_fail "$1 cannot be stopped outside of a message to xenstored"
}

sim_leaks() {
    "$B/tests/fxctl" gc >/dev/null
    "$B/tests/fxctl" leaks "$1" >"$SIM/log/leaks.$1"
}

sim_destroy() {
    sim_result=0
    if [ -f "$SIM/pid/front.$1" ]; then
        sim_freeze "$(cat "$SIM/pid/front.$1")" 2>/dev/null || :
    fi
    "$B/tests/fxctl" pause "$1" || sim_result=1
    "$B/tests/toolstack" destroy "$1" || sim_result=1
    "$B/tests/fxctl" destroy "$1" || sim_result=1
    sim_end KILL "front.$1"
    sim_end TERM "guestxs.$1"
    sim_until 10 sim_leaks "$1" || sim_result=1
    [ $sim_result = 0 ] || sim_fail "destroy $1"
}

sim_kill() {
    sim_end KILL "$1"
    "$B/tests/fxctl" gc >/dev/null
}

# Ends whatever still runs. Daemons first, so that xenstored is there while they leave.
sim_clean() {
    for sim_file in "$SIM"/pid/*; do
        sim_name=$(basename "$sim_file")
        case $sim_name in
        '*' | xenstored) ;;
        front.*) sim_end KILL "$sim_name" ;;
        *) sim_end TERM "$sim_name" ;;
        esac
    done
    sim_end TERM xenstored
    [ -n "${SIM_KEEP:-}" ] || rm -rf "$SIM"
}

# The domains the pretended hypervisor still knows, apart from dom0.
sim_domids() {
    "$B/tests/fxctl" dump | awk '/^domain/ && $2 != "0:" { sub(":", "", $2); print $2 }'
}

sim_stop() {
    sim_stopped=0
    for sim_left in $(sim_domids); do
        sim_destroy "$sim_left" || sim_stopped=1
    done
    sim_clean
    trap - EXIT
    return $sim_stopped
}
