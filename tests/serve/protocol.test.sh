#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The protocol's corners and hostile clients, through raw.py.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

BASE=$WORK/base
head -c 1M /dev/urandom >"$BASE"
serve --volume "xvda=cow:$BASE" --volume xvdc=blank:256M

raw() {
    timeout 90 python3 "$RAW" "$SOCK" "$1"
}

quiet() {
    cat "$ERR"
    [ "$(wc -l <"$ERR")" -le 6 ]
}

raw slow >"$WORK/slow" 2>&1 &
SLOW=$!
try "options of the negotiation" raw options
try "large requests, simple replies" raw simple
try "large requests, structured replies" raw structured
try "three hundred requests at once" raw pipeline
try "refused requests" raw errors
try "garbage harms nobody else" raw garbage
slow_done() { cat "$WORK/slow"; [ "$1" -eq 0 ]; }
rc=0
wait "$SLOW" || rc=$?
try "who does not negotiate is hung up on" slow_done "$rc"
try "more connections than allowed" raw many
try "greedy clients stall only themselves" raw greedy
try "the log stays short" quiet
try "SIGTERM ends it, nothing is left" serve_end
