#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Pools in memory, compressed and not, and memory in front of a directory: what is written is there,
# what should not touch the disk does not, and the operator's figure is a bound, as counted by the
# kernel from outside.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

: >"$WORK/figures"

# Bytes that the server has caused to be written to disks; its log costs a page a line at most.
disk_bytes() {
    sed -n 's/^write_bytes: //p' "/proc/$PID/io"
}

# Files the server has open, but for its log, and its buffers, which are memory.
files() {
    local fd
    for fd in "/proc/$PID/fd"/*; do
        case $(readlink "$fd") in
            "$WORK"/server.* | /memfd:arena*) ;;
            /*) [ ! -f "$fd" ] || readlink "$fd" ;;
        esac
    done
}

in_memory_only() { # POOL
    PLACE=$1 serve --volume xvdc=blank:128M
    pools mixed 20 200
    verified xvdc 20m
    [ -z "$(files)" ] || { files; return 1; }
    [ "$(disk_bytes)" -le 65536 ] || { echo "$(disk_bytes) bytes on disks"; return 1; }
    serve_end
    # The same on a directory shows that the search can find something.
    PLACE='' serve --volume xvdc=blank:128M
    pools mixed 20 20
    [ -n "$(files)" ]
    [ "$(disk_bytes)" -ge $((4 << 20)) ]
    serve_end
}

full_memory() { # POOL
    PLACE=$1 serve --volume xvdc=blank:128M
    goes_on_after_discard
    serve_end
}

twice_its_size() {
    seq -f 'the line of this text that has the number %.0f' 1 1400000 | head -c 64M >"$WORK/text"
    PLACE=ram:32M,lz4 serve --volume xvdc=blank:64M
    nbdcopy "$WORK/text" "$(uri xvdc)"
    qemu-img compare -f raw -F raw "$WORK/text" "$(uri xvdc)"
    # And again, over what is there.
    tac "$WORK/text" >"$WORK/txet"
    nbdcopy "$WORK/txet" "$(uri xvdc)"
    qemu-img compare -f raw -F raw "$WORK/txet" "$(uri xvdc)"
    absent 'the pool is full' "$ERR"
    rm "$WORK/text" "$WORK/txet"
    serve_end
}

# Room is kept for the worst that writes under way may come to, until it is known.
deep_queue() {
    PLACE=ram:8M,lz4 serve --volume xvdc=blank:64M
    fio --name=deep --ioengine=nbd --uri="$(uri xvdc)" --size=32m --rw=randwrite --bs=4k \
        --iodepth=64 --numjobs=2 --offset_increment=32m --buffer_pattern=0x61 \
        --output="$WORK/fio"
    absent 'the pool is full' "$ERR"
    qio xvdc "read -P 0x61 0 32M" "read -P 0x61 32M 32M"
    serve_end
}

mixed_compressed() {
    PLACE=ram:64M,lz4 serve --volume xvdc=blank:128M
    pools mixed 40 400
    verified xvdc 40m --buffer_compress_percentage=60
    serve_end
}

short_lived() {
    local before i
    serve --volume xvdc=blank:1G --ram-budget 64M
    before=$(stat -Lc %b "$(pool_file)")
    noise
    for ((i = 0; i < 8; i++)); do
        put xvdc $((i * 64)) 32
        has xvdc $((i * 64)) 32
        qio xvdc "discard $((i * 64))M 32M"
    done
    pools mixed 16 300
    [ "$(stat -Lc %b "$(pool_file)")" -eq "$before" ]
    serve_end
}

# Beyond the budget; a reader beside the writers sees what was spilled.
spills() {
    local load first reads=0
    serve --volume xvdc=blank:512M --ram-budget 16M --threads 2
    noise
    put xvdc 256 32
    await 10 took_mib 12
    first=$(pool_mib)
    { pools mixed 128 200 && verified xvdc 128m; } >"$WORK/load" 2>&1 &
    load=$!
    while kill -0 "$load" 2>/dev/null; do
        has xvdc 256 32
        reads=$((reads + 1))
    done
    wait "$load" || { cat "$WORK/load"; return 1; }
    echo "$reads readings beside the writers; from $first to $(pool_mib) MiB"
    [ "$reads" -ge 2 ]
    [ "$(pool_mib)" -ge $((first + 32)) ]
    has xvdc 256 32
    serve_end
}

took_mib() { # MIB: the pool's file has so many at least
    [ "$(pool_mib)" -ge "$1" ]
}

only_ciphertext() {
    local marker i
    marker=$(printf 'memory %s' "$$" | sha512sum | cut -c1-64)
    for ((i = 0; i < 64; i++)); do echo -n "$marker"; done >"$WORK/page"
    serve --volume xvdc=blank:64M --ram-budget 16M
    qio xvdc "write -s $WORK/page 0 32M" "write -s $WORK/page 32M 32M"
    await 10 took_mib 40
    qemu-img dd -f raw -O raw bs=1M count=16 "if=$(uri xvdc)" "of=$WORK/back"
    grep -qaF "$marker" "$WORK/back"
    absent -qaF "$marker" "$(pool_file)"
    # There is something in it to be searched, and it is not marked blocks made shorter.
    [ "$(tr -d '\0' <"$(pool_file)" | head -c 16M | gzip -1 | wc -c)" -gt $((15 << 20)) ]
    rm "$WORK/page"
    serve_end
}

full_behind_memory() {
    FS=$WORK/fs POOL=$WORK/fs/pool
    mkdir -p "$FS"
    mount -t tmpfs -o size=48m none "$FS"
    mkdir "$POOL"
    fallocate -l 24M "$FS/ballast"
    serve --volume xvdc=blank:128M --ram-budget 16M
    noise
    put xvdc 0 16
    writers 64 72 80 88
    await 10 says 'the pool is full'
    has xvdc 0 16
    has xvdc 0 16
    still_held 2
    rm "$FS/ballast"
    written 64 72 80 88
    has xvdc 0 16
    says 'the pool is full' 1
    serve_end
}

can_mount() {
    mkdir -p "$WORK/mnt"
    mount -t tmpfs none "$WORK/mnt" 2>/dev/null && umount "$WORK/mnt"
}

# A memory cgroup of our own.  Sets GROUP, and PEAK: its file that has the most there was.
group_open() {
    local root=/sys/fs/cgroup/memory
    PEAK=memory.max_usage_in_bytes
    if [ ! -e $root/$PEAK ]; then
        root=/sys/fs/cgroup PEAK=memory.peak
        grep -qsw memory $root/cgroup.subtree_control || return 1
    fi
    GROUP=$(mktemp -d "$root/ephem-serve.XXXXXX" 2>/dev/null) || return 1
    UNDO+=("rmdir '$GROUP'")
    [ -e "$GROUP/$PEAK" ] && [ -w "$GROUP/cgroup.procs" ]
}

# peak MIB POOL SERVE-ARGUMENT...: the most memory a server has used, in KiB, while MIB were written at
# random and then overwritten.  Each server has a group of its own.
peak() {
    local group mib=$1 size=$2
    PLACE=$3
    group=$(mktemp -d "$GROUP/XXXXXX")
    # shellcheck disable=SC2016 # for the inner shell
    AS=(bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group")
    serve --volume xvdc=blank:1G "${@:4}"
    fio --name=load --ioengine=nbd --uri="$(uri xvdc)" --size="$size" --io_size="${mib}m" \
        --rw=randwrite --iodepth=32 --bssplit=4k/40:64k/60 --norandommap=1 --randrepeat=1 \
        --buffer_compress_percentage=60 --refill_buffers --output="$WORK/fio" >&2
    serve_end >&2
    await 5 rmdir_after "$group"
}

# Its peak is read once everything it had is given back or counted elsewhere.
rmdir_after() {
    [ -z "$(cat "$1/cgroup.procs")" ] || return 1
    echo $(($(cat "$1/$PEAK") / 1024))
    rmdir "$1" 2>/dev/null || true
}

# bounded MIB WRITTEN SIZE POOL ARG...: beside a server without memory under the same load, at most MIB
# and OVERHEAD more; and half of MIB at least, or nothing was measured.
OVERHEAD=4 # MiB: frames' and slabs' books, page tables of 64 MiB and what the kernel counts in batches
bounded() {
    local mib=$1 without with what
    without=$(peak "$2" "$3" "")
    with=$(peak "$2" "$3" "${@:4}")
    echo "$with KiB, without $without KiB: $(((with - without) / 1024)) MiB for $mib"
    what=${*:4}
    echo "${what# }: $(((with - without) / 1024)) MiB of $mib" >>"$WORK/figures"
    [ $((with - without)) -le $(((mib + OVERHEAD) * 1024)) ]
    [ $((with - without)) -ge $((mib * 1024 / 2)) ]
}

if is_root; then
    try "ram: data is kept, on no disk" in_memory_only ram:32M
    try "lz4: data is kept, on no disk" in_memory_only ram:48M,lz4
else
    skip "data is kept, on no disk" "needs root to look at the server's files"
fi
try "ram: a full pool goes on after a discard" full_memory ram:32M
try "lz4: a full pool goes on after a discard" full_memory ram:32M,lz4
try "lz4: text of twice the pool's size" twice_its_size
try "lz4: a deep queue is no full pool" deep_queue
try "lz4: mixed blocks of either kind" mixed_compressed
if is_root; then
    try "ram-budget: what lives shortly reaches no disk" short_lived
    try "ram-budget: old blocks are spilled while others read" spills
    try "ram-budget: only ciphertext is spilled" only_ciphertext
else
    skip "ram-budget: spilling" "needs root to look at the pool's file"
fi
if is_root && can_mount; then
    try "ram-budget: memory and disk full, then not" full_behind_memory
    mountpoint -q "$WORK/fs" && UNDO+=("umount -l '$WORK/fs'")
else
    skip "ram-budget: memory and disk full, then not" "cannot mount a tmpfs here"
fi
if is_sanitized; then
    skip "memory is bounded" "a sanitizer's memory is not ours"
elif group_open; then
    try "ram-budget 64M is a bound" bounded 64 768 512m "" --ram-budget 64M
    try "ram:64M is a bound" bounded 64 256 60m ram:64M
    try "ram:64M,lz4 is a bound" bounded 64 384 128m ram:64M,lz4
    sed 's/^/    /' "$WORK/figures"
else
    skip "memory is bounded" "no memory cgroup that this user may use"
fi
