#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the tests of `blkback-ephem serve`: run.sh [NAME...], NAME as in NAME.test.sh.
# Ends with "N passed, N failed"; non-zero when something failed.
set -eu
cd "$(dirname "$0")"

LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
[ $# -gt 0 ] || set -- clients isolation protocol badinput memlock full grow memory block integrity sweep fio rates
for name; do
    rc=0
    # A bound on each, so that a hang is a failure and not a wait.
    timeout -k 10 300 bash "./$name.test.sh" 2>&1 | tee -a "$LOG" || true
    rc=${PIPESTATUS[0]}
    [ "$rc" -eq 0 ] || echo "not ok $name: the script ended with status $rc" | tee -a "$LOG"
done
passed=$(grep -c '^ok ' "$LOG" || true)
failed=$(grep -c '^not ok ' "$LOG" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
