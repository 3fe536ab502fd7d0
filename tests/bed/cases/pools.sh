# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pools - what a guest sees when its pool has no space, or an error. The pool is a small file system of
# its own, on device-mapper so that a piece of it can be broken; a ballast file takes most of it.
#
#   steady  writes some blocks; a broken piece of the device fails just the writes that hit it
#   fill    writes more than there is room for: it hangs, without an error; reads of both guests and
#           overwrites of steady go on; when the ballast is taken away it goes on and is all there
#   then both are held, steady is destroyed, fill powers off: as fast as ever, and nothing is left

seed=$SEED-pools
dir=/var/lib/pools
POOL=$dir/fs/pool
mkdir -p "$dir/fs"

for g in fill steady; do
	guest_config "$g" 256 pools "bed.role=$g bed.seed=$seed" \
		"$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdb blank:512M)"
done

# ---- the pool's file system ----

# table [BAD-FROM BAD-SECTORS]: the device, where that piece answers with errors
table() {
	local at=${1:-0} length=${2:-0}
	[ "$at" = 0 ] || echo "0 $at linear $loop 0"
	[ "$length" = 0 ] || echo "$at $length error"
	echo "$((at + length)) $((sectors - at - length)) linear $loop $((at + length))"
}

make_pool() {
	truncate -s 256M "$dir/image"
	sectors=$((256 << 11))
	mke2fs -q -t ext4 -m 0 -N 64 -J size=4 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$dir/image"
	loop=$(losetup -f --show "$dir/image")
	modprobe dm-mod
	table | dmsetup create --noudevsync --noudevrules pool &&
		dmsetup mknodes pool && mount -o noatime /dev/mapper/pool "$dir/fs" && mkdir "$POOL"
}
switch_table() { table "$@" | dmsetup load pool && dmsetup suspend --nolockfs pool && dmsetup resume --noudevsync pool; }

# Also when the case ends early: another case's guests must not find it
remove_pool() {
	umount "$dir/fs" && dmsetup remove --noudevsync --retry pool && losetup -d "$loop"
}
trap '! mountpoint -q "$dir/fs" || { umount -l "$dir/fs"; dmsetup remove --deferred pool; }' EXIT

space() { df -B 1M --output=avail "$dir/fs" | tail -n 1 | tr -d ' '; }
used() { df -B 1M --output=used "$dir/fs" | tail -n 1 | tr -d ' '; }
# leave MIB: so much space, by a ballast file
leave() { fallocate -l "$(($(space) - $1))M" "$dir/fs/ballast"; }

# The first place never written in a pool file, as sectors of the device: there its next write will go
next_place() {
	filefrag -v -b512 "$1" | tr ':.' '  ' |
		awk '$1 ~ /^[0-9]+$/ { if ($0 ~ /unwritten/) { if (!at) { at = $4; n = $6 } } else at = n = 0 } END { print at + 0, n + 0 }'
}

# ---- checks ----

# Of xvdb only: the few blocks of a journal on xvda may still fit in
xvdb_blocks() { ephemctl status "$1" --json | awk '/"vdev"/ { xvdb = /xvdb/ } xvdb && /"blocks"/ { print $2 + 0 }'; }
is_held() { [ "$(status_number "$1" held)" -gt 0 ]; }
held_since() {
	local since
	since=$(status_number fill held_since)
	echo "since $since, begun at $begun, now $(date +%s)"
	[ "$since" -ge "$begun" ] && [ "$since" -le "$(date +%s)" ]
}
times_logged() { tail -n "+$((log_mark + 1))" "$DAEMON_LOG" | grep -c "$1" || true; }

broken_device() {
	local file at length
	check named guest_wait steady 240 named
	steady_pids=$(new_workers "")
	steady_domid=$(guest_domid steady)
	# shellcheck disable=SC2086 # a list
	file=$(pool_files $steady_pids | head -n 1)
	filefrag -v -b512 "$file"
	read -r at length < <(next_place "$file")
	check next-place-known [ "$length" -ge 1024 ]
	check break-device switch_table $((at + 512)) 128
	dmsetup table pool
	guest_tell steady go
	check survived guest_wait steady 240 survived
	check mend-device switch_table
	is worker-of-steady "$(workers | xargs)" "$(xargs <<<"$steady_pids")"
	is errors-counted-for-one-disk "$(ephemctl status steady --json | grep -c '"errors": [1-9]')" 1
}

full() {
	local before
	before=$(workers)
	check fill-create guest_start fill
	check fill-ready guest_wait fill 240 ready
	fill_pids=$(new_workers "$before")
	fill_domid=$(guest_domid fill)
	check ballast leave 24
	log_mark=$(wc -l <"$DAEMON_LOG")
	begun=$(date +%s)
	guest_tell steady go
	guest_tell fill go
	check fill-held wait_for 120 "writes to be held" is_held fill
	check fill-reads guest_beats fill
	before=$(xvdb_blocks fill)
	check fill-reads-on guest_beats fill
	check steady-overwrites guest_beats steady
	check steady-overwrites-on guest_beats steady
	check fill-reads-still guest_beats fill
	check fill-still-held is_held fill
	is fill-stands-still "$(xvdb_blocks fill)" "$before"
	check held-since held_since
	is steady-not-held "$(status_number steady held)" 0
	ephemctl status
	check status-says-held eval "ephemctl status fill | grep -q 'HELD: [1-9]'"
	is logged-once "$(times_logged 'the pool is full')" 1
	is not-over-yet "$(times_logged 'no write is held any more')" 0
	check fill-not-done not guest_said fill filled

	rm "$dir/fs/ballast"
	check fill-goes-on guest_wait fill 300 filled
	check nothing-held not is_held fill
	is held-since-nothing "$(status_number fill held_since)" 0
	is logged-once-in-all "$(times_logged 'the pool is full')" 1
	is logged-end-once "$(times_logged 'no write is held any more')" 1
	guest_tell steady stop
	check steady-served guest_wait steady 240 served
}

held_to_the_end() {
	local start
	check ballast-again leave 8
	guest_tell fill more
	guest_tell steady more
	check both-held-fill wait_for 120 "fill to be held" is_held fill
	check both-held-steady wait_for 120 "steady to be held" is_held steady
	start=$(now)
	check steady-destroy xl destroy steady
	check steady-destroy-in-time [ $(($(now) - start)) -lt 10 ]
	check_gone steady "$steady_domid" "$steady_pids"
	check fill-held-again wait_for 60 "fill to be held" is_held fill
	start=$(now)
	guest_tell fill off
	check fill-power-off guest_wait_exit fill 30
	echo "powered off in $(($(now) - start)) s"
	check_gone fill "$fill_domid" "$fill_pids"
	guest_results fill
	guest_results steady
}

kernel_log_mark
channels=$(event_channels)
check pool make_pool
empty=$(used)
check daemon daemon_start --threads 2 --verbose
check steady-create guest_start steady
broken_device
full
held_to_the_end
rm "$dir/fs/ballast"
is pool-given-back "$(used)" "$empty"
check daemon-stops daemon_stop
check no-workers no_workers
check pool-closed closed "$dir/fs"
is event-channels "$(event_channels)" "$channels"
check pool-removed remove_pool
check kernel-log kernel_log_clean
sync
report "absent pools $seed"
