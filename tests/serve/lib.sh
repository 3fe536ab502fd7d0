# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the tests of `blkback-ephem serve` share.  A script sources this, runs cases with `try`, and
# exits; each case prints one line: ok NAME, not ok NAME, or skip NAME: why.
# B is the build directory (default: build).

set -eu
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
B=${B:-build}
case $B in /*) ;; *) B=$ROOT/$B ;; esac
EPHEM=$B/blkback-ephem
export RAW=$HERE/raw.py

WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem-serve.XXXXXX")
chmod 755 "$WORK"
POOL=$WORK/pool # a directory
PLACE=          # what --pool says; default: dir:$POOL
AS=()           # how to run a server: what it is started with, and becomes
SOCK=$WORK/sock
PID=
ERR='' STATUS=''
SERVERS=()
UNDO=()
mkdir -m 755 "$POOL"

# Ends what this script started, in the reverse order of starting.
finish() {
    local i
    try_end
    for ((i = ${#UNDO[@]} - 1; i >= 0; i--)); do
        eval "${UNDO[$i]}" || true
    done
    rm -rf "$WORK"
}
trap finish EXIT

# The sandbox lets no helper of a sanitizer in that looks for leaks at the end.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

# serve ARG...: starts a server on $SOCK with $PLACE and waits until it is ready.  Sets PID, ERR and STATUS.
serve() {
    local i dir
    dir=$(mktemp -d "$WORK/server.XXXXXX")
    ERR=$dir/err STATUS=$dir/status
    {
        "${AS[@]}" "$EPHEM" serve "$@" --pool "${PLACE:-dir:$POOL}" --nbd "$SOCK" \
            >"$dir/out" 2>"$ERR" &
        echo $! >"$dir/pid"
        rc=0
        wait $! || rc=$?
        echo $rc >"$dir/status"
    } &
    until [ -s "$dir/pid" ]; do sleep 0.01; done
    PID=$(cat "$dir/pid")
    SERVERS+=("$PID")
    for ((i = 0; i < 400; i++)); do
        [ ! -s "$STATUS" ] || break
        ! grep -qs '^ready$' "$dir/out" || return 0
        sleep 0.05
    done
    echo "the server did not become ready:"
    cat "$ERR"
    return 1
}

# Waits for the server's end and tells its exit status.
serve_status() {
    local i
    for ((i = 0; i < 400; i++)); do
        if [ -s "$STATUS" ]; then
            cat "$STATUS"
            return 0
        fi
        sleep 0.05
    done
    kill -KILL "$PID"
    echo "hangs"
}

# Ends the server; fails unless it leaves cleanly and leaves nothing behind.
serve_end() {
    local rc
    kill -TERM "$PID"
    rc=$(serve_status)
    [ "$rc" = 0 ] || { echo "the server's end: $rc"; cat "$ERR"; return 1; }
    [ ! -e "$SOCK" ] || { echo "the socket is still there"; return 1; }
    [ -z "$(ls -A "$POOL")" ] || { echo "left in the pool:"; ls -la "$POOL"; return 1; }
    absent -E 'Sanitizer|runtime error' "$ERR"
}

# absent GREP-ARGUMENTS: true when grep finds nothing.
absent() {
    local rc=0
    grep "$@" || rc=$?
    [ "$rc" -eq 1 ]
}

# await SECONDS COMMAND...: until the command is true, which is asked 20 times a second.
await() {
    local i
    for ((i = $1 * 20; i > 0; i--)); do
        ! "${@:2}" || return 0
        sleep 0.05
    done
    echo "in vain: ${*:2}"
    return 1
}

# says PATTERN [COUNT]: the server's log has lines with the pattern; so many.
says() {
    local n
    n=$(grep -cE "$1" "$ERR" || true)
    [ "$n" -eq "${2:-$n}" ] && [ "$n" -gt 0 ]
}

# The pool's file has no name any more; the kernel still shows it to root.
pool_file() {
    local fd
    for fd in "/proc/$PID/fd"/*; do
        case $(readlink "$fd") in "$POOL"/*) echo "$fd" && return ;; esac
    done
    return 1
}

# What the pool's file takes of its disk, in MiB, rounded up.
pool_mib() {
    echo $((($(stat -Lc %b "$(pool_file)") + 2047) / 2048))
}

# uri NAME: where the volume is; without NAME, the default export.
uri() {
    echo "nbd+unix:///${1:-}?socket=$SOCK"
}

qio() { # NAME COMMAND...: qemu-io commands on a volume; any mismatch is a failure
    local u args=() c
    u=$(uri "$1")
    shift
    for c; do args+=(-c "$c"); done
    qemu-io -f raw "${args[@]}" "$u" >"$WORK/qio" 2>&1 || { cat "$WORK/qio"; return 1; }
    absent -iE 'verification failed|error|failed' "$WORK/qio"
}

# put NAME MIB COUNT: writes so many MiB at MIB, each another part of $NOISE, 32 MiB at most.
put() {
    qio "$1" "write -s $NOISE ${2}M ${3}M"
}

# has NAME MIB COUNT: they are there.
has() {
    qemu-img dd -f raw -O raw bs=1M "skip=$2" "count=$(($2 + $3))" "if=$(uri "$1")" \
        "of=$WORK/back" >/dev/null 2>&1
    [ "$(stat -c %s "$WORK/back")" -eq $(($3 << 20)) ] || { echo "short at $2 MiB"; return 1; }
    cmp -n $(($3 << 20)) "$WORK/back" "$NOISE"
}

# What neither compresses nor repeats.
NOISE=$WORK/noise
noise() {
    [ -s "$NOISE" ] || head -c 32M /dev/urandom >"$NOISE"
}

# writers MIB...: clients that write 8 MiB each, at once.
writers() {
    local at
    WRITERS=()
    for at; do
        qemu-io -f raw -c "write -s $NOISE ${at}M 8M" "$(uri xvdc)" >"$WORK/held.$at" 2>&1 &
        WRITERS+=($!)
    done
}

# Some of the writers wait; no error was answered, and the log says it once.
still_held() {
    local pid waiting=0
    for pid in "${WRITERS[@]}"; do
        ! kill -0 "$pid" 2>/dev/null || waiting=$((waiting + 1))
    done
    echo "$waiting writers wait"
    [ "$waiting" -ge "$1" ]
    says 'the pool is full' 1
}

# written MIB...: the writers end, and what they wrote is there.
written() {
    local at
    wait "${WRITERS[@]}"
    for at; do
        absent -iE 'failed|error' "$WORK/held.$at"
        has xvdc "$at" 8
    done
}

# goes_on_after_discard: on a pool of 32 MiB, writes are held when it is full, once said, while reads
# go on; a discard makes room, and what was held is written.
goes_on_after_discard() {
    noise
    put xvdc 0 12
    put xvdc 16 8
    writers 64 72
    await 10 says 'the pool is full'
    has xvdc 0 12
    has xvdc 16 8
    still_held 1
    qio xvdc "discard 0 12M"
    written 64 72
    # A discard gives back in steps: it may be full again in between.
    says 'no write is held any more' "$(grep -c 'the pool is full' "$ERR")"
    has xvdc 16 8
    qio xvdc "read -P 0 0 12M"
}

# verified NAME SIZE [FIO-ARGUMENT...]: fio writes, overwrites and reads, and verifies.
verified() {
    fio --name=verified --ioengine=nbd --uri="$(uri "$1")" --size="$2" --rw=randrw --iodepth=32 \
        --bssplit=4k/70:64k/30 --norandommap=0 --verify=crc32c --serialize_overlap=1 \
        --verify_fatal=1 --verify_state_save=0 --random_generator=tausworthe64 \
        --output="$WORK/fio" "${@:3}" || { tail -n 20 "$WORK/fio"; return 1; }
    absent -iE 'verify.*(bad|fail)|err= *[1-9]' "$WORK/fio"
}

# pools CASE N...: a case of pools.py
pools() {
    PYTHONDONTWRITEBYTECODE=1 python3 "$HERE/pools.py" "$SOCK" "$@"
}

# Built with a sanitizer, which has its own idea of memory and time.
is_sanitized() {
    grep -qaE '__(asan|tsan)_init' "$EPHEM"
}

# Kills what is left of the servers and waits until they are gone.
try_end() {
    local i
    for i in "${SERVERS[@]:-}"; do
        [ -n "$i" ] || continue
        kill -KILL "$i" 2>/dev/null || true
        while kill -0 "$i" 2>/dev/null; do sleep 0.05; done
    done
}

# try NAME COMMAND...: one case, in a subshell of its own.
try() {
    local name=$1 rc=0 log
    log=$(mktemp "$WORK/log.XXXXXX")
    shift
    set +e
    (
        SERVERS=()
        trap try_end EXIT
        set -e
        "$@"
    ) >"$log" 2>&1
    rc=$?
    set -e
    if [ "$rc" -eq 0 ]; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' "$log" | tail -n 25
    fi
}

skip() { # NAME WHY
    echo "skip $1: $2"
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}
