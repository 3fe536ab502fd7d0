#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --iops and --bandwidth: what fio gets is the rate, however many connections it has, and a server
# whose clients wait still leaves at once.  Counts over the time fio measured, not over a planned one.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

for tool in fio jq python3; do
    command -v $tool >/dev/null || { skip "rates" "$tool is missing"; exit 0; }
done

# load SECONDS FIO-ARGUMENT...: random reads; sets IOS, BYTES and MS.
load() {
    local seconds=$1
    shift
    fio --name=load --ioengine=nbd --uri="$(uri xvdc)" --size=64m --rw=randread --bs=4k \
        --iodepth=32 --time_based --runtime="$seconds" --group_reporting --output-format=json \
        --output="$WORK/fio" "$@" || { tail -n 20 "$WORK/fio"; return 1; }
    read -r IOS BYTES MS < <(jq -r '[.jobs[] | .read, .write | select(.total_ios > 0)] | first |
        "\(.total_ios) \(.io_bytes) \(.runtime)"' <(sed -n '/^{/,$p' "$WORK/fio"))
    echo "$IOS requests, $BYTES bytes in $MS ms"
}

# within COUNT RATE EXTRA: COUNT in MS is RATE a second, give or take 15 %, and EXTRA at most.
within() {
    [ $(($1 * 1000)) -ge $(($2 * MS * 85 / 100)) ] &&
        [ $(($1 * 1000)) -le $(($2 * MS * 115 / 100 + $3 * 1000)) ]
}

requests() {
    serve --volume xvdc=blank:64M --iops 500
    load 4
    within "$IOS" 500 50
    serve_end
}

requests_of_two() {
    serve --volume xvdc=blank:64M --iops 500 --threads 2
    load 4 --numjobs=2
    within "$IOS" 500 50
    serve_end
}

bytes() { # RW
    serve --volume xvdc=blank:64M --bandwidth 20M --threads 2
    load 4 --numjobs=2 --bs=64k --rw="$1"
    within "$BYTES" $((20 << 20)) $((2 << 20))
    serve_end
}

# The same loads, far above both rates.
unlimited() {
    serve --volume xvdc=blank:64M
    load 1
    [ $((IOS * 1000)) -ge $((2500 * MS)) ]
    load 1 --bs=64k
    [ $((BYTES * 1000)) -ge $(((60 << 20) * MS)) ]
    serve_end
}

ends_while_throttled() {
    local client start i
    serve --volume xvdc=blank:64M --iops 5 --threads 2
    fio --name=load --ioengine=nbd --uri="$(uri xvdc)" --size=64m --rw=randrw --bs=4k --numjobs=2 \
        --iodepth=32 --time_based --runtime=30 --output="$WORK/load" >/dev/null 2>&1 &
    client=$!
    for ((i = 0; i < 100; i++)); do
        [ "$(connections)" -lt 3 ] || break
        sleep 0.05
    done
    sleep 0.5
    start=$(date +%s%N)
    serve_end
    [ $(($(date +%s%N) - start)) -lt 2000000000 ]
    wait "$client" || true
}

# The server's sockets: the one that listens and one each connection.  None, when not root.
connections() {
    find "/proc/$PID/fd" -lname 'socket:*' 2>/dev/null | wc -l
}

client() { # CASE
    serve --volume xvdc=blank:64M --iops 1 --threads 2
    PYTHONDONTWRITEBYTECODE=1 python3 "$HERE/rates.py" "$SOCK" "$1"
    serve_end
}

try "500 requests a second" requests
try "two connections share them" requests_of_two
try "20M a second, read" bytes randread
try "20M a second, written" bytes randwrite
try "without a limit it is much faster" unlimited
try "SIGTERM ends it while clients wait" ends_while_throttled
try "goodbye costs nothing" client goodbye
try "clients may leave while they wait" client places
try "a patient client is served" client patient
