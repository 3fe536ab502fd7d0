#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has a request become dearer?  Instructions of a request through ring, volume, lane and pool
# (bench/ring_path.c), counted by valgrind as the difference of a short and a long run, which neither a
# busy machine nor another one of the same kind changes, beside what bench/baselines.json has for this
# compiler, libcrypto, libc and CPU.  For others the parent commit is built and counted in the same
# run, by its own bench where it does not build with the one of now; with changes that are not committed, the last
# commit.  More than 3 % is a failure; more than 3 % less asks for a new baseline.
#
#   bench/check.sh             B=build
#   UPDATE=1 bench/check.sh    what is counted becomes the baseline
set -eu
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
B=${B:-build} TOLERANCE=3
BASELINES=bench/baselines.json
# STORE OP BYTES INTEGRITY
ROWS="ram read 4096 on
ram write 4096 on
ram read 65536 on
ram write 65536 on
tmpfs read 4096 on
tmpfs write 4096 on
tmpfs read 4096 off
tmpfs write 4096 off"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
passed=0 failed=0

instructions() { # PROGRAM STORE OP BYTES INTEGRITY COUNT
    local dir=()
    [ "$2" = ram ] || dir=(/dev/shm)
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" "$3" "$4" "$6" "$5" "${dir[@]}" 2>"$WORK/out" ||
        { tail "$WORK/out" >&2; return 1; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$WORK/out"
}

# each PROGRAM STORE OP BYTES INTEGRITY: instructions a request
each() {
    local few many count=$((256 * 4096 / $4 > 64 ? 256 * 4096 / $4 : 64))
    few=$(instructions "$@" "$count")
    many=$(instructions "$@" $((3 * count)))
    [ "$many" -gt "$few" ]
    echo $(((many - few) / (2 * count)))
}

nothing_to_compare() {
    echo "skip bench: no baseline for \"$key\", and $1"
    echo "0 passed, 0 failed"
    exit 0
}

# The program of the commit before, measured by the bench of now.
build_earlier() {
    local commit=HEAD^
    git rev-parse -q --verify HEAD >"$WORK/commit" 2>/dev/null || nothing_to_compare "no git repository to take the commit before from"
    git diff --quiet HEAD -- blkback-ephem common Makefile || commit=HEAD
    git rev-parse -q --verify "$commit^{commit}" >"$WORK/commit" || nothing_to_compare "this clone has no commit before"
    echo "# no baseline for \"$key\": beside commit $(cut -c1-12 "$WORK/commit")"
    mkdir "$WORK/earlier"
    git archive "$commit" | tar -x -C "$WORK/earlier"
    cp -r "$WORK/earlier/bench" "$WORK/bench"
    rm -rf "$WORK/earlier/bench"
    cp -r bench "$WORK/earlier/bench"
    ! make_earlier || return 0
    echo "# it does not build with the bench of now: with its own"
    rm -rf "$WORK/earlier/bench" "$WORK/earlier/build"
    mv "$WORK/bench" "$WORK/earlier/bench"
    make_earlier && return
    tail -n 5 "$WORK/log" | sed 's/^/#   /'
    echo "not ok bench: the commit before does not build, with the bench of now or its own: UPDATE=1 bench/check.sh, if what is counted is right"
    echo "0 passed, 1 failed"
    exit 1
}
make_earlier() {
    make --no-print-directory -C "$WORK/earlier" -j"$(nproc)" B=build SANITIZE= build/bench/ring-path >"$WORK/log" 2>&1
}

# verdict NAME NOW BEFORE
verdict() {
    local ratio
    ratio=$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.3f", a / b }')
    if [ $(($2 * 100)) -le $(($3 * (100 + TOLERANCE))) ]; then
        passed=$((passed + 1))
        echo "ok bench: $1: $2 instructions a request, before $3: $ratio"
        [ -z "$known" ] || [ $(($2 * 100)) -ge $(($3 * (100 - TOLERANCE))) ] ||
            echo "# cheaper than its baseline, which would let as much come back unseen: UPDATE=1 bench/check.sh"
    else
        failed=$((failed + 1))
        echo "not ok bench: $1: $2 instructions a request, before $3: $ratio, more than $TOLERANCE % dearer"
    fi
}

# The tmpfs rows want O_DIRECT; and a disk, whose answers come in no fixed order, would be no substitute
# shellcheck source=bench/direct.sh
. bench/direct.sh
is_direct /dev/shm || {
    echo "skip bench, rows with tmpfs: no O_DIRECT in /dev/shm (Linux before 6.6)"
    ROWS=$(grep '^ram' <<<"$ROWS")
}

program=$B/bench/ring-path
key=$("$program" --key)
known=$(jq --arg key "$key" '.[$key] // empty' "$BASELINES")
[ -n "$known" ] || [ -n "${UPDATE:-}" ] || build_earlier
while read -ra row; do
    name="${row[*]}"
    now=$(each "$program" "${row[@]}")
    if [ -n "${UPDATE:-}" ]; then
        jq --arg key "$key" --arg name "$name" --argjson now "$now" '.[$key][$name] = $now' "$BASELINES" >"$WORK/new"
        cp "$WORK/new" "$BASELINES"
        echo "$name: $now"
        continue
    fi
    if [ -n "$known" ]; then
        before=$(jq --arg name "$name" '.[$name] // empty' <<<"$known")
    else
        before=$(each "$WORK/earlier/build/bench/ring-path" "${row[@]}")
    fi
    [ -n "$before" ] || { echo "$BASELINES: nothing for \"$name\" of \"$key\": UPDATE=1 bench/check.sh" >&2; exit 1; }
    verdict "$name" "$now" "$before"
done <<<"$ROWS"
[ -z "${UPDATE:-}" ] || exit 0
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
