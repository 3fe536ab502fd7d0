# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# forensics.sh - in the guest: the marker in files on two file systems, in raw blocks and in swap, each read
# back from its disk. Told "hard" it goes on writing and reading it until somebody ends that; told "go" it ends.

marker_lines 8192 >/var/tmp/marker
check mount-xvdb mount /dev/xvdb /mnt
marker_lines 32768 >/mnt/marker
check swap-on swap_on /dev/xvdc
check swap-room swap_room 48
fill_swap() { marker_lines 250000 >/swapped/marker; }
check swap-fill in_little_memory fill_swap
swapped_out() { [ "$(swapped_mib)" -ge 4 ]; }
check swap-used swapped_out
raw() { marker_lines 8192 | dd of=/dev/xvdd bs=65536 oflag=direct iflag=fullblock conv=notrunc status=none; }
check raw-written raw
drop_caches
sum_of() { sha256sum | cut -c1-64; }
reads_back() {
	[ "$(marker_lines 8192 | sum_of)" = "$(sum_of </var/tmp/marker)" ] &&
		[ "$(marker_lines 32768 | sum_of)" = "$(sum_of </mnt/marker)" ] &&
		[ "$(marker_lines 8192 | head -c 524288 | sum_of)" = "$(dd if=/dev/xvdd bs=65536 count=8 iflag=direct status=none | sum_of)" ]
}
check reads-back reads_back
swap_reads_back() { [ "$(marker_lines 250000 | sum_of)" = "$(sum_of </swapped/marker)" ]; }
check swap-reads-back in_little_memory swap_reads_back
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
umount /swapped /mnt
swapoff /dev/xvdc
