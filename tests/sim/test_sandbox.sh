#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a worker can still do once it serves: tests/sim/inject has a real one make the calls that a guest
# would make that has taken it over.  Each must end the worker by SIGSYS; each is made by a process
# without a sandbox first, where it must be answered, so that the tool is seen to make it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

next=100
free=

inject() {
    "$B/tests/inject" "$@"
}

status_of() {
    sed -n "s/^$2:[[:space:]]*//p" "$1/status"
}

# A worker with a volume and no ring: nothing of its guest's has been read.  Sets $next and $pid.
fresh() {
    next=$((next + 1))
    sim_domain "$next" && disk "$next" 51712 blank:16M && pid=$(worker_of "$next") && [ -n "$pid" ]
}

unconfined() {
    sleep 300 &
    free=$!
    sim_until 5 grep -q '^230 ' "/proc/$free/syscall" # clock_nanosleep
}

# ---- before the first byte ----

# In every thread: setup's filter and serving's on top of it.
filtered_before_ring() {
    fresh || return 1
    ! xenstore-exists "/local/domain/$next/device/vbd/51712/ring-ref" || return 1
    threads=0
    for task in "/proc/$pid/task"/*; do
        threads=$((threads + 1))
        is="$(status_of "$task" Seccomp) $(status_of "$task" Seccomp_filters)"
        is="$is $(status_of "$task" NoNewPrivs) $(status_of "$task" CapEff)"
        is="$is $(status_of "$task" CapPrm) $(status_of "$task" Uid | cut -f1)"
        echo "$task: $is"
        [ "$is" = "2 2 1 0000000000000000 0000000000000000 $(worker_uid)" ] || return 1
    done
    # main, the pool's, --threads 2
    [ -n "$SANITIZED" ] || [ $threads = 4 ]
}

no_more_threads() {
    sed -n 's/^Max processes *//p' "/proc/$pid/limits" | grep '^0 *0 '
}

own_namespaces() {
    for space in net ipc uts mnt cgroup; do
        ours=$(readlink "/proc/self/ns/$space") theirs=$(readlink "/proc/$pid/ns/$space")
        echo "$space: $ours, the worker's $theirs"
        [ -n "$theirs" ] && [ "$ours" != "$theirs" ] || return 1
    done
}

# No interface but an unconfigured lo, and that is down.
no_network() {
    [ "$(sed 1,2d "/proc/$pid/net/dev" | wc -l)" = 1 ] && [ "$(wc -l <"/proc/$pid/net/route")" -le 1 ]
}

# Apart from the stand-ins' folder, which a real hypervisor does not need.
empty_root() {
    cat "/proc/$pid/mounts"
    [ "$(wc -l <"/proc/$pid/mounts")" = 2 ] || return 1
    grep -q '^none / tmpfs ro,nosuid,nodev,noexec' "/proc/$pid/mounts" || return 1
    grep -q " $FAKEXEN_DIR " "/proc/$pid/mounts" || return 1
    [ -z "$(find "/proc/$pid/root/" -xdev ! -type d)" ] || return 1
    not mkdir "/proc/$pid/root/new"
}

# ---- calls ----

# NAME RESULT-WITHOUT-SANDBOX CALL [ARG]...; the result is a pattern.  A PID of 0 is another worker's.
deadly() {
    deadly_name=$1 deadly_result=$2
    shift 2
    check "without a sandbox: $deadly_name" answered "$deadly_result" "$@"
    check "deadly: $deadly_name" kills "$@"
}

answered() {
    wanted=$1
    shift
    unconfined || return 1
    inject "$free" "$@" >"$SIM/answer" 2>&1
    kill -9 "$free" 2>/dev/null
    wait "$free" 2>/dev/null
    cat "$SIM/answer"
    grep -qE "^= ($wanted)\$" "$SIM/answer"
}

told_so() {
    log_since "$kills_log" | grep "guest $next: worker $pid was killed by its sandbox (signal 31)"
}

kills() {
    fresh || return 1
    kills_log=$(log_end)
    inject "$pid" "$@" >"$SIM/answer" 2>&1
    cat "$SIM/answer"
    kills_status=0
    grep -qx "killed by signal 31" "$SIM/answer" && sim_until 5 told_so && gone "$pid" || kills_status=1
    sim_destroy "$next" && return $kills_status
}

# What it may do it still can: the tool does not kill by itself.
harmless() {
    fresh || return 1
    inject "$pid" getpid >"$SIM/answer" && cat "$SIM/answer" && grep -qx "= $pid" "$SIM/answer" &&
        inject "$pid" mmap 0 4096 3 34 -1 0 && kill -0 "$pid" && [ "$(worker_of "$next")" = "$pid" ] &&
        sim_destroy "$next"
}

