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
RAW="$HERE/raw.py"

WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem-serve.XXXXXX")
chmod 755 "$WORK"
POOL=$WORK/pool
SOCK=$WORK/sock
PID=
SERVERS=()
UNDO=()
mkdir -m 755 "$POOL"

# Ends what this script started, in the reverse order of starting.
finish() {
    local i
    for i in "${SERVERS[@]:-}"; do
        [ -z "$i" ] || kill -KILL "$i" 2>/dev/null || true
    done
    for ((i = ${#UNDO[@]} - 1; i >= 0; i--)); do
        eval "${UNDO[$i]}" || true
    done
    rm -rf "$WORK"
}
trap finish EXIT

# serve ARG...: starts a server on $SOCK and waits until it is ready.  Sets PID.
serve() {
    local i
    : >"$WORK/out"
    : >"$WORK/err"
    "$EPHEM" serve "$@" --pool "dir:$POOL" --nbd "$SOCK" >"$WORK/out" 2>"$WORK/err" &
    PID=$!
    SERVERS+=("$PID")
    for ((i = 0; i < 400; i++)); do
        grep -q '^ready$' "$WORK/out" && return 0
        kill -0 "$PID" 2>/dev/null || break
        sleep 0.05
    done
    echo "the server did not become ready:" >&2
    cat "$WORK/err" >&2
    return 1
}

# Ends the server; fails unless it leaves cleanly and leaves nothing behind.
serve_end() {
    local rc=0
    kill -TERM "$PID"
    (sleep 20 && kill -KILL "$PID") 2>/dev/null &
    local guard=$!
    wait "$PID" || rc=$?
    kill "$guard" 2>/dev/null || true
    [ "$rc" -eq 0 ] || { echo "the server ended with status $rc"; cat "$WORK/err"; return 1; }
    [ ! -e "$SOCK" ] || { echo "the socket is still there"; return 1; }
    [ -z "$(ls -A "$POOL")" ] || { echo "left in the pool:"; ls -la "$POOL"; return 1; }
    ! grep -E 'Sanitizer|runtime error' "$WORK/err"
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
    ! grep -iE 'verification failed|error|failed' "$WORK/qio"
}

# try NAME COMMAND...: one case, in a subshell of its own.
try() {
    local name=$1 rc=0
    shift
    set +e
    (
        trap - EXIT
        set -e
        "$@"
    ) >"$WORK/log" 2>&1
    rc=$?
    set -e
    if [ "$rc" -eq 0 ]; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' "$WORK/log" | tail -n 25
    fi
}

skip() { # NAME WHY
    echo "skip $1: $2"
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}
