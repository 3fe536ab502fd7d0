#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A pool without space holds writes, serves reads, and goes on when there is space.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if ! is_root; then
    skip "a full pool" "needs root to mount a small file system"
    exit 0
fi
FS=$WORK/fs POOL=$WORK/fs/pool
mkdir "$FS"
if ! mount -t tmpfs -o size=32m none "$FS" 2>/dev/null; then
    skip "a full pool" "cannot mount a tmpfs here"
    exit 0
fi
UNDO+=("umount -l '$FS'")
mkdir "$POOL"

# Waits until the server has said that it holds writes.
await_full() {
    local i
    for ((i = 0; i < 200; i++)); do
        ! grep -q 'pool is full' "$ERR" || return 0
        sleep 0.05
    done
    return 1
}

hold_and_go_on() {
    fallocate -l 20M "$FS/ballast"
    serve --volume xvdc=blank:64M
    qio xvdc "write -P 0x61 0 4M"
    qemu-io -f raw -c "write -P 0x62 4M 16M" -c "read -P 0x62 4M 16M" "$(uri xvdc)" \
        >"$WORK/held" 2>&1 &
    local writer=$!
    await_full
    sleep 1
    kill -0 "$writer" # it waits; no error was answered
    qio xvdc "read -P 0x61 0 4M"
    [ "$(grep -c 'pool is full' "$ERR")" -eq 1 ]
    rm "$FS/ballast"
    wait "$writer"
    absent -iE 'failed|error' "$WORK/held"
    qio xvdc "read -P 0x62 4M 16M" "read -P 0x61 0 4M"
    serve_end
}

ends_while_holding() {
    fallocate -l 20M "$FS/ballast"
    serve --volume xvdc=blank:64M
    timeout 30 qemu-io -f raw -c "write -P 0x63 0 32M" "$(uri xvdc)" >/dev/null 2>&1 &
    local writer=$!
    await_full
    serve_end
    wait "$writer" || true
}

client_leaves_while_holding() {
    fallocate -l 20M "$FS/ballast"
    serve --volume xvdc=blank:64M
    qemu-io -f raw -c "write -P 0x64 0 32M" "$(uri xvdc)" >/dev/null 2>&1 &
    local writer=$! i
    await_full
    kill -KILL "$writer"
    wait "$writer" || true
    for ((i = 0; i < 40; i++)); do
        ! grep -q 'no write is held' "$ERR" || break
        sleep 0.05
    done
    grep -q 'no write is held' "$ERR"
    qio xvdc "read 0 1M"
    serve_end
}

discard_makes_room() {
    serve --volume xvdc=blank:256M
    local i
    for ((i = 0; i < 6; i++)); do
        qio xvdc "write -P 0x6$i $((i * 32))M 16M" "read -P 0x6$i $((i * 32))M 16M" \
            "discard $((i * 32))M 16M"
    done
    [ "$(grep -c 'pool is full' "$ERR")" -eq 0 ]
    serve_end
}

try "a full pool holds writes and goes on" hold_and_go_on
rm -f "$FS/ballast"
try "SIGTERM ends it while writes are held" ends_while_holding
rm -f "$FS/ballast"
try "a client may leave while its writes are held" client_leaves_while_holding
rm -f "$FS/ballast"
try "discards make room in the pool" discard_makes_room
