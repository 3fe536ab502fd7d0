#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A pool on a device of its own: kept, full, given back, discarded at the end, and with bad places.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if ! is_root; then
    skip "a pool on a device" "needs root for loop devices"
    exit 0
fi

# device FILE: DEVICE becomes a loop device over it, for as long as this shell lives.
device() {
    DEVICE=$(losetup -f --show "$1" 2>/dev/null) || return 1
    echo "losetup -d '$DEVICE'" >>"$WORK/undo"
    PLACE=block:$DEVICE
}
: >"$WORK/undo"
UNDO+=(". '$WORK/undo'") # cases are subshells

truncate -s 256M "$WORK/disk"
if ! device "$WORK/disk"; then
    skip "a pool on a device" "no loop devices here"
    exit 0
fi

# What the device's file takes of its own disk, in MiB, rounded up.
disk_mib() {
    echo $((($(stat -c %b "$WORK/disk") + 2047) / 2048))
}

disk_is_below() {
    [ "$(disk_mib)" -lt "$1" ]
}

kept() {
    serve --volume xvdc=blank:512M --threads 2
    pools mixed 64 400
    verified xvdc 128m
    serve_end
}

full_device() {
    truncate -s 32M "$WORK/small"
    device "$WORK/small"
    serve --volume xvdc=blank:128M
    goes_on_after_discard
    serve_end
}

discards_reach_it() {
    local i
    noise
    serve --volume xvdc=blank:512M
    for ((i = 0; i < 4; i++)); do put xvdc $((i * 64)) 32; done
    [ "$(disk_mib)" -ge 128 ]
    for ((i = 1; i < 4; i++)); do qio xvdc "discard $((i * 64))M 32M"; done
    await 10 disk_is_below 48
    has xvdc 0 32
    qio xvdc "discard 0 32M"
    await 10 disk_is_below 10
    serve_end
}

discarded_at_the_end() { # SIGNAL
    noise
    serve --volume xvdc=blank:512M
    put xvdc 0 32
    put xvdc 100 32
    [ "$(disk_mib)" -ge 64 ]
    kill "-$1" "$PID"
    [ "$(serve_status)" = 0 ]
    [ "$(disk_mib)" -eq 0 ]
    absent 'not discarded' "$ERR"
}

free_at_the_end() { # at once, for another
    serve --volume xvdc=blank:16M
    serve_end
    serve --volume xvdc=blank:16M
    serve_end
}

left_alone() {
    noise
    dd "if=$NOISE" "of=$DEVICE" bs=1M oflag=direct status=none
    timeout 10 "$EPHEM" serve --volume xvdc=blank:16M --pool "$PLACE,force" \
        --nbd "$WORK/nosuch/sock" && return 1
    cmp -n $((32 << 20)) "$NOISE" "$DEVICE"
    # The same with a good socket shows what would have become of it.
    PLACE=$PLACE,force serve --volume xvdc=blank:16M
    serve_end
    [ "$(disk_mib)" -eq 0 ]
}

own_base() {
    noise
    dd "if=$NOISE" "of=$DEVICE" bs=1M oflag=direct status=none
    timeout 10 "$EPHEM" serve --volume "xvdc=cow:$DEVICE" --pool "$PLACE,force" \
        --nbd "$WORK/own.sock" 2>"$WORK/own.err" && return 1
    cat "$WORK/own.err"
    grep -q 'the base of a volume: name another' "$WORK/own.err"
    cmp -n $((32 << 20)) "$NOISE" "$DEVICE"
}

# A file on a ramfs cannot be punched, so its loop device has no discard.
without_discard() {
    truncate -s 32M "$WORK/ramfs/disk"
    device "$WORK/ramfs/disk"
    serve --volume xvdc=blank:32M
    qio xvdc "write -P 0x61 0 4M" "discard 0 2M" "read -P 0x61 2M 2M" "read -P 0 0 2M"
    serve_end
    says 'not discarded: .*ciphertext stays on it' 1
}

# QEMU's blkdebug fails what touches certain sectors; FUSE makes it a file, losetup a device.
bad_disk() { # SECTOR...
    local debug=driver=blkdebug,node-name=debug,image=disk i=0 sector
    for sector; do
        debug+=,inject-error.$i.event=none,inject-error.$i.iotype=write,inject-error.$i.once=off
        debug+=,inject-error.$i.errno=5,inject-error.$i.sector=$sector
        i=$((i + 1))
    done
    truncate -s 64M "$WORK/bad"
    : >"$WORK/export"
    qemu-storage-daemon --daemonize --pidfile "$WORK/qsd.pid" \
        --blockdev "driver=file,node-name=disk,filename=$WORK/bad" --blockdev "$debug" \
        --export "type=fuse,id=fuse,node-name=debug,mountpoint=$WORK/export,writable=on" || return 1
    # Undone in this order.
    device "$WORK/export" || { kill "$(cat "$WORK/qsd.pid")" && return 1; }
    echo "kill $(cat "$WORK/qsd.pid")" >>"$WORK/undo"
}

bad_places() {
    serve --volume xvdc=blank:64M
    pools bad 40 3
    absent 'pool is full' "$ERR"
    serve_end
}


try "a device: mixed blocks, two threads" kept
try "a full device goes on after a discard" full_device
try "a guest's discards reach the device" discards_reach_it
try "SIGTERM: nothing is left on the device" discarded_at_the_end TERM
try "SIGINT: nothing is left on the device" discarded_at_the_end INT
try "the device is free at once" free_at_the_end
try "who never started leaves the device as it was" left_alone
try "a base is no pool, forced or not" own_base
mkdir "$WORK/ramfs"
if mount -t ramfs none "$WORK/ramfs" 2>/dev/null; then
    UNDO=("umount -l '$WORK/ramfs'" "${UNDO[@]}")
    try "a device without discard" without_discard
else
    skip "a device without discard" "cannot mount a ramfs here"
fi
if ! command -v qemu-storage-daemon >/dev/null; then
    skip "bad places cost one request each" "no qemu-storage-daemon"
elif ! bad_disk 20488 20496 40968 2>/dev/null; then
    skip "bad places cost one request each" "no file on FUSE here"
else
    try "bad places cost one request each" bad_places
fi
