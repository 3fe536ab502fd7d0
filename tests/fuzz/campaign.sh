#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# campaign.sh [-n EXECUTIONS] [-q CPU_SECONDS] [-j PROCESSES] TARGET...: fuzzes each target until it has
# had so many executions (10^6 for life, nbd and wire_worker, which have a whole data plane, 10^7 for the
# others) and no new edge for so much of its CPU time (600 s), then adds a row to docs/results/fuzzing.md.
# A finding ends its target.
#
# What a target has had is kept in build-fuzz/campaign: call it again to go on.  PROCESSES targets (one a
# core) run side by side.  campaign.sh -m TARGET... brings what was found into tests/fuzz/corpus, minimised.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/fuzz/lib.sh

build="build-fuzz"
state=$build/campaign
results=docs/results/fuzzing.md
round=${ROUND:-60} # seconds a process
wanted='' quiet=600 jobs=$(nproc) merge='' one=''
while getopts n:q:j:m1 option; do
    case $option in
    n) wanted=$OPTARG ;;
    q) quiet=$OPTARG ;;
    j) jobs=$OPTARG ;;
    m) merge=1 ;;
    1) one=1 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
mkdir -p "$state"

# The largest inputs of what is left tell the most: MERGE_FILES of them, of MERGE_BYTES in all.
merge_corpus() {
    local target=$1 new
    new=$(mktemp -d) || exit 1
    mkdir -p "tests/fuzz/corpus/$target" "$state/$target"
    # shellcheck disable=SC2046
    "$build/$target" $(fuzz_options "$target") -merge=1 "$new" "tests/fuzz/corpus/$target" \
        "$state/$target" "$build/corpus/$target" >"$state/$target.merge" 2>&1 || exit 1
    local bytes=0 files=0 file size
    find "tests/fuzz/corpus/$target" -type f ! -name 'finding-*' -delete
    while read -r size file; do
        [ "$files" -lt "${MERGE_FILES:-40}" ] || break
        [ $((bytes + size)) -le "${MERGE_BYTES:-16384}" ] || continue
        bytes=$((bytes + size))
        files=$((files + 1))
        cp "$file" "tests/fuzz/corpus/$target/$(basename "$file" | cut -c 1-12)"
    done < <(find "$new" -type f -printf '%s %p\n' | sort -rn)
    echo "$target: $(find "tests/fuzz/corpus/$target" -type f | wc -l) of $(find "$new" -type f | wc -l) inputs"
    rm -rf "$new"
}

least() {
    [ -z "$wanted" ] || { echo "$wanted"; return; }
    case $1 in
    life | nbd | wire_worker) echo 1000000 ;;
    *) echo 10000000 ;;
    esac
}

header() {
    [ ! -e "$results" ] || return
    mkdir -p "$(dirname "$results")"
    cat >"$results" <<'END'
# Fuzzing

`tests/fuzz/campaign.sh` runs a target until it has had enough executions and none of its last CPU minutes
brought a new edge; each row is one such campaign, with both sanitizers.  "Quiet" is the CPU time since the
last new edge.  A target without a row has not been through a whole one yet.

| date | commit | target | executions | CPU s | edges | last new edge at CPU s | quiet s | findings |
|------|--------|--------|-----------:|------:|------:|-----------------------:|--------:|----------|
END
}

row() {
    mkdir -p "$(dirname "$results")"
    exec 9>>"$results.lock"
    flock 9
    header
    echo "| $(date -u +%F) | $(git describe --always --dirty) | $1 | $2 | $3 | $4 | $5 | $(($3 - $5)) | $6 |" \
        >>"$results"
    rm -f "$results.lock"
}

# One target until it is done.
campaign() {
    local target=$1 executions=0 cpu=0 edges=0 last=0 log=$state/$1.log now used
    [ ! -e "$state/$target.state" ] || read -r executions cpu edges last <"$state/$target.state"
    while [ "$executions" -lt "$(least "$target")" ] || [ $((cpu - last)) -lt "$quiet" ]; do
        TIMEFORMAT='%U %S'
        { time fuzz_run "$build" "$target" "$round" "$state/$target" "$log"; } 2>"$log.time"
        grep -q '^Done ' "$log" || {
            row "$target" "$executions" "$cpu" "$edges" "$last" "see $build/findings"
            echo "FAIL fuzz $target: $(grep -hE 'not so: |ERROR: |runtime error: ' "$log" | head -n 1)"
            return 1
        }
        used=$(awk 'END { printf "%d", $1 + $2 + 0.5 }' "$log.time")
        cpu=$((cpu + used))
        executions=$((executions + $(fuzz_executions "$log")))
        now=$(fuzz_coverage "$log")
        if [ "$now" -gt "$edges" ]; then
            edges=$now
            last=$cpu
        fi
        echo "$executions $cpu $edges $last" >"$state/$target.state"
        echo "$target: $executions executions, $cpu CPU s, $edges edges, the last at $last"
    done
    row "$target" "$executions" "$cpu" "$edges" "$last" none
    echo "ok fuzz $target: done"
}

if [ -n "$merge" ]; then
    for target; do merge_corpus "$target"; done
elif [ -n "$one" ]; then
    campaign "$1"
else
    printf '%s\n' "$@" | xargs -P "$jobs" -n 1 "$0" ${wanted:+-n "$wanted"} -q "$quiet" -1
fi
