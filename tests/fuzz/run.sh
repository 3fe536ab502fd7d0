#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh BUILD SECONDS TARGET...: every target for so long, from the corpora in the tree.  What is new
# stays in BUILD/corpus.  Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/fuzz/lib.sh

build=$1 seconds=$2
shift 2
passed=0 failed=0
mkdir -p "$build/logs"
for target; do
    log=$build/logs/$target
    if fuzz_run "$build" "$target" "$seconds" "$build/corpus/$target" "$log"; then
        passed=$((passed + 1))
        echo "ok fuzz $target: $(fuzz_executions "$log") executions in $seconds s," \
            "$(fuzz_coverage "$log") edges"
    else
        failed=$((failed + 1))
        echo "FAIL fuzz $target: $(grep -hE 'not so: |ERROR: |runtime error: |deadly' "$log" | head -n 1)"
        sed -nE "s/.*Test unit written to (.*)/  run $build\/$target \1/p" "$log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
