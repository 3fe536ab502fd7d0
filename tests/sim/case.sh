#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Library for the tests of the product on the stand-ins: sim.sh, the daemon, a folder on disk for
# bases and the pool, and the counting of results. A test sources it and ends by case_end.
#
#   case_begin [OPTION]...       an instance with a daemon (options are the daemon's); sets
#                                $DISK, a folder on a file system with O_DIRECT and O_TMPFILE;
#                                the daemon's configuration is in $DISK/etc, which is not there,
#                                its records of suspended guests in $DISK/state
#   case_start                   all that but the daemon, which then daemon_start starts; it runs in
#                                domain $HOST, where that is set
#   check NAME COMMAND...        prints ok or not ok, and the command's last words if not ok
#   skip NAME WHY
#   daemon_start [OPTION]...     the daemon, until it answers; its log is $SIM/log/daemon; the
#                                words of $DAEMON_UNDER stand before its command
#   make_base FILE BYTES         a base of random bytes
#   disk N DEVID TARGET [K=V]... attach as libxl does: InitWait, hotplug script, its verdict
#   helper N DEVID [ACTION]      the hotplug script alone
#   guest_write N DEVID KEY VALUE  a node of the frontend
#   front_beside N DEVID ARGUMENT...  fxfront in the background, several of a guest at once; its
#                                pid file and log are front.N.DEVID
#   busy N                       until the guest's first disk is connected and its front verifies
#   front_ended N                waits for a background front; fails as it failed
#   backend N DEVID KEY          a node of the backend
#   listed FILTER                jq on `ephemctl list --json`
#   worker_of N                  pid of a guest's worker
#   pool_fd_of N                 its pool's file: the descriptor, in /proc
#   workers                      pids of all workers that are alive, of any daemon of this test
#   no_such_domain VERB NAME...  of ephemctl: each is refused with one line, and two names are wrong usage
#   nobody_holds PATH            no process has a file of that path (or below it) open
#   complaints FROM              lines of warning or error in the daemon's log after byte FROM
#   log_end                      the daemon's log's size now
#   case_end                     ends all guests and the daemon; what is left over, and what a
#                                sanitizer said, are failures; prints "N passed, N failed"
#
# Sanitizers: reports go to stderr and so into the daemon's log, which its workers share. A worker
# is not dumpable and has no capabilities, so LeakSanitizer cannot look into it: leaks are searched
# in the daemon only. JOURNAL_STREAM is set so that log lines carry their level.

# shellcheck source=tests/sim/sim.sh
. "${SIM_SOURCE:-$(dirname "$0")}/sim.sh"

# shellcheck source=tests/sim/verdict.sh
. "${SIM_SOURCE:-$(dirname "$0")}/verdict.sh"

DISK=
SANITIZED=
! grep -aq '__asan_init\|__tsan_init' "$B/blkback-ephem" || SANITIZED=1

daemon_worker() {
    if [ -z "$SANITIZED" ]; then
        echo "$B/blkback-ephem"
        return
    fi
    cat >"$SIM/worker" <<END
#!/bin/sh
ASAN_OPTIONS=\$ASAN_OPTIONS:detect_leaks=0 exec "$B/blkback-ephem" "\$@"
END
    chmod 755 "$SIM/worker"
    echo "$SIM/worker"
}

daemon_answers() {
    "$B/ephemctl" list
}

daemon_start() {
    # shellcheck disable=SC2086 # words
    sim_daemon daemon ${DAEMON_UNDER:-} env \
        ${HOST:+FAKEXEN_DOMID=$HOST XENSTORED_PATH=$SIM/xenbus.$HOST} JOURNAL_STREAM=1:1 \
        ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}halt_on_error=1:exitcode=99" \
        TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}halt_on_error=0:exitcode=99" \
        UBSAN_OPTIONS=print_stacktrace=1 \
        "$B/blkback-ephemd" --pool "dir:$DISK/pool" --worker "$(daemon_worker)" \
        --run-dir "$SIM/run" --config-dir "$DISK/etc" --state-dir "$DISK/state" --threads 2 \
        --verbose "$@"
    sim_until 20 daemon_answers
}

# Workers outlive the daemon by design, so a test that broke off has to end them itself.
case_clean() {
    sim_end TERM daemon
    for case_left in $(workers); do
        kill -9 "$case_left"
    done
    sim_clean
    [ -z "$DISK" ] || rm -rf "$DISK"
}

# Killed for taking too long: who is there, and what the daemon said last.
case_stuck() {
    echo "# stuck at: ${case_name:-the start}"
    ps -eo pid,ppid,stat,etimes,time,wchan:24,args | awk -v b="$B/" 'index($0, b) && !/awk/' |
        cut -c1-150 | sed 's/^/#   /'
    tail -n 20 "$SIM/last" "$SIM/log/daemon" | sed 's/^/#   /'
    exit 124
}

case_start() {
    sim_start || exit 1
    trap 'case_clean' EXIT
    trap 'case_stuck' TERM
    DISK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem.XXXXXX")
    mkdir "$DISK/pool"
    export EPHEM_CONTROL="$SIM/run/control.sock"
}

case_begin() {
    case_start
    daemon_start "$@" || exit 1
}

make_base() {
    head -c "$2" /dev/urandom >"$1"
}

sha() {
    sha256sum <"$1" | cut -d' ' -f1
}

