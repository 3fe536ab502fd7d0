#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many guests at once: GUESTS (32; 4 under a sanitizer) with three volumes of four queues each, all
# connected and doing I/O, then idle. Prints what that costs and fails when it is more than the
# system's defaults or our own limits allow.
#
# A worker maps the rings of its guest, which here are a file on tmpfs: RssShmem of its status, and
# not the worker's own memory on a real host, where they are the guest's. Memory is therefore VmRSS
# less RssShmem. aio-nr counts what aio contexts reserve, for the whole system.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

disks="51712 51728 51744"
memory_limit=$((16 << 10)) # KiB
fd_limit=256
aio_limit=65536
threads=4

now() {
    date +%s%N | cut -b 1-13
}

aio_nr() {
    cat /proc/sys/fs/aio-nr
}

# Attached one after the other, as starting guests do; connected all at once.
guest_starts() {
    sim_domain "$1" || return 1
    for start_disk in $disks; do
        disk "$1" "$start_disk" "$DISK/base" || return 1
        front_beside "$1" "$start_disk" --queues 4 --indirect 32 --depth 4 --seed "$1" \
            verify 100 write-key served 1 pause
    done
}

all_start() {
    for all_guest in $(seq "$guests"); do
        guest_starts "$all_guest" || return 1
    done
    echo "attached"
    for all_guest in $(seq "$guests"); do
        for all_disk in $disks; do
            sim_wait "/local/domain/$all_guest/device/vbd/$all_disk/served" 1 -t 60 || return 1
        done
    done
}

# One line a worker: KiB of its own, shared KiB, descriptors, aio contexts.
measure() {
    workers | while read -r worker; do
        measured_fds=$(find "/proc/$worker/fd" -mindepth 1 2>/dev/null | wc -l)
        measured_aio=$(grep -c '\[aio\]' "/proc/$worker/maps" || :)
        awk -v fds="$measured_fds" -v aio="$measured_aio" '
            /^VmRSS/ { rss = $2 } /^RssShmem/ { shmem = $2 }
            END { print rss - shmem, shmem, fds, aio }' "/proc/$worker/status"
    done | sort -n >"$SIM/figures"
}

show() {
    awk -v guests="$guests" -v aio="$aio" -v ms="$started" '
        { own[NR] = $1; sum += $1; shared += $2; if ($3 > fds) fds = $3
            contexts += $4 }
        END { printf "%d guests x 3 volumes x 4 queues: started in %.1f s; a worker has %.1f MiB " \
            "(median; most %.1f, all %.0f, beside %.0f of rings), at most %d descriptors; " \
            "%d aio contexts, aio-nr +%d\n", guests, ms / 1000,
            own[int((NR + 1) / 2)] / 1024, own[NR] / 1024, sum / 1024, shared / 1024, fds,
            contexts, aio }' "$SIM/figures"
}

one_worker_each() {
    [ "$(wc -l <"$SIM/figures")" = "$guests" ] && [ "$(listed '.guests | length')" = "$guests" ]
}

within() {
    awk -v column="$1" -v limit="$2" '$column > limit { print; bad = 1 } END { exit bad }' \
        "$SIM/figures"
}

# aio-nr is the system's: others may come and go meanwhile.
aio_fits() {
    echo "$aio_before before, $aio more"
    [ $((aio * 32 / guests)) -lt $aio_limit ]
}

all_end() {
    for end_guest in $(seq "$guests"); do
        for end_disk in $disks; do
            sim_end KILL "front.$end_guest.$end_disk"
        done
        sim_destroy "$end_guest" || return 1
    done
}

SIM_TAIL=2
guests=${GUESTS:-32}
[ -z "$SANITIZED" ] || guests=${GUESTS:-4}
aio_before=$(aio_nr)
case_begin --threads $threads
make_base "$DISK/base" $((16 << 20))
started=$(now)
check "$guests guests start and do I/O" all_start
started=$(($(now) - started))
# Buffers are given back when idle: what is measured is what stays.
sleep 3
aio=$(($(aio_nr) - aio_before))
measure
show
check "one worker a guest" one_worker_each
check "at most $fd_limit descriptors each" within 3 $fd_limit
check "one aio context a thread" within 4 $threads
check "aio contexts fit $aio_limit with 32 guests" aio_fits
if [ -z "$SANITIZED" ]; then
    check "at most 16 MiB each" within 1 $memory_limit
else
    skip "at most 16 MiB each" "a sanitizer takes more"
fi
check "all of them end" all_end
case_end
