# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# forensics.sh - in the guest: the marker in files on two file systems, in raw blocks and in swap, each read
# back from its disk. Told "hard" it goes on writing and reading it until somebody ends that; told "fill" it writes
# more of it than its pool takes, 8 MiB at once, and never ends; told "go" it ends.

marker_lines 8192 >/var/tmp/marker
check mount-xvdb mount /dev/xvdb /mnt
marker_lines 32768 >/mnt/marker
# What is in swap is put there by one write: a group that may have little memory is held back on its way, for seconds
check swap-on swap_on /dev/xvdc
check swap-room swap_room 16
small=/sys/fs/cgroup/small
fill_swap() {
	echo max >$small/memory.high
	(echo "$BASHPID" >$small/cgroup.procs && marker_lines 100000 >/swapped/marker) || return 1
	echo 5M >$small/memory.reclaim || true # says also when it was a bit less
}
check swap-fill fill_swap
swapped_out() { [ "$(swapped_mib)" -ge 4 ]; }
check swap-used swapped_out
raw() { marker_lines 8192 | dd of=/dev/xvdd bs=65536 oflag=direct iflag=fullblock conv=notrunc status=none; }
check raw-written raw
sync
# has FILE: the first 512 KiB, past the page cache
sum_of() { head -c 524288 | sha256sum; }
has() { [ "$(marker_lines 8192 | sum_of)" = "$(dd if="$1" bs=65536 count=8 iflag=direct status=none | sum_of)" ]; }
reads_back() { has /var/tmp/marker && has /mnt/marker && has /dev/xvdd; }
check reads-back reads_back
swapped_in() { awk '$1 == "pswpin" { print int($2 / 256) }' /proc/vmstat; }
swap_reads_back() {
	[ "$(marker_lines 100000 | sha256sum)" = "$(sha256sum </swapped/marker)" ] && [ "$(swapped_in)" -ge 4 ]
}
check swap-reads-back swap_reads_back
say written
read -r word
if [ "$word" = hard ]; then
	n=0
	word=
	while [ -z "$word" ] && raw && dd if=/dev/xvdd of=/dev/null bs=65536 count=8 iflag=direct status=none; do
		n=$((n + 1))
		say "beat $n"
		read -r -t 0.1 word || true
	done
fi
if [ "$word" = fill ]; then
	for n in 1 2 3 4 5 6 7 8; do
		marker_lines 100000 | dd of=/dev/xvdd bs=1M seek=$((n * 6)) oflag=direct conv=notrunc iflag=fullblock &
	done
	wait
fi
umount /swapped /mnt
swapoff /dev/xvdc
