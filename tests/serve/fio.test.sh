#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fio writes and verifies with mixed block sizes and a deep queue; also while the server is ended.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

BASE=$WORK/base
head -c 64M /dev/urandom >"$BASE"
serve --volume "xvda=cow:$BASE" --volume xvdc=blank:512M

verify() { # VOLUME SIZE RW
    fio --name=verify --ioengine=nbd --uri="$(uri "$1")" --size="$2" --rw="$3" --iodepth=32 \
        --bssplit=512/20:4k/40:8k/10:64k/20:1m/10 --blockalign=512 --norandommap=0 \
        --verify=crc32c --serialize_overlap=1 --verify_fatal=1 \
        --verify_state_save=0 --random_generator=tausworthe64 --output="$WORK/fio" || { tail -n 20 "$WORK/fio"; return 1; }
    absent -iE 'verify.*(bad|fail)|err= *[1-9]' "$WORK/fio"
}

two_jobs() {
    fio --ioengine=nbd --uri="$(uri xvdc)" --size=64m --rw=randwrite --iodepth=16 --bs=512 \
        --io_size=8m --verify=crc32c --serialize_overlap=1 --verify_fatal=1 \
        --verify_state_save=0 --output="$WORK/fio" --name=a --offset=0 --name=b --offset=64m || { tail -n 20 "$WORK/fio"; return 1; }
}

ends_under_load() {
    fio --name=load --ioengine=nbd --uri="$(uri xvdc)" --size=256m --rw=randrw --bs=64k \
        --iodepth=32 --time_based --runtime=30 --output="$WORK/load" >/dev/null 2>&1 &
    local load=$!
    sleep 1.5
    serve_end
    wait "$load" || true
}

try "fio verifies mixed blocks over a base" verify xvda 64m randwrite
try "fio verifies mixed reads and writes" verify xvdc 256m randrw
try "fio verifies sectors on two connections" two_jobs
try "SIGTERM under load ends it cleanly" ends_under_load
