#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is left of a worker: its buffers while it holds a guest's writes and after it was killed, the process
# that wipes them, and what another process of the same user can get at; what the kernel adds to it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=$((1 << 20))
pid=
undertaker=
sleeper=

status_of() {
    sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

# A guest that has written more than it may keep: the rest is in the worker's buffers. Sets $pid and
# $undertaker.
held_guest() {
    mkdir -p "$DISK/etc/domains"
    printf '%s\n' "[pool]" "quota=32M" "low-water=8M" >"$DISK/etc/domains/guest$1.conf"
    sim_domain "$1" && disk "$1" 51712 blank:64M || return 1
    front_beside "$1" 51712 pattern 0 $((48 * MIB)) 5
    sim_until 60 is_held "$1" && pid=$(worker_of "$1") && [ -n "$pid" ] &&
        undertaker=$(cat "/proc/$pid/task/$pid/children") && undertaker=${undertaker% } &&
        [ -n "$undertaker" ]
}

is_held() {
    [ "$("$B/ephemctl" status "$1" --json | jq '.guests[0].held')" -gt 0 ]
}

guest_ends() {
    sim_destroy "$1"
    sim_end KILL "front.$1.51712"
    rm -f "$DISK/etc/domains/guest$1.conf"
}

# The files of a worker's two arenas, as our descriptors 7 and 8: they outlive it.
keep_arenas() {
    arenas=$(find "/proc/$1/fd" -lname '/memfd:arena*')
    [ "$(echo "$arenas" | wc -l)" = 2 ] || return 1
    exec 7<"$(echo "$arenas" | head -n 1)" 8<"$(echo "$arenas" | tail -n 1)"
}

# Bytes in them that are not zero
left() {
    cat "/proc/$$/fd/7" "/proc/$$/fd/8" | tr -d '\0' | wc -c
}

nothing_left() {
    [ "$(left)" = 0 ]
}

drop_arenas() {
    exec 7<&- 8<&-
}

# What this kernel itself says, asked by a process of its own.
has_secret() {
    sleep 300 &
    sleeper=$!
    sim_until 5 grep -q '^230 ' "/proc/$sleeper/syscall"
    "$B/tests/inject" "$sleeper" memfd_secret 0 >"$SIM/answer" 2>&1
    kill -9 "$sleeper"
    wait "$sleeper" 2>/dev/null
    grep -q '^= [0-9]' "$SIM/answer"
}

secret_memory() {
    held_guest 1 || return 1
    grep secretmem "/proc/$pid/maps" || return 1
    # The heap of libcrypto, and the key's page, which is read-only.
    [ "$(grep -c 'rw-s.*secretmem' "/proc/$pid/maps")" = 1 ] &&
        [ "$(grep -c 'r--s.*secretmem' "/proc/$pid/maps")" = 1 ] &&
        ! grep secretmem "/proc/$undertaker/maps" && ! grep "memfd:secret" "/proc/$pid/maps" &&
        guest_ends 1
}

# ---- a kernel without memfd_secret ----

on_older_kernel() {
    daemon_left || return 1
    DAEMON_UNDER="$B/tests/without memfd_secret"
    daemon_start
    older_status=$?
    DAEMON_UNDER=
    [ $older_status = 0 ]
}

says_locked() {
    [ "$(log_since "$locked_log" | grep -c '^<4>.*the kernel gives no memfd_secret')" = 1 ]
}

# The same two mappings, of one file; the undertaker has that open, and beyond it nothing else than ever.
locked_memory() {
    locked_log=$(log_end)
    held_guest 6 && says_locked && ! grep secretmem "/proc/$pid/maps" || return 1
    grep "memfd:secret" "/proc/$pid/maps"
    [ "$(grep -c 'rw-s.*memfd:secret' "/proc/$pid/maps")" = 1 ] &&
        [ "$(grep -c 'r--s.*memfd:secret' "/proc/$pid/maps")" = 1 ] &&
        [ "$(locked_flags "$pid")" = 2 ] && ! grep "memfd:secret" "/proc/$undertaker/maps" || return 1
    ls -l "/proc/$undertaker/fd"
    [ "$(find "/proc/$undertaker/fd" -type l | wc -l)" = 5 ] &&
        [ "$(find "/proc/$undertaker/fd" -lname '/memfd:secret*' | wc -l)" = 1 ]
}

# How many are locked, in no dump and in no child
locked_flags() {
    sed -n '/memfd:secret/,/^VmFlags/p' "/proc/$1/smaps" | grep '^VmFlags:.* lo ' | grep ' dd' | grep -c ' dc'
}

# The file outlives the worker in our hands: key and schedules were in it.
locked_killed() {
    exec 7<"$(find "/proc/$pid/fd" -lname '/memfd:secret*')" 8</dev/null
    before=$(left)
    echo "$before bytes of secrets"
    [ "$before" -gt 4096 ] || return 1
    kill -9 "$pid"
    sim_until 10 nothing_left && sim_until 10 gone_or_zombie "$undertaker"
    locked_status=$?
    drop_arenas
    guest_ends 6
    return $locked_status
}

undertaker_confined() {
    held_guest 2 || return 1
    [ "$(status_of "$undertaker" Name)" = undertaker ] || return 1
    is="$(status_of "$undertaker" Seccomp) $(status_of "$undertaker" Seccomp_filters)"
    is="$is $(status_of "$undertaker" NoNewPrivs) $(status_of "$undertaker" CapEff)"
    is="$is $(status_of "$undertaker" CapPrm) $(status_of "$undertaker" Uid | cut -f1)"
    echo "$is"
    filters=$(($(status_of $$ Seccomp_filters) + 2))
    [ "$is" = "2 $filters 1 0000000000000000 0000000000000000 $(worker_uid)" ] || return 1
    for space in net ipc uts mnt cgroup; do
        [ "$(readlink "/proc/$pid/ns/$space")" = "$(readlink "/proc/$undertaker/ns/$space")" ] || return 1
    done
    # Two arenas, whose end it waits for, and a socket between the two; the key's file if that is one.
    ls -l "/proc/$undertaker/fd"
    files=$(grep -c 'r--s.*memfd:secret' "/proc/$pid/maps")
    [ "$(find "/proc/$undertaker/fd" -type l | wc -l)" = $((4 + files)) ] &&
        [ -z "$(find "/proc/$undertaker/fd" -lname '/*' ! -lname '/memfd:arena*' ! -lname '/memfd:secret*')" ]
}

killed() {
    keep_arenas "$pid" || return 1
    before=$(left)
    echo "$before bytes in the buffers"
    [ "$before" -gt $((MIB / 4)) ] || return 1
    kill -9 "$pid"
    sim_until 10 nothing_left && sim_until 10 gone_or_zombie "$undertaker"
    killed_status=$?
    drop_arenas
    guest_ends 2
    return $killed_status
}

gone_or_zombie() {
    ! kill -0 "$1" 2>/dev/null || [ "$(status_of "$1" State | cut -c1)" = Z ]
}

in_good_order() {
    held_guest 3 && keep_arenas "$pid" || return 1
    [ "$(left)" -gt $((MIB / 4)) ] || return 1
    guest_ends 3
    sim_until 10 nothing_left && sim_until 10 gone_or_zombie "$undertaker"
    order_status=$?
    drop_arenas
    return $order_status
}

# The guest is served on; the log says it once.
undertaker_lost() {
    held_guest 4 || return 1
    lost_log=$(log_end)
    kill -TERM "$undertaker"
    sleep 0.2
    ! gone_or_zombie "$undertaker" || return 1
    kill -9 "$undertaker"
    sim_until 10 says_lost && sleep 4 && says_lost && kill -0 "$pid" && is_held 4 && guest_ends 4
}

says_lost() {
    [ "$(log_since "$lost_log" | grep -c 'the process that wipes our buffers after a crash has ended')" = 1 ]
}

# ---- the same user ----

NOBODY="setpriv --reuid=$(worker_uid) --regid=$(worker_uid) --clear-groups --inh-caps=-all --bounding-set=-all"
nobody() {
    $NOBODY "$@"
}

# A process of theirs that is not confined can be made to do calls, and be read.
sleeper_is_open() {
    $NOBODY sleep 300 &
    sleeper=$!
    sim_until 5 grep -q '^230 ' "/proc/$sleeper/syscall" || return 1
    nobody "$B/tests/inject" "$sleeper" getpid | grep -x "= $sleeper" &&
        nobody head -c 1 "/proc/$sleeper/environ" >/dev/null && nobody readlink "/proc/$sleeper/exe"
    open_status=$?
    kill -9 "$sleeper"
    wait "$sleeper" 2>/dev/null
    return $open_status
}

workers_are_shut() {
    held_guest 5 || return 1
    for process in "$pid" "$undertaker"; do
        nobody "$B/tests/inject" "$process" getpid >"$SIM/answer" 2>&1 && return 1
        cat "$SIM/answer"
        grep -q "not permitted" "$SIM/answer" || return 1
        for file in mem environ maps auxv; do
            nobody head -c 1 "/proc/$process/$file" >"$SIM/answer" 2>&1 && return 1
            grep -q "denied" "$SIM/answer" || return 1
        done
        ! nobody readlink "/proc/$process/exe" || return 1
        sed -n 's/^Max core file size *//p' "/proc/$process/limits" | grep '^0 *0 ' || return 1
    done
    guest_ends 5
}

# ---- freed pages ----

# A daemon whose kernel has this command line, by its own eyes. Sets $freed_log to what that says of it.
freed_daemon() {
    daemon_left || return 1
    echo "$1" >"$SIM/cmdline"
    # shellcheck disable=SC2016 # for the shell inside
    printf '%s\n' 'mount --bind "$1" /proc/cmdline && shift && exec "$@"' >"$SIM/over"
    freed_from=$(log_end)
    DAEMON_UNDER="unshare --mount --propagation private sh $SIM/over $SIM/cmdline"
    daemon_start
    freed_status=$?
    DAEMON_UNDER=
    freed_log=$(log_since "$freed_from" | grep 'pages that it frees')
    echo "$1: $freed_log"
    return $freed_status
}

# Once a start, with what to do; not when all is well. What is not known is not guessed.
freed_pages() {
    freed_daemon "quiet init_on_free=1" && [ -z "$freed_log" ] &&
        freed_daemon "init_on_free=1 init_on_free=0" && told_freed "does not zero" &&
        freed_daemon "quiet" || return 1
    config=/boot/config-$(uname -r)
    if [ ! -e "$config" ]; then
        told_freed "not known whether"
    elif grep -qx CONFIG_INIT_ON_FREE_DEFAULT_ON=y "$config"; then
        [ -z "$freed_log" ]
    else
        told_freed "does not zero\|not known whether"
    fi
}

told_freed() {
    [ "$(echo "$freed_log" | wc -l)" = 1 ] && echo "$freed_log" | grep "^<4>.*$1.*init_on_free=1"
}

case_begin
if unshare --mount true 2>/dev/null; then
    check "freed pages that are not zeroed are told as the daemon starts" freed_pages
else
    skip "freed pages that are not zeroed" "needs mount namespaces"
fi
if [ -n "$SANITIZED" ]; then
    skip "what is in the undertaker's hands" "sanitizers keep descriptors and memory of their own"
else
    secret_name="the key and libcrypto's memory are secret, and not the undertaker's"
    if has_secret; then
        check "$secret_name" secret_memory
    else
        skip "$secret_name" "memfd_secret says $(cat "$SIM/answer")"
    fi
    check "the undertaker is in the same sandbox and holds nothing else" undertaker_confined
    check "after kill -9 the buffers are wiped" killed
    check "they are wiped in good order, too" in_good_order
    check "an undertaker that is killed is missed, once" undertaker_lost
    check "another process of a user can be traced and read" sleeper_is_open
    check "workers cannot, and leave no core" workers_are_shut
    check "a daemon on a kernel without memfd_secret" on_older_kernel
    check "there the key is in locked memory, and the log says so" locked_memory
    check "which the undertaker wipes after kill -9" locked_killed
fi
case_end
