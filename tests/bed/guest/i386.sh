# shellcheck shell=dash disable=SC2154 # variables of lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# i386.sh - process 1 of a 32-bit guest once its drivers are in: all it has is busybox.
#   xvdb  ext4 with files and checksums    xvdc  blank: raw requests as large as the ring can tell of
# Its ring, its indirect segments and its discards are laid out as 32-bit compilers do.

# shellcheck disable=SC2034 # for lib.sh
seed=$(sed -n 's/.*bed\.seed=\([^ ]*\).*/\1/p' /proc/cmdline)
mkdir -p /mnt /tmp
mount -t tmpfs tmp /tmp
# shellcheck source=tests/bed/guest/lib.sh
. /bed/lib.sh
stty -echo
say "up $(cut -d' ' -f1 /proc/uptime)"
until [ -b /dev/xvdb ] && [ -b /dev/xvdc ]; do sleep 0.1; done

check is-32-bit [ "$(uname -m)" = i686 ]
check indirect-segments [ "$(cat /sys/block/xvdc/queue/max_segments)" = 256 ]

# A file system: what the base has, and what is written over it
check mount-xvdb mount -t ext4 /dev/xvdb /mnt
sums() { (cd /mnt && sha256sum -s -c sums); }
check xvdb-as-in-base sums
write_files() {
	marker_lines 65536 >/mnt/marker
	for i in $(seq 50); do echo "small $i" >"/mnt/small-$i"; done
	rm /mnt/files/8
}
check xvdb-write write_files
drop_caches
read_files() {
	[ "$(marker_lines 65536 | sha256sum)" = "$(sha256sum </mnt/marker)" ] && [ "$(cat /mnt/small-33)" = "small 33" ] &&
		[ ! -e /mnt/files/8 ]
}
check xvdb-reads-back read_files

# Raw, in requests of 1 MiB and of one sector, at odd places
# block N SIZE: what block N is to hold
block() { yes "$seed $1" | head -c "$2"; }
sector=$((2048 * 13 + 1027)) # within block 12
write_raw() {
	for n in $(seq 0 15); do block "$n" 1048576; done | dd of=/dev/xvdc bs=1M seek=1 iflag=fullblock oflag=direct conv=notrunc &&
		block sector 512 | dd of=/dev/xvdc bs=512 seek="$sector" oflag=direct conv=notrunc
}
check raw-write write_raw
drop_caches
# raw N: is block N there?
raw() { dd if=/dev/xvdc bs=1M skip=$(($1 + 1)) count=1 iflag=direct status=none | cmp - /tmp/block; }
raw_reads_back() { # FIRST
	for n in $(seq "$1" 15); do
		block "$n" 1048576 >/tmp/block
		[ "$n" != 12 ] ||
			block sector 512 | dd of=/tmp/block bs=512 seek=$((sector % 2048)) conv=notrunc status=none
		raw "$n" || return 1
	done
}
check raw-reads-back raw_reads_back 0
block sector 512 >/tmp/sector
reads_sector() { dd if=/dev/xvdc bs=512 skip="$sector" count=1 iflag=direct status=none | cmp - /tmp/sector; }
check sector-reads-back reads_sector
check flush dd if=/tmp/sector of=/mnt/flushed conv=fsync

hold written

# Space given back
check blkdiscard blkdiscard -o 1048576 -l $((8 << 20)) /dev/xvdc
zeros() { dd if=/dev/xvdc bs=1M skip=1 count=8 iflag=direct status=none | cmp -n $((8 << 20)) - /dev/zero; }
check discarded-is-zeros zeros
check beside-it-nothing raw_reads_back 8
check fstrim fstrim /mnt
check xvdb-after-trim read_files
umount /mnt
kernel_log_clean() {
	! dmesg -r | grep -vE "$no_pc" | grep -E '^<[0-3]>|I/O error|BUG|WARNING|Call Trace'
}
check kernel-log kernel_log_clean
say end
sleep 0.5
poweroff -f
