# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench.sh - in the guest: what xvdb, 64 MiB over a base, does for fio; with bed.scale=N it is N times as large, and
# what may be repeated is N times longer besides. Dom0 takes the time at each mark.
#
#   0 to 16 MiB: read from the base, then written for the first time, then again and again
#   16 to 48: the same in order, 64 KiB at a time      48 to 64: read in order from the base
#
# The first words of a mark: begin or end, and the load; with "end" what fio counted: requests, milliseconds, latency in
# microseconds: median, 99 %, mean.

mark() {
	say "mark $*"
	read -r _
}
# numbers read|write BYTES: of fio's terse line
numbers() {
	awk -F ';' -v o="$([ "$1" = read ] && echo 6 || echo 47)" -v bytes="$2" '{
		split($(o + 18), median, "="); split($(o + 24), most, "=")
		print $o * 1024 / bytes, $(o + 3), median[2], most[2], $(o + 10) }' /tmp/fio.out
}
# load NAME RW BYTES DEPTH OFFSET SIZE [OPTION...]
load() {
	local name=$1 rw=$2 bytes=$3 depth=$4 offset=$5 size=$6
	shift 6
	mark begin "$name"
	if fio --name=bench --filename=/dev/xvdb --rw="$rw" --bs="$bytes" --iodepth="$depth" --offset="$offset" --size="$size" \
		--direct=1 --ioengine=libaio --thread --refill_buffers --randseed=1 --output-format=terse "$@" >/tmp/fio.out; then
		mark end "$name" "$(numbers "${rw#rand}" "$bytes")"
	else
		fail "load-$name" "fio ended with status $?"
		mark end "$name" failed
	fi
}
many=$((4096 * scale)) few=$((1024 * scale * scale)) longer=$((4096 * scale * scale)) rounds=3
part=$((16 * scale))M half=$((32 * scale))M
[ "$size" != long ] || rounds=5

fio --version >/tmp/version # and its libraries are in memory
dd if=/dev/xvdb of=/dev/null bs=4096 count=1 iflag=direct status=none
mark ready
mark begin idle
mark end idle 0 0 0 0 0
load base-read randread 4096 32 0 "$part" --io_size=$((many * 4096))
load base-sequential read 65536 16 $((48 * scale))M "$part"
load first-write randwrite 4096 32 0 "$part" --io_size=$((many * 4096))
load first-sequential write 65536 16 "$part" "$half"
for ((round = 1; round <= rounds; round++)); do
	load write-qd32 randwrite 4096 32 0 "$part" --io_size=$((longer * 4096))
	load read-qd32 randread 4096 32 0 "$part" --io_size=$((longer * 4096))
	load write-qd1 randwrite 4096 1 0 "$part" --io_size=$((few * 4096))
	load read-qd1 randread 4096 1 0 "$part" --io_size=$((few * 4096))
	load write-fsync randwrite 4096 1 0 "$part" --io_size=$((512 * scale * 4096)) --fsync=1
	load write-sequential write 65536 16 "$part" "$half" --io_size=$((32 * scale * scale))M
	load read-sequential read 65536 16 "$part" "$half" --io_size=$((32 * scale * scale))M
done
pass loads
