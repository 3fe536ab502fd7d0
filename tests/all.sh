#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# all.sh - what `make test` runs: every suite, in its short form, one after another; but the cases of the
# bed are in five suites that run side by side, as many as this machine has room for: a bed waits for a place.
#
# A suite is a command whose output has one line "N passed, N failed"; here they are added up, and a
# suite that ends badly without such a line counts as one failure.  What was skipped is repeated at
# the end.  The last line is the sum.
#
#   SUITES="lint check ..."   picks some
#   ALL_LIMIT=S               kills a suite that takes longer (4500)
set -u
cd "$(dirname "$0")/.." || exit 1

SUITES=${SUITES:-lint build docs coverage xen-2 xen-1 xen-3 xen-4 xen-5 check fuzz check-address check-thread serve
	serve-address xen-smp}
limit=${ALL_LIMIT:-4500}
logs=build/test-logs
passed=0 failed=0
jobs=$(nproc)
mkdir -p "$logs"

minutes() {
    case $1 in
    lint | docs | coverage) echo 1 ;;
    build) echo 1 ;;
    check) echo 5 ;;
    serve | serve-address) echo 2 ;;
    fuzz) echo 3 ;;
    xen-1) echo 18 ;;
    xen-2) echo 28 ;;
    xen-3) echo 10 ;;
    xen-4) echo 10 ;;
    xen-5) echo 7 ;;
    xen-smp) echo 2 ;;
    *) echo 5 ;;
    esac
}

command_of() {
    case $1 in
    lint) echo "make --no-print-directory lint" ;;
    build) echo "make --no-print-directory -j$jobs all all-fakexen build/unit" ;;
    docs) echo "make --no-print-directory check-docs" ;;
    coverage) echo "make --no-print-directory -j$jobs coverage" ;;
    check) echo "make --no-print-directory -j$jobs check" ;;
    fuzz) echo "make --no-print-directory -j$jobs fuzz FUZZ_SECONDS=10" ;;
    check-address) echo "make --no-print-directory -j$jobs check SANITIZE=address" ;;
    check-thread) echo "make --no-print-directory -j$jobs check SANITIZE=thread" ;;
    serve) echo "make --no-print-directory -j$jobs check-serve" ;;
    serve-address) echo "make --no-print-directory -j$jobs check-serve SANITIZE=address" ;;
    xen-1) echo "make --no-print-directory check-xen CASES='conformance smoke hostile pvh'" ;;
    xen-2) echo "make --no-print-directory check-xen CASES='here demo pools grow blockpool save sandbox grub neighbour'" ;;
    xen-3) echo "make --no-print-directory check-xen CASES='i386 reboot kexec hotplug'" ;;
    xen-4) echo "make --no-print-directory check-xen CASES='hvm stubdom softreset'" ;;
    xen-5) echo "make --no-print-directory check-xen CASES=forensics" ;;
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

# suite NAME: runs it; what it ended with is in NAME.status of the logs
suite() {
    local name=$1 status started=$SECONDS
    echo "== $name (about $(minutes "$name") min)"
    rm -f "$logs/$name.status"
    timeout -k 20 "$limit" bash -o pipefail -c "$(command_of "$name") 2>&1 | tee $logs/$name"
    status=$?
    [ "$status" != 124 ] || echo "== $name: killed after $limit s"
    echo "$status" >"$logs/$name.status"
    echo "== $name: $([ "$status" = 0 ] && echo good || echo FAILED) after $((SECONDS - started)) s"
}

longest_first() {
    local name
    for name in "$@"; do echo "$(minutes "$name") $name"; done | sort -rn | sed 's/.* //'
}

# side_by_side NAME...: all at once, each line with the name of its suite; what they need is built before. The
# longest has the first place: the shortest waits for one.
side_by_side() {
    local name
    make --no-print-directory -j"$jobs" all all-fakexen all-forensic >/dev/null
    tests/bed/root.sh >/dev/null
    for name in $(longest_first "$@"); do
        suite "$name" | sed -u "s/^/[$name] /" &
        sleep 15
    done
    wait
}

# why NAME LOG: what failed, the words under it, and the first report of a sanitizer: for a log that is
# cut elsewhere
why() {
    awk -v name="$1" '/^(not ok|FAIL) /               { left = 20; report_lines = 0; print name ": " $0; next }
        /(WARNING|ERROR): [A-Za-z]*Sanitizer/ && !report++ { left = 60; report_lines = 1 }
        left > 0 && (report_lines || /^    /)         { left--; print name ": " $0; next }
                                                      { left = 0; report_lines = 0 }' "$2" 2>/dev/null
}

# Of the suites that run side by side, the first stands for all
first_of_beds() { [ "$1" = "${beds%% *}" ]; }
is_bed() { [[ " $beds " = *" $1 "* ]]; }

# shellcheck disable=SC2086 # a list
beds=$(printf '%s\n' $SUITES | grep -x 'xen-[0-9]' | xargs)
[ "$(tests/bed/bed.sh --places)" -ge 2 ] || beds=

total=0
for s in $SUITES; do
    is_bed "$s" && ! first_of_beds "$s" || total=$((total + $(minutes "$s")))
done
echo "== $(echo "$SUITES" | wc -w) suites, about $total minutes on two cores"
for s in $SUITES; do
    # shellcheck disable=SC2086 # a list
    if ! is_bed "$s"; then
        suite "$s"
    elif first_of_beds "$s"; then
        side_by_side $beds
    fi
done
for s in $SUITES; do count "$(cat "$logs/$s.status" || echo 1)" "$logs/$s"; done

echo "== skipped:"
# shellcheck disable=SC2086 # a list
(cd "$logs" && grep -hE '^(ok )?skip' $SUITES 2>/dev/null | sort -u) || true
echo "== failed:"
for s in $SUITES; do why "$s" "$logs/$s"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
