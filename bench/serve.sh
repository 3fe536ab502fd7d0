#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our doors beside their peers, over the same stores in the same run:
#   ring, ringbare   the ring on stand-ins for Xen's libraries (bench/ring.sh), with integrity and without
#   ephem, bare      our NBD door, with integrity and without
#   raw, luks, qsd   qemu-storage-daemon with a raw file, a LUKS container, a qcow2 overlay encrypted by LUKS
#   nbdkit           nbdkit's luks filter over its cow filter
#   fio              fio by itself on a file, libaio: no server at all
#
#   bench/serve.sh            REPS=3 SECS=1 SIZE_MB=256 STORES="tmpfs disk" B=build OUT=build/bench/serve.json
#                             SERVERS="ring ringbare ephem bare raw luks qsd nbdkit fio"
#                             LOADS="randread:4k:32 ..." FIRST="randwrite:4k:32"
#
# Every repetition goes round all servers before the next, so that a slow spell of the machine hits
# each of them; figures are medians.  "us" is the server's CPU (user + system) per request; of fio, which has
# none, its own.  Reads come from blocks the overlay holds: each server's volume is written once in full
# before.  A load of FIRST has a fresh volume instead, each of whose blocks is written once at most.  All open their
# files with O_DIRECT where the store has that.  OUT has a line of JSON for each run; serve.jq reads them.
set -euo pipefail
export LC_ALL=C