backend() {
    xenstore-read "/local/domain/0/backend/vbd3/$1/$2/$3"
}

helper() {
    sim_run env XENBUS_PATH="backend/vbd3/$1/$2" "$B/block-ephem" "${3:-add}"
}

attach_only() {
    sim_attach "$@" && sim_wait "/local/domain/0/backend/vbd3/$1/$2/state" 2 -t 10
}

disk() {
    attach_only "$@" && helper "$1" "$2" && [ "$(backend "$1" "$2" hotplug-status)" = connected ]
}

# What the guest writes to its frontend, through dom0's socket.
guest_write() {
    xenstore-write "/local/domain/$1/device/vbd/$2/$3" "$4"
}

# One of several frontends of guest N, in the background: N, DEVID, fxfront's arguments.
front_beside() {
    beside_name=front.$1.$2 beside_domid=$1 beside_devid=$2
    shift 2
    sim_daemon "$beside_name" env FAKEXEN_DOMID="$beside_domid" "$B/tests/fxfront" \
        --devid "$beside_devid" "$@"
}

listed() {
    "$B/ephemctl" list --json | jq -r "$1"
}

# The descriptor, in /proc, of its file below the pool's directory
pool_fd_of() {
    for pool_fd in /proc/"$(worker_of "$1")"/fd/*; do
        case $(readlink "$pool_fd") in "$DISK/pool/"*) echo "$pool_fd" && return ;; esac
    done
    return 1
}

worker_of() {
    listed ".guests[] | select(.domid == $1) | .worker_pid // empty"
}

# taken_back PID [DOMID]: the guest (1) has that worker, and the daemon that has come knows all of its disks again
taken_back() {
    [ "$(listed ".guests[] | select(.domid == ${2:-1}) | select(.state == null) | .worker_pid")" = "$1" ]
}

workers() {
    sed -n 's/.*guest [0-9]*: life [0-9]* begins, worker \([0-9]*\)$/\1/p' "$SIM/log/daemon" |
        sort -u | while read -r case_pid; do
        case $(cat "/proc/$case_pid/comm" 2>/dev/null) in
        blkback-ephem | worker | fakeworker) echo "$case_pid" ;;
        esac
    done
}

no_workers() {
    [ -z "$(workers)" ] && [ -z "$(ls "$SIM/run/workers")" ]
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

holders() {
    find /proc/[0-9]*/fd -lname "$1*" 2>/dev/null
}

nobody_holds() {
    case_holders=$(holders "$1")
    [ -z "$case_holders" ] || { echo "still open: $case_holders"; return 1; }
}

log_end() {
    wc -c <"$SIM/log/daemon"
}

log_since() {
    tail -c "+$(($1 + 1))" "$SIM/log/daemon"
}

complaints() {
    log_since "$1" | grep '^<[0-4]>' || :
}

reports() {
    grep -hE 'ERROR: (Address|Thread)Sanitizer|runtime error:|WARNING: ThreadSanitizer|LeakSanitizer' \
        -A 30 "$SIM"/log/* | head -n 120
}

all_destroyed() {
    for case_left in $(sim_domids | grep -vx "${HOST:-}"); do
        sim_destroy "$case_left" || return 1
    done
}

daemon_left() {
    case_pid=$(cat "$SIM/pid/daemon") && rm "$SIM/pid/daemon" && kill "$case_pid" || return 1
    wait "$case_pid" || {
        echo "the daemon's exit status is $?"
        tail -n 20 "$SIM/log/daemon"
        return 1
    }
}

nothing_reported() {
    reports >"$SIM/reports"
    cat "$SIM/reports"
    [ ! -s "$SIM/reports" ]
}

nothing_left() {
    sim_until 10 no_workers && nobody_holds "$DISK/"
}

# The guest is connected and moves data.
busy() {
    sim_wait "/local/domain/$1/device/vbd/51712/state" 4 -t 20 &&
        sim_until 20 grep -q '^verify' "$SIM/log/front.$1"
}

front_ended() {
    front_pid=$(cat "$SIM/pid/front.$1")
    rm "$SIM/pid/front.$1"
    wait "$front_pid" || { echo "fxfront of guest $1 failed:"; cat "$SIM/log/front.$1"; return 1; }
}

case_end() {
    # A failed test may have left none; with one the rest ends quickly.
    daemon_answers >/dev/null 2>&1 || daemon_start >/dev/null 2>&1
    check "every guest ends without a leak" all_destroyed
    check "no worker and no file is left over" nothing_left
    check "the daemon leaves with status 0" daemon_left
    [ -z "$SANITIZED" ] || check "no sanitizer has anything to say" nothing_reported
    VERDICT=$(mktemp)
    check "the simulation ends" sim_stop
    rm -f "$VERDICT"
    rm -rf "$DISK"
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}

no_such_domain() {
    nobody_verb=$1
    shift
    for nobody_name in "$@"; do
        "$B/ephemctl" "$nobody_verb" "$nobody_name" >"$SIM/table" 2>"$SIM/words" && return 1
        cat "$SIM/words"
        [ ! -s "$SIM/table" ] && [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q "no domain '" "$SIM/words" || return 1
        ! LC_ALL=C grep '[^ -~]' "$SIM/words" || return 1
    done
    "$B/ephemctl" "$nobody_verb" a b 2>/dev/null
    [ $? = 2 ]
}
