#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a guest gets from its disk with other backends and with ours, on real Xen: the case `bench` of the
# bed (tests/bed/cases/bench.sh says what is compared, tests/bed/guest/bench.sh with which loads).  In a dom0 it
# runs on that, beside what is there; elsewhere in the bed, where a nanosecond is an instruction.
#
#   bench/xen.sh               BACKENDS="plain dir ..."  STORES="memory disk slow"  SCALE=4  LONG=1  B=build  OUT=build/bench/xen
#   bench/xen.sh --read FILE   reads what an earlier run has left
#
# SCALE is how many times 64 MiB the volumes have, 4 in a dom0 and always 1 in the bed, and how much longer loads are.
# Without AES instructions there are no figures.  OUT has the lines as they came, OUT.json each load of each
# backend; what is printed: requests a second and as a multiple of plain's, CPU time of dom0 (and of a storage
# domain) a request in microseconds, by load; then the targets, met or not.
set -eu
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
B=${B:-build}
OUT=${OUT:-$B/bench/xen}
export BENCH_BACKENDS=${BACKENDS:-} BENCH_STORES=${STORES:-}

in_dom0() { grep -qs control_d /proc/xen/capabilities; }

here() {
    make --no-print-directory B="$B" all "$B/bench/xen-watch"
    BENCH_SCALE=${SCALE:-4} BENCH_OUT=$(readlink -m "$OUT") BENCH_WATCH=$(readlink -m "$B/bench/xen-watch") BUILD=$(readlink -m "$B") \
        tests/bed/here.sh bench
}

in_bed() {
    local status=0
    rm -rf "$B/bench/bed"
    BED_LIMIT=${BED_LIMIT:-9000} BED_OUT=$B/bench/bed make --no-print-directory check-xen CASES=bench || status=$?
    cp "$B"/bench/bed/run*/logs/bed/bench "$OUT"
    return "$status"
}

# A mark's time and CPU times less those of the one before, where that began the same load.
rows() {
    awk 'function cpu(domid,   i) {
            for (i = 4; i <= NF; i++) if ($i ~ "^" domid ":") { sub(/.*:/, "", $i); return $i }
            return 0 }
        $1 == "us" { store[$2] = $4 }
        $1 == "mark" { at = $3; word = 0
            for (i = 4; i <= NF; i++) if ($i == "begin" || $i == "end") { word = i; break }
            if (!word) next
            name = $(word + 1); dom0 = cpu(0); other = store[$2] ? cpu(store[$2]) : 0
            if ($word == "begin") { began = name; dom0_before = dom0; other_before = other; next }
            if (name != began || $(word + 2) == "failed") next
            printf "%s %s %s %s %s %s %s %s\n", $2, name, $(word + 2), $(word + 3), $(word + 4), $(word + 5),
                dom0 - dom0_before, other - other_before }' "$OUT" |
        jq -R 'split(" ") | {backend: .[0], load: .[1], requests: .[2] | tonumber, ms: .[3] | tonumber,
            p50_us: .[4] | tonumber, p99_us: .[5] | tonumber, dom0_ns: .[6] | tonumber, store_ns: .[7] | tonumber}'
}

starts() {
    jq -R 'split(" ") | select(.[0] == "start") | {backend: .[1], load: "start", steps_ns: .[2] | tonumber, ready_ns: .[3] | tonumber}' "$OUT"
}

status=0
if [ "${1:-}" = --read ]; then
    OUT=$2
else
    mkdir -p "$(dirname "$OUT")"
    rm -f "$OUT"
    if in_dom0; then here || status=$?; else in_bed || status=$?; fi
fi
[ -s "$OUT" ] || { echo "bench: no figures: see above" >&2; exit 1; }
{ rows; starts; } | jq -c . >"$OUT.json"
[ -s "$OUT.json" ] || { echo "bench: no figures: see above" >&2; exit 1; }
jq -L bench -rs -f bench/xen.jq "$OUT.json" |
    awk -F '|' 'NF > 1 { printf "%-18s %-14s", $1, $2; for (i = 3; i <= NF; i++) printf "%10s", $i; print ""; next } { print }'
[ "$status" = 0 ] || echo "bench: something failed, see above: what is shown is the rest" >&2
exit "$status"