# ---- a guest that is killed so, and its neighbour ----

disk_is_dead() {
    [ "$(backend 1 51712 state)" = 6 ] && [ -z "$(worker_of 1)" ]
}

neighbour_is_served() {
    make_base "$DISK/base" 8388608 && for n in 1 2; do
        sim_domain $n && disk $n 51712 "$DISK/base" || return 1
    done
    sim_front_bg 1 verify 60s
    sim_front_bg 2 verify 6s
    busy 1 && busy 2 || return 1
    pid=$(worker_of 1) other=$(worker_of 2)
    file=$(find "/proc/$other/fd" -lname "$DISK/pool/*")
    [ -e "$file" ] || return 1
    # The pool of guest 2, by the one name that it has.
    inject "$pid" openat -100 "@$file" 2
    sim_until 10 disk_is_dead || return 1
    # For good: no new worker with a pristine disk, whatever the frontend asks for.
    guest_write 1 51712 state 1
    sleep 1
    disk_is_dead && not helper 1 51712 && [ -z "$(worker_of 1)" ] || return 1
    kill -0 "$other" && front_ended 2 && sim_destroy 1 && sim_destroy 2
}

# ---- control groups ----

other_daemon() {
    sim_run timeout 20 "$B/blkback-ephemd" --pool "dir:$DISK/pool" --worker "$B/blkback-ephem" \
        --run-dir "$SIM/run" --config-dir "$DISK/etc" --state-dir "$DISK/state" "$@"
}

# Where there are none: auto says so, once, and serves; on does not start.  Where there are, workers are
# in them.
control_groups() {
    if ! grep -q '^<6>.*: workers have no control groups of their own: ' "$SIM/log/daemon"; then
        fresh && grep "^0::.*/guest-$next-" "/proc/$pid/cgroup" && sim_destroy "$next"
        return
    fi
    [ "$(grep -c 'control groups of their own' "$SIM/log/daemon")" = 1 ] && daemon_left || return 1
    group_status=0
    other_daemon --cgroup on >"$SIM/words" 2>&1 && group_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q -e '--cgroup on: ' "$SIM/words" || group_status=1
    other_daemon --cgroup maybe 2>&1 | grep -q "takes auto, on or off, not 'maybe'" || group_status=1
    group_log=$(log_end)
    daemon_start --cgroup off || return 1
    log_since "$group_log" | grep 'control group' && group_status=1
    return $group_status
}

case_begin
check "filters in all threads before the ring is known" filtered_before_ring
[ -n "$SANITIZED" ] || check "no more threads" no_more_threads
check "namespaces of its own" own_namespaces
check "a network without interfaces" no_network
if [ -n "$SANITIZED" ]; then
    skip "an empty root" "sanitizers read files for their reports"
    skip "files are not opened" "as above"
else
    check "an empty root" empty_root
    deadly "opening a file" '[0-9]+' openat -100 @/etc/passwd 0
    deadly "opening by the old call" '[0-9]+' open @/etc/passwd 0
    deadly "opening a block device" '[0-9]+|-6' openat -100 "@$(ls /dev/loop0 2>/dev/null || echo /dev/vda)" 2
    deadly "making a file in memory" '[0-9]+' memfd_create @x 0
    check "a neighbour is served on" neighbour_is_served
fi
check "the tool by itself is harmless" harmless
deadly "a unix socket" '[0-9]+' socket 1 1 0
deadly "an internet socket" '[0-9]+' socket 2 1 0
deadly "a connection" -88 connect 0 %01002f746d70 6
deadly "a program" 0 execve @/bin/true 0 0
deadly "a process" '[0-9]+' clone 17 0 0 0 0
deadly "a process by clone3" -22 clone3 0 0
deadly "a user namespace" '0|-1' unshare 0x10000000
deadly "tracing another" '-3|-1' ptrace 0x4206 1 0 0
deadly "another's memory" '0|-3' process_vm_readv 4000000 0 0 0 0 0
deadly "another's descriptor" '-[0-9]+' pidfd_getfd 0 0 0
deadly "a signal to another" 0 kill 1 0
deadly "executable memory" '[0-9]+' mmap 0 4096 7 34 -1 0
deadly "a foreign request" -25 ioctl 0 0x5412 0
deadly "a request of gntdev that is not ours" -25 ioctl 0 0x00184709 0
deadly "unlocked memory" 0 munlockall
deadly "a mount" '-[0-9]+' mount @none @/nowhere @tmpfs 0 0
deadly "rings of the kernel" '-[0-9]+|[0-9]+' io_uring_setup 0 0
deadly "a program for the kernel" '-[0-9]+' bpf 0 0 0
deadly "another id" 0 setuid 0
check "control groups, or a line that there are none" control_groups
case_end