ROOT=$(cd "$(dirname "$0")/.." && pwd)
B=${B:-build}
case $B in /*) ;; *) B=$ROOT/$B ;; esac
REPS=${REPS:-3} SECS=${SECS:-1} SIZE_MB=${SIZE_MB:-256} STORES=${STORES:-tmpfs disk}
DISK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem-bench.XXXXXX")
SHM=$(mktemp -d /dev/shm/ephem-bench.XXXXXX)
HZ=$(getconf CLK_TCK)
SERVERS=${SERVERS:-ring ringbare ephem bare raw luks qsd nbdkit fio}
OUT=${OUT:-$B/bench/serve.json}
LOADS=${LOADS:-randread:4k:1 randwrite:4k:1 randread:4k:32 randwrite:4k:32 randrw:4k:32 randread:16k:32 randwrite:16k:32
    read:64k:16 write:64k:16 read:1m:4 write:1m:4}
FIRST=${FIRST-randwrite:4k:32}
declare -A PIDS=()
# shellcheck source=bench/direct.sh
. "$ROOT/bench/direct.sh"

# shellcheck disable=SC2317
finish() {
    local i
    for i in "${PIDS[@]}"; do kill "$i" 2>/dev/null || true; done
    wait || true
    rm -rf "$DISK" "$SHM"
}
trap finish EXIT

note() {
    echo "$*" >&2
}

await() { # SOCKET
    local i
    for ((i = 0; i < 200; i++)); do
        [ ! -S "$1" ] || return 0
        sleep 0.05
    done
    note "no server on $1"
    return 1
}

fill() { # FILE: incompressible, so that nobody gains by looking
    head -c "${SIZE_MB}M" /dev/urandom >"$1"
}

# LUKS measures the CPU to choose its iterations, which fails now and then on a busy machine.
create() { # qemu-img create arguments
    local i
    for ((i = 0; i < 5; i++)); do
        qemu-img create -q --object secret,id=k,data=bench "$@" 2>"$DISK/create" && return 0
        sleep 0.3
    done
    cat "$DISK/create" >&2
    return 1
}

start_ours() { # NAME DIR INTEGRITY
    "$B/blkback-ephem" serve --volume "xvda=cow:$2/base" --pool "dir:$2" --nbd "$2/$1.sock" \
        --threads "${THREADS:-1}" --integrity "$3" >/dev/null &
    PIDS[$1]=$!
}

start_ephem() { # DIR
    start_ours ephem "$1" on
}

start_bare() { # DIR
    start_ours bare "$1" off
}

# start_storage_daemon NAME DIR BLOCKDEV...: its node is called e
start_storage_daemon() {
    local name=$1 dir=$2
    shift 2
    qemu-storage-daemon --object secret,id=k,data=bench "$@" \
        --nbd-server "addr.type=unix,addr.path=$dir/$name.sock" \
        --export type=nbd,id=x,node-name=e,name=,writable=on >/dev/null &
    PIDS[$name]=$!
}

# How qemu is to open files there
file_options() { # DIR PREFIX
    local aio=threads direct=off
    ! is_direct "$1" || aio=native direct=on
    echo "$2driver=file,$2aio=$aio,$2cache.direct=$direct"
}

start_raw() { # DIR
    truncate -s "${SIZE_MB}M" "$1/base.raw"
    start_storage_daemon raw "$1" --blockdev "driver=raw,node-name=e,$(file_options "$1" file.),file.filename=$1/base.raw"
}

start_luks() { # DIR
    create -f luks -o key-secret=k,iter-time=50 "$1/base.container" "${SIZE_MB}M"
    start_storage_daemon luks "$1" \
        --blockdev "driver=luks,key-secret=k,node-name=e,$(file_options "$1" file.),file.filename=$1/base.container"
}

start_qsd() { # DIR
    create -f qcow2 -b "$1/base" -F raw \
        -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=50 "$1/overlay.qcow2"
    start_storage_daemon qsd "$1" --blockdev "driver=qcow2,node-name=e,encrypt.format=luks,encrypt.key-secret=k,$(
        file_options "$1" file.),file.filename=$1/overlay.qcow2,backing.driver=raw,$(
        file_options "$1" backing.file.),backing.file.filename=$1/base"
}

# luks above cow: ciphertext in the overlay.  cow above luks would keep plaintext there.
start_nbdkit() { # DIR
    create -f luks -o key-secret=k,iter-time=50 "$1/base.luks" "${SIZE_MB}M"
    TMPDIR=$1 nbdkit -f -U "$1/nbdkit.sock" --filter=luks --filter=cow file "$1/base.luks" \
        passphrase=bench >/dev/null &
    PIDS[nbdkit]=$!
}

cpu() { # PID -> clock ticks, user and system
    sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'
}

# What fio says of a run, as JSON; its own CPU time where TICKS is empty
fio_says() { # STORE SERVER LOAD TOUCH RESIDENT-KIB [TICKS]
    sed -n '/^{/,$p' "$DISK/fio" | jq -c --arg store "$1" --arg server "$2" --arg load "$3" --arg touch "$4" --argjson kib "$5" \
        --arg ticks "${6:-}" --argjson hz "$HZ" '
        .jobs[0] | [.read, .write | select(.io_bytes > 0)] as $ways |
        def us(p): [$ways[].clat_ns.percentile[p]] | max / 1000 | round;
        (if $ticks == "" then (.usr_cpu + .sys_cpu) / 100 * .job_runtime / 1000 else ($ticks | tonumber) / $hz end) as $cpu |
        {bench: "serve", $store, $server, load: ($load | gsub(":"; " ")), $touch, per_second: ([$ways[].iops] | add),
            mb_per_second: ([$ways[].bw_bytes] | add / 1e6), cpu_us: ($cpu * 1e6 / ([$ways[].total_ios] | add)),
            p50_us: us("50.000000"), p99_us: us("99.000000"), p999_us: us("99.900000"), resident_kib: $kib}'
}

run_fio() { # RW BS QD OPTION...
    local rw=$1 bs=$2 qd=$3
    shift 3
    fio --name=t --size="${SIZE_MB}m" --rw="$rw" --bs="$bs" --iodepth="$qd" --runtime="$SECS" \
        --refill_buffers --output-format=json --output="$DISK/fio" "$@" >/dev/null
}

# measure STORE SERVER DIR LOAD TOUCH: one line of JSON
measure() {
    local server=$2 dir=$3 rw bs qd before after direct=0 how=(--time_based --norandommap --randrepeat=0)
    IFS=: read -r rw bs qd <<<"$4"
    [ "$5" = over ] || how=(--randrepeat=0)
    if [ "$server" = fio ]; then
        ! is_direct "$dir" || direct=1
        run_fio "$rw" "$bs" "$qd" --thread --ioengine=libaio --direct=$direct --filename="$dir/base.fio" "${how[@]}"
        fio_says "$1" "$server" "$4" "$5" null
        return
    fi
    before=$(cpu "${PIDS[$server]}")
    run_fio "$rw" "$bs" "$qd" --ioengine=nbd --uri="nbd+unix:///?socket=$dir/$server.sock" "${how[@]}"
    after=$(cpu "${PIDS[$server]}")
    fio_says "$1" "$server" "$4" "$5" "$(resident "${PIDS[$server]}")" $((after - before))
}

# measure_first STORE SERVER DIR LOAD: the same for a server, or a file, of its own, which goes again
measure_first() {
    local dir=$3/base.first had=${PIDS[$2]:-}
    mkdir "$dir"
    if [ "$2" = fio ]; then
        truncate -s "${SIZE_MB}M" "$dir/base.fio"
        measure "$1" fio "$dir" "$4" first
    else
        ln "$3/base" "$dir/base"
        "start_$2" "$dir"
        await "$dir/$2.sock"
        measure "$1" "$2" "$dir" "$4" first
        kill "${PIDS[$2]}"
        wait "${PIDS[$2]}" 2>/dev/null || true
        PIDS[$2]=$had
    fi
    rm -rf "$dir"
}

# row LOAD TOUCH: the same load for bench/ring.sh
row() {
    local rw bs qd bytes order=sequential
    IFS=: read -r rw bs qd <<<"$1"
    case $bs in *k) bytes=$((${bs%k} << 10)) ;; *m) bytes=$((${bs%m} << 20)) ;; esac
    [ "${rw#rand}" = "$rw" ] || order=random
    rw=${rw#rand}
    echo "${rw/rw/mixed} $order $2 $bytes $qd 1 1"
}

# The ring has daemon, worker and load of its own: all rows at once, in lines of JSON like those of the others
measure_ring() { # STORE INTEGRITY...
    local store=$1 load touch rows=() names='{}'
    shift
    while read -r load touch; do
        rows+=("$(row "$load" "$touch")")
        names=$(jq -c --arg row "${rows[-1]}" --arg load "${load//:/ }" '.[$row] = $load' <<<"$names")
    done < <(for load in $LOADS; do echo "$load over"; done; for load in $FIRST; do echo "$load first"; done)
    (cd "$ROOT" && ROWS=$(printf '%s\n' "${rows[@]}") STORES=$store INTEGRITY=$* REPS=1 SECS=$SECS SPAN_MIB=$SIZE_MB \
        DIR=$DISK OUT=$DISK/ring.json B=$B bench/ring.sh >"$DISK/ring.log" 2>&1) || { cat "$DISK/ring.log" >&2; return 1; }
    jq -c --arg store "$store" --argjson names "$names" 'select(.bench == "ring") |
        {bench: "serve", $store, server: (if .integrity == "on" then "ring" else "ringbare" end),
            load: $names["\(.op) \(.pattern) \(.touch) \(.bytes) \(.depth) 1 1"], touch, per_second, mb_per_second, cpu_us, p50_us, p99_us, p999_us,
            resident_kib}' "$DISK/ring.json"
}

prepare() { # SERVER DIR: every block of its volume written once
    fio --name=t --ioengine=nbd --uri="nbd+unix:///?socket=$2/$1.sock" --size="${SIZE_MB}m" \
        --rw=write --bs=1m --iodepth=4 --refill_buffers --output=/dev/null >/dev/null
}

bench_store() { # NAME DIR
    local s l i rings=()
    note "$1: preparing"
    fill "$2/base"
    for s in $SERVERS; do
        case $s in
        ring) rings+=(on) ;;
        ringbare) rings+=(off) ;;
        fio) fill "$2/base.fio" ;;
        *)
            "start_$s" "$2"
            await "$2/$s.sock"
            prepare "$s" "$2"
            ;;
        esac
    done
    for ((i = 1; i <= REPS; i++)); do
        note "$1: round $i of $REPS"
        [ ${#rings[@]} = 0 ] || measure_ring "$1" "${rings[@]}" >>"$OUT"
        for s in $SERVERS; do
            case $s in ring*) continue ;; esac
            for l in $FIRST; do measure_first "$1" "$s" "$2" "$l" >>"$OUT"; done
        done
        for l in $LOADS; do
            for s in $SERVERS; do
                case $s in ring*) continue ;; esac
                measure "$1" "$s" "$2" "$l" over >>"$OUT"
            done
        done
    done
    for s in "${!PIDS[@]}"; do
        kill "${PIDS[$s]}"
        wait "${PIDS[$s]}" 2>/dev/null || true
        unset "PIDS[$s]"
    done
    rm -rf "${2:?}"/*.qcow2 "$2"/base*
}

idle_memory() {
    local i
    fill "$DISK/base"
    "$B/blkback-ephem" serve --volume "xvda=cow:$DISK/base" --volume xvdb=blank:10G \
        --volume xvdc=blank:1G --pool "dir:$DISK" --nbd "$DISK/idle.sock" >/dev/null &
    PIDS[idle]=$!
    await "$DISK/idle.sock"
    printf '\nidle with three volumes: %s KiB resident' "$(resident "${PIDS[idle]}")"
    for i in xvda xvdb xvdc; do
        qemu-io -f raw -c "write -q 0 64M" -c "read -q 0 64M" \
            "nbd+unix:///$i?socket=$DISK/idle.sock"
    done
    sleep 4
    printf ', idle again after 192 MiB of I/O: %s KiB\n' "$(resident "${PIDS[idle]}")"
}

resident() { # PID
    awk '/^VmRSS:/ {print $2}' "/proc/$1/status"
}

printf '%s\n' "$(date +%F), $(nproc) cores,$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2)"
printf '%s\n' "median of $REPS runs of $SECS s, one connection; the client shares the cores"
: >"$OUT"
for store in $STORES; do
    case $store in
    tmpfs) bench_store tmpfs "$SHM" ;;
    disk) bench_store disk "$DISK" ;;
    esac
done
jq -L "$ROOT/bench" -rs -f "$ROOT/bench/serve.jq" "$OUT" |
    awk -F '|' 'NF > 1 { printf "%-22s", $1; for (i = 2; i <= NF; i++) printf "%10s", $i; print ""; next } { print }'
idle_memory
