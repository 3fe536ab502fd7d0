#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our NBD door, with integrity and (bare) without, beside its peers: qemu-storage-daemon with a qcow2+LUKS overlay, and nbdkit's luks
# filter over its cow filter, over the same stores in the same run.
#
#   bench/serve.sh            REPS=3 SECS=2 SIZE_MB=512 STORES="tmpfs disk" SERVERS="ephem bare qsd nbdkit"
#                             B=build
#
# Every repetition goes round all servers before the next, so that a slow spell of the machine hits
# each of them; figures are medians.  "us" is the server's CPU (user + system) per request.  Reads
# come from blocks the overlay holds: each server's volume is written once in full before.
set -eu
export LC_ALL=C

ROOT=$(cd "$(dirname "$0")/.." && pwd)
B=${B:-build}
case $B in /*) ;; *) B=$ROOT/$B ;; esac
REPS=${REPS:-3} SECS=${SECS:-2} SIZE_MB=${SIZE_MB:-512} STORES=${STORES:-tmpfs disk}
DISK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem-bench.XXXXXX")
SHM=$(mktemp -d /dev/shm/ephem-bench.XXXXXX)
HZ=$(getconf CLK_TCK)
SERVERS=${SERVERS:-ephem bare qsd nbdkit}
LOADS="randread:4k:32 randwrite:4k:32 read:64k:16 write:64k:16"
declare -A PIDS=()

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

start_qsd() { # DIR
    local aio=native direct=on secret="secret,id=k,data=bench" q
    case $1 in "$SHM"*) aio=threads direct=off ;; esac
    create -f qcow2 -b "$1/base" -F raw \
        -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=50 "$1/overlay.qcow2"
    q="driver=qcow2,node-name=e,file.driver=file,file.aio=$aio,file.cache.direct=$direct"
    q="$q,backing.driver=raw,backing.file.driver=file,backing.file.filename=$1/base"
    q="$q,backing.file.aio=$aio,backing.file.cache.direct=$direct,file.filename=$1/overlay.qcow2"
    q="$q,encrypt.format=luks,encrypt.key-secret=k"
    qemu-storage-daemon --object "$secret" --blockdev "$q" \
        --nbd-server "addr.type=unix,addr.path=$1/qsd.sock" \
        --export type=nbd,id=x,node-name=e,name=,writable=on >/dev/null &
    PIDS[qsd]=$!
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

# measure SERVER DIR RW BS QD -> "iops bytes/s us/request"
measure() {
    local before after
    before=$(cpu "${PIDS[$1]}")
    fio --name=t --ioengine=nbd --uri="nbd+unix:///?socket=$2/$1.sock" --size="${SIZE_MB}m" \
        --rw="$3" --bs="$4" --iodepth="$5" --runtime="$SECS" --time_based --norandommap \
        --randrepeat=0 --refill_buffers --output-format=json --output="$DISK/fio" >/dev/null
    after=$(cpu "${PIDS[$1]}")
    sed -n '/^{/,$p' "$DISK/fio" | jq -r --argjson ticks $((after - before)) --argjson hz "$HZ" '
        .jobs[0] | (if .read.io_bytes > 0 then .read else .write end) |
        "\(.iops) \(.bw_bytes) \($ticks / $hz * 1e6 / .total_ios)"'
}

prepare() { # SERVER DIR: every block of its volume written once
    fio --name=t --ioengine=nbd --uri="nbd+unix:///?socket=$2/$1.sock" --size="${SIZE_MB}m" \
        --rw=write --bs=1m --iodepth=4 --refill_buffers --output=/dev/null >/dev/null
}

median() { # COLUMN FILE
    cut -d' ' -f"$1" "$2" | sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'
}

cell() { # FILE BS -> "12.3 K/s  4.5 us"
    case $2 in
    4k) printf '%8.1f K/s %6.1f us' "$(median 1 "$1" | awk '{print $1 / 1e3}')" "$(median 3 "$1")" ;;
    *) printf '%8.0f MB/s %5.0f us' "$(median 2 "$1" | awk '{print $1 / 1e6}')" "$(median 3 "$1")" ;;
    esac
}

bench_store() { # NAME DIR
    local s l rw bs qd i
    note "$1: preparing"
    fill "$2/base"
    for s in $SERVERS; do
        "start_$s" "$2"
        await "$2/$s.sock"
        prepare "$s" "$2"
    done
    for ((i = 1; i <= REPS; i++)); do
        note "$1: round $i of $REPS"
        for l in $LOADS; do
            for s in $SERVERS; do
                IFS=: read -r rw bs qd <<<"$l"
                measure "$s" "$2" "$rw" "$bs" "$qd" >>"$DISK/$1.$s.$rw"
            done
        done
    done
    for l in $LOADS; do
        IFS=: read -r rw bs qd <<<"$l"
        printf '%-6s %-10s %-4s qd%-3s' "$1" "$rw" "$bs" "$qd"
        for s in $SERVERS; do printf '  %s' "$(cell "$DISK/$1.$s.$rw" "$bs")"; done
        printf '\n'
    done
    for s in $SERVERS; do
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
printf '%-28s' ""
for server in $SERVERS; do
    case $server in
    ephem) printf '  %-21s' "blkback-ephem" ;;
    bare) printf '  %-21s' "integrity off" ;;
    qsd) printf '  %-21s' "qsd qcow2+LUKS" ;;
    nbdkit) printf '  %-21s' "nbdkit luks+cow" ;;
    esac
done
printf '\n'
for store in $STORES; do
    case $store in
    tmpfs) bench_store tmpfs "$SHM" ;;
    disk) bench_store disk "$DISK" ;;
    esac
done
idle_memory
