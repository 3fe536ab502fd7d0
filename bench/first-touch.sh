#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# First-touch 4 KiB random writes into a pool on disk, beside raw random writes to a written file of
# the same disk (fio, libaio, O_DIRECT), queue depth 32 both, turn about in one run.
#
#   bench/first-touch.sh       REPS=3 SECS=4 MIB=0 INTEGRITY=on DIR=/var/tmp B=build
#
# The goal: at least 16 blocks a pool write, and the lesser of twice raw and 0.8 s / our CPU a request.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
B=${B:-build}
REPS=${REPS:-3} SECS=${SECS:-4} DEPTH=${DEPTH:-32} INTEGRITY=${INTEGRITY:-on}
WORK=$(mktemp -d "${DIR:-/var/tmp}/ephem-bench.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

raw() {
    fio --name=raw --filename="$WORK/raw" --ioengine=libaio --direct=1 --rw=randwrite --bs=4k \
        --iodepth="$DEPTH" --runtime="$SECS" --time_based --minimal | awk -F';' '{ print $49 }'
}

dd if=/dev/zero of="$WORK/raw" bs=1M count=1024 oflag=direct status=none
for ((i = 0; i < REPS; i++)); do
    raw >>"$WORK/raw.txt"
    "$B/bench/first-touch" "$WORK" "$SECS" "$DEPTH" "${MIB:-0}" "$INTEGRITY" >>"$WORK/ours.txt"
done
RAW=$(median <"$WORK/raw.txt")
OURS=$(cut -d' ' -f1 "$WORK/ours.txt" | median)
CPU=$(cut -d' ' -f2 "$WORK/ours.txt" | median)
BLOCKS=$(cut -d' ' -f3 "$WORK/ours.txt" | median)
GOAL=$(awk -v raw="$RAW" -v cpu="$CPU" 'BEGIN { a = 2 * raw; b = 0.8e6 / cpu; printf "%.0f", a < b ? a : b }')
echo "raw random writes        $RAW /s   ($(paste -sd' ' "$WORK/raw.txt"))"
echo "first touch, ours        $OURS /s   ($(cut -d' ' -f1 "$WORK/ours.txt" | paste -sd' '))"
echo "  CPU a request          $CPU us"
echo "  blocks a pool write    $BLOCKS"
echo "goal                     $GOAL /s: $(awk -v a="$OURS" -v b="$GOAL" 'BEGIN { exit !(a >= b) }' && echo reached || echo "missed")"
awk -v b="$BLOCKS" 'BEGIN { exit !(b >= 16) }' || { echo "fewer than 16 blocks a pool write"; exit 1; }
