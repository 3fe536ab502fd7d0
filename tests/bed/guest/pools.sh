# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pools.sh - in the guests of cases/pools.sh, on xvdb, a blank volume larger than the pool:
#   fill    writes more than there is space for, and reads meanwhile; later again, and powers off with
#           writes that never come back
#   steady  has 144 blocks of 64 KiB whose content is known at any time, and overwrites them
# What holds writes must not be touched by accident: nothing here writes files but to a tmpfs.

blocks=144
rounds=() # of each block, how often it was overwritten
sum=$(printf %s "$seed" | sha256sum | cut -c1-64)

# block N: what block N holds now
block() { yes "$sum $1 ${rounds[$1]:-0}" | head -c 65536; }
all_blocks() { for n in $(seq 0 $((blocks - 1))); do block "$n"; done; }
write_all() { all_blocks | dd of=/dev/xvdb bs=65536 iflag=fullblock oflag=direct status=none; }
verify_all() {
	all_blocks | cmp -n $((blocks * 65536)) - <(dd if=/dev/xvdb bs=65536 count="$blocks" iflag=direct status=none)
}
verify() { block "$1" | cmp - <(dd if=/dev/xvdb bs=65536 skip="$1" count=1 iflag=direct status=none); }

# overwrite N: block N with the content of its next round, which it keeps only if that went well
overwrite() {
	local n=$1 round=${rounds[$1]:-0}
	rounds[n]=$((round + 1))
	block "$n" | dd of=/dev/xvdb bs=65536 seek="$n" iflag=fullblock oflag=direct conv=notrunc status=none && return
	rounds[n]=$round
	return 1
}

# A part of the pool's device is broken just where the next writes will go: each of them that hits it
# fails, and the block still has what it had; all others go on.
overwrite_on_bad_device() {
	local n
	lost=0
	for n in $(seq 0 31); do
		overwrite "$n" || lost=$((lost + 1))
		verify "$n" || return 1
	done
	echo "$lost writes failed"
	[ "$lost" -ge 1 ] && [ "$lost" -le 2 ]
}
# One message for each write, or for each of its two halves if the request was split
errors_are_those() {
	local said
	said=$(dmesg | grep -c 'I/O error, dev xvdb')
	echo "$said messages, $lost writes"
	[ "$said" -ge "$lost" ] && [ "$said" -le $((2 * lost)) ] && ! dmesg | grep 'I/O error, dev xvda'
}

# Until told otherwise: one block after another is overwritten and read back
beats() {
	local beat=0 n
	word=
	say beating
	while [ -z "$word" ]; do
		beat=$((beat + 1))
		n=$((RANDOM % blocks))
		if ! overwrite "$n" || ! verify "$n"; then
			fail "beat-$beat" "block $n was not served"
			return
		fi
		say "beat $beat"
		read -r -t 0.3 word || true
	done
	pass overwrites-all-served
}

more() { fio --name=more --filename=/dev/xvdb --offset=32M --size="$1" --rw=write --bs=128k --direct=1 --ioengine=libaio --iodepth=8; }

steady() {
	check writes-blocks write_all
	hold named
	check on-bad-device overwrite_on_bad_device
	check errors-are-those errors_are_those
	check all-blocks-after-errors verify_all
	dmesg -C
	hold survived
	beats
	check all-blocks verify_all
	check kernel-log-while-full kernel_log_clean
	hold served
	more 256M >/dev/null 2>&1 &
	hold more
}

# fio fills a part of xvdb, and verifies every byte afterwards; what is before that part stays readable
fill_part() {
	fio --name=fill --filename=/dev/xvdb --offset=4M --size=64M --rw=write --bs=128k --direct=1 --ioengine=libaio \
		--iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal
}
reads_go_on() {
	cmp -n 1048576 /tmp/first <(dd if=/dev/xvdb bs=65536 count=16 iflag=direct status=none) &&
		dd if=/dev/xvda of=/dev/null bs=65536 skip=$(($1 * 16 % 8192)) count=4 iflag=direct status=none &&
		cmp -n 65536 /dev/zero <(dd if=/dev/xvdb bs=65536 skip=8000 count=1 iflag=direct status=none)
}

fill() {
	local beat=0 writer
	yes "$sum" | head -c 1048576 >/tmp/first
	check writes-first dd if=/tmp/first of=/dev/xvdb bs=65536 oflag=direct
	hold ready
	fill_part >/tmp/fio.out 2>&1 &
	writer=$!
	while [ -e "/proc/$writer" ]; do
		beat=$((beat + 1))
		reads_go_on "$beat" || { fail "beat-$beat" "a read was not served"; break; }
		say "beat $beat"
		read -r -t 0.3 _ || true
	done
	check fill-verified wait "$writer"
	cat /tmp/fio.out
	check first-still-there reads_go_on 1
	check kernel-log-of-fill kernel_log_clean
	hold filled
	more 400M >/dev/null 2>&1 &
	hold more
	/run/bed/busybox poweroff -n -f # -n: a sync would wait for writes that are held
}

"$role"
