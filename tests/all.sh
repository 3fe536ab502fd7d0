#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# all.sh - what `make test` runs: suites in their short forms, one after another; but those of the bed (xen-N) run side
# by side, as many as this machine has room for: a bed waits for a place. First what every run has; then, of the
# rest of the bed's cases, what fits into TEST_MINUTES at the pace that this machine has shown. They take turns: each day
# another suite of them is the first. What is left out is named at the end, with the command that runs it.
#
# A suite is a command whose output has one line "N passed, N failed"; here they are added up, and a
# suite that ends badly without such a line counts as one failure.  What was skipped is repeated at
# the end, and then each check that failed, with its words (failed.sh).  The last line is the sum.
#
#   SUITES="lint check ..."   picks some, however long they take
#   TEST_MINUTES=N            begins nothing of the rest that would not end within so many (60)
#   ALL_LIMIT=S               kills a suite that takes longer (4500)
set -u
cd "$(dirname "$0")/.." || exit 1

rest=
if [ -z "${SUITES:-}" ]; then
    SUITES="build lint stubdom docs qubes packages bench coverage xen-1 xen-2 xen-3 xen-4 check fuzz check-address check-thread
        serve serve-address"
    others=(xen-5 xen-6 xen-7 xen-8 xen-9 xen-10 xen-11 xen-12)
    turn=$((10#$(date +%j) % ${#others[@]}))
    rest="${others[*]:turn} ${others[*]:0:turn} xen-smp"
fi
SUITES=$(echo "$SUITES" | xargs)
TEST_MINUTES=${TEST_MINUTES:-60}
limit=${ALL_LIMIT:-4500}
logs=build/test-logs
passed=0 failed=0
jobs=$(nproc)
mkdir -p "$logs"

# shellcheck source=tests/failed.sh
. tests/failed.sh

# As measured on two idle cores, rounded up
minutes() {
    case $1 in
    xen-1) echo 16 ;;
    xen-2) echo 14 ;;
    xen-3) echo 9 ;;
    xen-4) echo 10 ;;
    xen-5 | xen-9 | xen-10 | xen-11) echo 7 ;;
    xen-6) echo 9 ;;
    xen-7) echo 3 ;;
    xen-8 | xen-12) echo 4 ;;
    check-address) echo 6 ;;
    check-thread) echo 5 ;;
    serve | serve-address) echo 4 ;;
    check | fuzz | packages | bench | xen-smp) echo 2 ;;
    *) echo 1 ;;
    esac
}

command_of() {
    case $1 in
    lint) echo "make --no-print-directory lint" ;;
    build) echo "make --no-print-directory -j$jobs all all-fakexen build/unit" ;;
    docs) echo "make --no-print-directory check-docs" ;;
    qubes) echo "make --no-print-directory check-qubes" ;;
    packages) echo "make --no-print-directory check-packages" ;;
    coverage) echo "make --no-print-directory -j$jobs coverage" ;;
    bench) echo "make --no-print-directory -j$jobs bench-check" ;;
    check) echo "make --no-print-directory -j$jobs check CHECK_SHORT=1" ;;
    fuzz) echo "make --no-print-directory -j$jobs fuzz FUZZ_SECONDS=5" ;;
    check-address) echo "make --no-print-directory -j$jobs check SANITIZE=address" ;;
    check-thread) echo "make --no-print-directory -j$jobs check SANITIZE=thread CHECK_SHORT=1" ;;
    serve) echo "make --no-print-directory -j$jobs check-serve" ;;
    serve-address) echo "make --no-print-directory -j$jobs check-serve SANITIZE=address" ;;
    stubdom) echo "make --no-print-directory check-stubdom" ;;
    xen-1) echo "make --no-print-directory check-xen CASES='conformance smoke hostile pvh save'" ;;
    xen-2) echo "make --no-print-directory check-xen CASES='storage attach guard'" ;;
    xen-3) echo "make --no-print-directory check-xen CASES=forensics" ;;
    xen-4) echo "make --no-print-directory check-xen CASES='hvm stubdom demo'" ;;
    xen-5) echo "make --no-print-directory check-xen CASES='reboot hotplug'" ;;
    xen-6) echo "make --no-print-directory check-xen CASES='pools blockpool'" ;;
    xen-7) echo "BED_SUITE=bookworm BED_LIMIT=2400 make --no-print-directory -j$jobs check-xen CASES=attach" ;;
    xen-8) echo "make --no-print-directory check-xen CASES=libvirt" ;;
    xen-9) echo "make --no-print-directory check-xen CASES='storage-hvm softreset'" ;;
    xen-10) echo "make --no-print-directory check-xen CASES='operator sandbox'" ;;
    xen-11) echo "make --no-print-directory check-xen CASES='i386 grow kexec'" ;;
    xen-12) echo "make --no-print-directory check-xen CASES=grub" ;;
    xen-smp) echo "BED_SMP=2 make --no-print-directory -j$jobs check-xen CASES=pv" ;;
    *) echo "echo there is no suite $1; false" ;;
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

