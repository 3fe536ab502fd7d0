#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ring door: production daemon and workers on the stand-ins for Xen's libraries (tests/fakexen), and a
# load generator that does what Linux' blkfront does (bench/ring_load.c).
#
#   bench/ring.sh              REPS=5 SECS=1 SPAN_MIB=256 STORES="tmpfs disk" INTEGRITY="on off" LONG=1
#                              POLL=100 B=build OUT=build/bench/ring.json
#
# Every row has disks of its own, one a guest, blank and written once in full before (touch "over"), or
# written for the first time (touch "first"), or a base that is read (touch "base").  A worker has one
# ring thread; the load generator shares the machine with it.  Each repetition goes round all rows, so
# that a slow spell of the machine hits each; OUT has a line of JSON for each run, the table medians.
# What copying, encrypting and the store cost by themselves is measured in the same run (bench/limits.c).
# A worker's CPU a request is exact to the nanosecond; what of it is the stand-ins' own is not.
# Rows are OP PATTERN TOUCH BYTES DEPTH QUEUES GUESTS; ROWS="..." takes those lines instead of its own.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
export SIM_SOURCE=$PWD/tests/sim
B=${B:-build}
REPS=${REPS:-5} SECS=${SECS:-1} SPAN=$((${SPAN_MIB:-256} << 20)) STORES=${STORES:-tmpfs disk}
OUT=${OUT:-$B/bench/ring.json}
devid=51712

note() { echo "$*" >&2; }

rows_some() {
    local op depth
    for depth in 1 8 32; do
        for op in read write; do echo "$op random over 4096 $depth 1 1"; done
    done
    echo "mixed random over 4096 32 1 1"
    echo "read random base 4096 32 1 1"
    echo "write random first 4096 32 1 1"
    for op in read write; do
        echo "$op random over 16384 32 1 1"
        echo "$op sequential over 65536 16 1 1"
        echo "$op sequential over 1048576 4 1 1"
        echo "$op random over 4096 32 4 1"
        echo "$op random over 4096 32 1 2"
        echo "$op random over 4096 32 1 4"
    done
}

# What a grant table of the stand-ins has room for: 32 MiB in flight a guest.
rows_all() {
    local op pattern touch bytes depth queues guests
    for guests in 1 2 3 4; do for queues in 1 2 4; do for depth in 1 8 32; do
        for bytes in 4096 16384 65536 1048576; do
            [ $((bytes * depth * queues)) -le $((32 << 20)) ] || continue
            for pattern in sequential random; do
                for op in read write mixed; do echo "$op $pattern over $bytes $depth $queues $guests"; done
                echo "read $pattern base $bytes $depth $queues $guests"
                echo "write $pattern first $bytes $depth $queues $guests"
            done
        done
    done; done; done
}

rows() {
    if [ -n "${ROWS:-}" ]; then echo "$ROWS"; elif [ -n "${LONG:-}" ]; then rows_all; else rows_some; fi
}

# run STORE INTEGRITY OP PATTERN TOUCH BYTES DEPTH QUEUES GUESTS: one line of JSON
run() {
    local store=$1 integrity=$2 touch=$5 guests=$9 i target=blank:$SPAN words=()
    local load=(--op "$3" --bytes "$6" --depth "$7" --queues "$8" --span "$SPAN" --seconds "$SECS")
    [ "$4" = random ] || load+=(--sequential)
    case $touch in
    over) load+=(--fill) ;;
    first) load+=(--once) ;;
    base) target=$DISK/base ;;
    esac
    devid=$((devid == 51712 ? 51728 : 51712))
    for ((i = 1; i <= guests; i++)); do
        disk "$i" "$devid" "$target"
        words+=("$i:$devid:$(worker_of "$i")")
    done
    sim_run "$B/bench/ring-load" "${load[@]}" "${words[@]}" |
        jq -c --arg store "$store" --arg touch "$touch" --arg integrity "$integrity" \
            '{bench: "ring", store: $store, integrity: $integrity, touch: $touch} + . | del(.once)'
    for ((i = 1; i <= guests; i++)); do sim_detach "$i" "$devid"; done
}

guest_idle() { # a disk that stays, so that its worker does
    sim_domain "$1" && disk "$1" 51952 blank:1G
}

idle() { # PID
    jq -nc --argjson kib "$(awk '/^VmRSS:/ { print $2 }' "/proc/$1/status")" '{bench: "idle", resident_kib: $kib}'
}

# store NAME FOLDER INTEGRITY: everything there
store() {
    # shellcheck source=tests/sim/case.sh
    . tests/sim/case.sh
    TMPDIR=$2 case_begin --threads 1 --queues 4 --poll "${POLL:-100}"
    mkdir -p "$DISK/etc"
    printf '[pool]\nintegrity=%s\n' "$3" >"$DISK/etc/blkback-ephem.conf"
    head -c "$SPAN" /dev/urandom >"$DISK/base"
    local i row
    for i in 1 2 3 4; do guest_idle "$i"; done
    idle "$(worker_of 1)" >>"$OUT"
    while read -ra row; do run "$1" "$3" "${row[@]}" >>"$OUT"; done < <(rows)
    sim_run "$B/bench/limits" "$DISK" | jq -c --arg store "$1" '. + {store: $store}' >>"$OUT"
    for i in 1 2 3 4; do sim_destroy "$i"; done
}

# The last column is how far the rates of the repetitions are apart
table() {
    jq -L bench -rs 'include "figures";
        "store op pattern touch bytes depth queues guests integrity /s MB/s us least p50 p99 p99.9 KiB spread",
        (map(select(.bench == "ring")) | group_by([.store, .bytes, .queues, .guests, .depth, .op, .touch, .pattern, .integrity])[] |
            [(.[0] | .store, .op, .pattern, .touch, .bytes, .depth, .queues, .guests, .integrity),
            (map(.per_second) | median | round), (map(.mb_per_second) | median | round), (map(.cpu_us) | (median, min) | fixed),
            (map(.p50_us), map(.p99_us), map(.p999_us), map(.resident_kib) | median | round),
            (map(.per_second) | spread)] | map(tostring) | join(" "))' "$OUT" | column -t
}

limits() {
    jq -rs '"limit store bytes data MB/s us",
        (map(select(.bench == "limit")) | group_by([.what, .bytes, .cold, if .what[:4] == "pool" then .store else "" end])[] |
        .[0] as $first | [$first.what, (if $first.what[:4] == "pool" then $first.store else "-" end), $first.bytes,
        (if $first.cold == null then "-" elif $first.cold then "cold" else "hot" end),
        (map(.mb_per_second // 0) | max), (map((.ns // 0) / 1000 + (.cpu_us // 0)) | min)] | map(tostring) | join(" "))' "$OUT" | column -t
}

: >"$OUT"
for ((rep = 1; rep <= REPS; rep++)); do
    for name in $STORES; do
        for integrity in ${INTEGRITY:-on off}; do
            note "ring: $name, integrity $integrity, round $rep of $REPS"
            case $name in tmpfs) folder=/dev/shm ;; *) folder=${DIR:-/var/tmp} ;; esac
            (store "$name" "$folder" "$integrity")
        done
    done
done
table
limits
jq -L bench -rs --argjson stores "$(jq -nRc '[inputs | splits(" +")]' <<<"$STORES")" -f bench/targets.jq "$OUT"
