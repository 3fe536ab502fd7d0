#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A limit on locked memory that is too low is refused in one line that says how much it takes: with that
# much, and with any more, the server starts; with a page less it does not.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

PLAIN=dir:$POOL
PACKED=ram:64M,lz4

as_user() { # KIB of locked memory
    AS=(prlimit "--memlock=$(($1 * 1024)):$(($1 * 1024))" --
        setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --)
}

# Sets NEED to what the line says.
refused() { # KIB THREADS
    as_user "$1"
    ! serve --volume xvda=blank:1M --threads "$2" || { echo "starts with $1 KiB"; return 1; }
    cat "$ERR"
    [ "$(wc -l <"$ERR")" -eq 1 ] || { echo "not one line"; return 1; }
    NEED=$(sed -n "s/.*memory cannot be locked: the limit is $1 KiB, $2 threads need \([0-9]*\) KiB.*/\1/p" "$ERR")
    [ -n "$NEED" ] || { echo "does not name the limit"; return 1; }
}

starts() { # KIB THREADS
    as_user "$1"
    serve --volume xvda=blank:1M --threads "$2" || { echo "does not start with $1 KiB"; return 1; }
    kill -TERM "$PID"
    [ "$(serve_status)" = 0 ]
}

# Where nobody may raise limits, as in some containers, what is above ours cannot be tried.
may() {
    prlimit "--memlock=$(($1 * 1024)):$(($1 * 1024))" -- true 2>/dev/null
}

# Also where arenas of 4 MiB a thread fit, and what else is locked just does not.
as_told() { # PLACE THREADS
    local told at
    PLACE=$1
    refused 64 "$2" || return 1
    told=$NEED
    refused $((told - 4)) "$2" && [ "$NEED" = "$told" ] || return 1
    for at in 0 4 $(($2 * 2048 - 4)) $(($2 * 2048)) $(($2 * 6144 - 4)); do
        may $((told + at)) || continue
        starts $((told + at)) "$2" || return 1
    done
}

if is_root; then
    chmod 777 "$POOL" "$WORK"
    for threads in 1 2 3; do
        try "the limit that is told, $threads threads" as_told "$PLAIN" "$threads"
        try "the limit that is told, $threads threads, compressed" as_told "$PACKED" "$threads"
    done
else
    skip "the limit that is told" "needs root to be somebody else"
fi