# Until a place is free. Not by counting what wait -n returns for: that may be a job of before.
await_place() { while [ "$(jobs -r | wc -l)" -ge "$places" ]; do wait -n || true; done; }

# Beside others, each line with its name
suite_beside() { suite "$1" | sed -u "s/^/[$1] /" & }

# side_by_side NAME...: one a place; what they need is built before. The longest
# come first and the shortest last, so that no place is empty for long at the end.
side_by_side() {
    local name
    make --no-print-directory -j"$jobs" all all-fakexen all-forensic >/dev/null
    tests/bed/root.sh >/dev/null
    for name in $(longest_first "$@"); do
        await_place
        suite_beside "$name"
    done
    wait
}

# fits NAME: it would end in time, at the pace of this run until now
fits() { [ $((SECONDS + $(minutes "$1") * core_took / core_minutes)) -le $((TEST_MINUTES * 60)) ]; }

# as_time_allows NAME...: those of the rest that fit, one a place; xen-smp has two CPUs, and comes last
as_time_allows() {
    local name
    for name in "$@"; do
        [ "$name" != xen-smp ] || wait
        await_place
        if fits "$name"; then
            SUITES="$SUITES $name"
            suite_beside "$name"
        else
            left_out="$left_out $name"
        fi
    done
    wait
}

# Two that run side by side where both are wanted: serve waits more than it computes, and the others' work is mostly
# one thread's
follower_of() {
    case $1 in
    serve) wanted serve-address ;;
    packages) wanted bench ;;
    lint) wanted stubdom ;;
    esac
}
wanted() { [[ " $SUITES " != *" $1 "* ]] || echo "$1"; }
follows() {
    local leader
    for leader in serve packages lint; do
        [ -z "$(wanted "$leader")" ] || [ "$(follower_of "$leader")" != "$1" ] || return 0
    done
    return 1
}

# Of the suites that run side by side, the first stands for all
first_of_beds() { [ "$1" = "${beds%% *}" ]; }
is_bed() { [[ " $beds " = *" $1 "* ]]; }

# shellcheck disable=SC2086 # a list
beds=$(printf '%s\n' $SUITES | grep -xE 'xen-[0-9]+' | xargs)
places=$(tests/bed/bed.sh --places)
[ "$places" -ge 2 ] || beds=

core_minutes=0
for s in $SUITES; do
    if is_bed "$s"; then
        core_minutes=$((core_minutes + ($(minutes "$s") + places - 1) / places))
    else
        follows "$s" || core_minutes=$((core_minutes + $(minutes "$s")))
    fi
done
echo "== $(echo "$SUITES" | wc -w) suites, about $core_minutes minutes on two cores${rest:+; then what fits into $TEST_MINUTES of: $rest}"
for s in $SUITES; do
    # shellcheck disable=SC2086 # a list
    if [ -n "$(follower_of "$s")" ]; then
        suite "$(follower_of "$s")" >"$logs/$s.beside" &
        suite "$s"
        wait
        cat "$logs/$s.beside"
    elif follows "$s"; then
        continue
    elif ! is_bed "$s"; then
        suite "$s"
    elif first_of_beds "$s"; then
        side_by_side $beds
    fi
done
core_took=$SECONDS
left_out=
# shellcheck disable=SC2086 # a list
as_time_allows $rest
for s in $SUITES; do count "$(cat "$logs/$s.status" || echo 1)" "$logs/$s"; done

echo "== skipped:"
for s in $left_out; do echo "skip $s: it would not have ended within TEST_MINUTES=$TEST_MINUTES; $(command_of "$s" | sed 's/ -[^ ]*//g')"; done
echo "skip here, neighbour, storage-quota: for want of time; make check-xen CASES='here neighbour storage-quota'"
# shellcheck disable=SC2086 # a list
(cd "$logs" && grep -hE '^(ok )?skip' $SUITES 2>/dev/null | sort -u) || true
[ "$failed" = 0 ] || echo "== failed:"
for s in $SUITES; do
    status=$(cat "$logs/$s.status" || echo 1)
    [ "$status" = 0 ] || failed_of "$s" "$logs/$s" "$status"
done
if [ "$failed" -gt 2 ]; then
    echo "== failed, in short:"
    for s in $SUITES; do failed_names "$s" "$logs/$s"; done | cut -c1-150 | head -n 50
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
