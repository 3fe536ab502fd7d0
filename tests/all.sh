#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# all.sh - what `make test` runs: every suite, in its short form, one after another.
#
# A suite is a command whose output has one line "N passed, N failed"; here they are added up, and a
# suite that ends badly without such a line counts as one failure.  What was skipped is repeated at
# the end.  The last line is the sum.
#
#   SUITES="lint check ..."   picks some
#   ALL_LIMIT=S               kills a suite that takes longer (3000)
set -u
cd "$(dirname "$0")/.." || exit 1

SUITES=${SUITES:-lint build docs check fuzz check-address check-thread serve serve-address xen xen-smp}
limit=${ALL_LIMIT:-3000}
logs=build/test-logs
passed=0 failed=0
jobs=$(nproc)
mkdir -p "$logs"

minutes() {
    case $1 in
    lint | docs) echo 1 ;;
    build) echo 1 ;;
    check | serve | fuzz) echo 3 ;;
    xen) echo 22 ;;
    xen-smp) echo 2 ;;
    *) echo 5 ;;
    esac
}

command_of() {
    case $1 in
    lint) echo "make --no-print-directory lint" ;;
    build) echo "make --no-print-directory -j$jobs all all-fakexen build/unit" ;;
    docs) echo "make --no-print-directory check-docs" ;;
    check) echo "make --no-print-directory -j$jobs check" ;;
    fuzz) echo "make --no-print-directory -j$jobs fuzz FUZZ_SECONDS=10" ;;
    check-address) echo "make --no-print-directory -j$jobs check SANITIZE=address" ;;
    check-thread) echo "make --no-print-directory -j$jobs check SANITIZE=thread" ;;
    serve) echo "make --no-print-directory -j$jobs check-serve" ;;
    serve-address) echo "make --no-print-directory -j$jobs check-serve SANITIZE=address" ;;
    xen) echo "make --no-print-directory -j$jobs check-xen CASES='${CASES:-conformance smoke here demo pvh pools grow blockpool}'" ;;
    xen-smp) echo "BED_SMP=2 make --no-print-directory -j$jobs check-xen CASES=pv" ;;
    esac
}

# Adds a suite's own sum, or one verdict if it has none.
count() {
    local status=$1 log=$2 sum
    sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
    if [ -n "$sum" ]; then
        passed=$((passed + ${sum%% passed*}))
        sum=${sum#*, }
        failed=$((failed + ${sum%% failed*}))
        [ "$status" = 0 ] || [ "${sum%% failed*}" != 0 ] || failed=$((failed + 1))
    elif [ "$status" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

total=0
for suite in $SUITES; do total=$((total + $(minutes "$suite"))); done
echo "== $(echo "$SUITES" | wc -w) suites, about $total minutes on two cores"
for suite in $SUITES; do
    started=$SECONDS
    echo "== $suite (about $(minutes "$suite") min)"
    timeout -k 20 "$limit" bash -o pipefail -c "$(command_of "$suite") 2>&1 | tee $logs/$suite"
    status=$?
    [ "$status" != 124 ] || echo "== $suite: killed after $limit s"
    count "$status" "$logs/$suite"
    echo "== $suite: $([ "$status" = 0 ] && echo good || echo FAILED) after $((SECONDS - started)) s"
done

echo "== skipped:"
# shellcheck disable=SC2086 # a list
(cd "$logs" && grep -hE '^(ok )?skip' $SUITES 2>/dev/null | sort -u) || true
echo "== failed:"
# shellcheck disable=SC2086
(cd "$logs" && grep -HE '^(not ok|FAIL) ' $SUITES 2>/dev/null) || true
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
