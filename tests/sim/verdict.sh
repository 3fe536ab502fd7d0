# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# verdict.sh - what tests in this folder say of each thing they look at. Sourced. What the last one
# printed is in the file VERDICT, or else "last" of the simulation:
#
#   check NAME COMMAND...   "ok NAME", or "not ok NAME" and the end of what it printed
#   skip NAME WHY           not    COMMAND fails
#
# Counts in passed and failed.

passed=0
failed=0

check() {
    verdict_name=$1
    shift
    if "$@" >"${VERDICT:-$SIM/last}" 2>&1; then
        echo "ok $verdict_name"
        passed=$((passed + 1))
    else
        echo "not ok $verdict_name"
        tail -n 40 "${VERDICT:-$SIM/last}" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

skip() {
    echo "skip $1: $2"
}

not() {
    ! "$@"
}
