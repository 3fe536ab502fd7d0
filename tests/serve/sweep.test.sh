#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How writes reach a real disk (TMPDIR, /var/tmp): what a deep queue strews over a volume leaves in few
# large writes, what is stored stays near what is live, and a guest with one write under way is not
# made to wait for others.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

for tool in fio jq; do
    command -v $tool >/dev/null || { skip "sweeps" "$tool is missing"; exit 0; }
done

: >"$WORK/figures"

# load FIO-ARGUMENT...: on the volume; its figures are in $WORK/fio.
load() {
    fio --name=load --ioengine=nbd --uri="$(uri xvdc)" --output-format=json --output="$WORK/fio" \
        --refill_buffers "$@" || { tail -n 20 "$WORK/fio"; return 1; }
}

# Blocks in each write, times ten, as the server tells at its end.
gathered() {
    local writes blocks
    serve_end
    read -r writes blocks < <(sed -nE 's/.*pool: ([0-9]+) writes of ([0-9]+) blocks.*/\1 \2/p' "$ERR")
    echo "$blocks blocks in $writes writes" | tee -a "$WORK/figures" >&2
    [ "$writes" -gt 0 ]
    echo $((blocks * 10 / writes))
}

first_touches() {
    local n
    serve --volume xvdc=blank:16G
    load --size=16g --io_size=256m --rw=randwrite --bs=4k --iodepth=32
    n=$(gathered)
    [ "$n" -ge 160 ]
}

first_touches_of_two() { # connections, each on a thread of its own
    local n
    serve --volume xvdc=blank:16G --threads 2
    load --size=8g --io_size=128m --rw=randwrite --bs=4k --iodepth=32 --numjobs=2 \
        --offset_increment=8g
    n=$(gathered)
    [ "$n" -ge 100 ]
}

in_sequence() {
    local n
    serve --volume xvdc=blank:512M
    load --size=512m --rw=write --bs=1m --iodepth=8
    [ "$(pool_mib)" -le 540 ]
    n=$(gathered)
    [ "$n" -ge 640 ]
}

# The most there was while COMMAND ran, in MiB.
most_mib() {
    local pid most=0 now
    "$@" >&2 &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        now=$(pool_mib)
        [ "$now" -le "$most" ] || most=$now
        sleep 0.02
    done
    wait $pid
    echo "$most"
}

# overwrites MIB TIMES: so many times over, at random: at most a quarter more than is live.
overwrites() {
    local most end bound=$(($1 * 5 / 4))
    serve --volume "xvdc=blank:$1M"
    load --size="$1m" --rw=randwrite --bs=4k --iodepth=32
    most=$(most_mib load --size="$1m" --io_size="$(($1 * $2))m" --norandommap=1 --rw=randwrite \
        --bs=4k --iodepth=32)
    end=$(pool_mib)
    echo "live $1 MiB: $most MiB at most, $end MiB at the end" | tee -a "$WORK/figures"
    [ "$most" -ge "$1" ] # it was looked at
    [ "$most" -le "$bound" ]
    [ "$end" -le "$bound" ]
    qio xvdc "discard 0 $1M"
    await 10 pool_is_below 10
    serve_end
}

pool_is_below() {
    [ "$(pool_mib)" -lt "$1" ]
}

# quick FILE-OF-FIO KEPT: the lesser of KEPT and the microseconds within which a tenth of the writes was
# done: what others do on a busy machine hardly touches them, a wait before each write does.
quick() {
    local n
    n=$(jq '.jobs[0].write.lat_ns.percentile["10.000000"] / 1000 | floor' \
        <(sed -n '/^{/,$p' "$1"))
    [ "$n" -lt "$2" ] && echo "$n" || echo "$2"
}

# One write at a time, on a directory, in memory (where nothing is gathered), and by plain direct
# writes to a file on the same disk, by turns: the disk's part may be a quarter more than the file's,
# and 35 us.
shallow() {
    local dir=1000000 ram=1000000 plain=1000000 i disk
    local one=(--rw=randwrite --bs=4k --iodepth=1 --number_ios=2000 --lat_percentiles=1
        --percentile_list=10)
    serve --volume xvdc=blank:1G
    disk=$SOCK SOCK=$WORK/sock2
    PLACE=ram:128M serve --volume xvdc=blank:1G
    for i in 1 2 3 4 5; do
        load --size=1g "${one[@]}" "--randseed=$i"
        ram=$(quick "$WORK/fio" "$ram")
        SOCK=$disk load --size=1g "${one[@]}" "--randseed=$i"
        dir=$(quick "$WORK/fio" "$dir")
        fio --name=plain --ioengine=libaio --direct=1 --filename="$WORK/plain" --size=64m \
            "${one[@]}" --output-format=json --output="$WORK/fio"
        plain=$(quick "$WORK/fio" "$plain")
    done
    echo "one write at a time: directory $dir us, memory $ram us, plain file $plain us" |
        tee -a "$WORK/figures"
    [ $((dir - ram)) -le $((plain * 5 / 4 + 35)) ]
    [ "$dir" -gt "$ram" ]
}

try "first touches by 32 leave in large writes" first_touches
try "so do those of two connections" first_touches_of_two
try "writes in sequence stay large" in_sequence
if is_root; then
    try "overwritten 4 times, 64 MiB take little more" overwrites 64 4
    try "overwritten twice, 160 MiB take little more" overwrites 160 2
else
    skip "what overwrites take" "needs root to look at the pool's file"
fi
if is_sanitized; then
    skip "one write at a time does not wait for others" "a sanitizer has a time of its own"
else
    try "one write at a time does not wait for others" shallow
fi
sed 's/^/    /' "$WORK/figures"
