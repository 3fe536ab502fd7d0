# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pvh.sh - in the guest: what a machine does with its disks.
#   xvda  the Debian root        xvdb  ext4 with files and checksums    xvdc  blank: swap
#   xvdd  blank: raw, fio        xvde  blank: btrfs
# Leaves the marker in files, in the raw volume and in swap, and holds while dom0 looks for it.

case $size in
long) fio_size=256M rounds=4 swap_mb=192 discard_mb=64 ;;
*) fio_size=8M rounds=1 swap_mb=32 discard_mb=8 ;;
esac
marker_at=$((256 << 20)) # bytes into xvdd, behind what fio uses

check debian grep -q trixie /etc/os-release
check large-requests [ "$(cat /sys/block/xvdd/queue/max_segments)" = 256 ]
check root-on-xvda grep -q '^/dev/xvda / ext4 rw' /proc/mounts

# Files on the root and on xvdb, read back from the disk
marker_lines 4096 >/var/tmp/marker
check mount-xvdb mount /dev/xvdb /mnt
sums() { (cd /mnt && sha256sum --quiet -c sums); }
check xvdb-as-in-base sums
write_files() {
	marker_lines 8192 >/mnt/marker
	head -c 12000000 /dev/urandom >/mnt/random
	sha256sum /mnt/random >/tmp/random.sum
	for i in $(seq 100); do echo "small $i" >"/mnt/small-$i"; done
	rm /mnt/files/8
}
check xvdb-write write_files
drop_caches
read_files() {
	[ "$(marker_lines 8192 | sha256sum)" = "$(sha256sum </mnt/marker)" ] &&
		[ "$(marker_lines 4096 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ] &&
		sha256sum --quiet -c /tmp/random.sum && [ "$(cat /mnt/small-77)" = "small 77" ] && [ ! -e /mnt/files/8 ]
}
check xvdb-reads-back read_files

# Swap: a small memory limit pushes a tmpfs full of markers out to xvdc
check swap-on swap_on /dev/xvdc
check swap-room swap_room $((swap_mb * 2))
fill_swap() { marker_lines $((swap_mb * 1048576 / 65)) >/swapped/marker; }
check swap-fill in_little_memory fill_swap
swapped_out() { [ "$(swapped_mib)" -gt $((swap_mb / 2)) ]; }
check swap-used swapped_out
swap_reads_back() { [ "$(marker_lines $((swap_mb * 1048576 / 65)) | sha256sum)" = "$(sha256sum </swapped/marker)" ]; }
check swap-reads-back in_little_memory swap_reads_back

# Raw: every block size a request can have, 32 at a time, checked by fio itself; twice over the same blocks
raw_io() {
	fio --name=raw --filename=/dev/xvdd --size="$fio_size" --direct=1 --ioengine=libaio --iodepth=32 \
		--rw=randrw --bssplit=512/10:1k/5:4k/35:8k/10:64k/20:256k/10:1M/10 --loops="$rounds" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --serialize_overlap=1 --randseed="$1" --minimal
}
check fio-verify raw_io 1
check fio-overwrite raw_io 2
write_raw_marker() { marker_lines 65536 | dd of=/dev/xvdd bs=65536 seek=$((marker_at / 65536)) oflag=direct conv=notrunc iflag=fullblock; }
check raw-marker write_raw_marker
raw_marker_back() { [ "$(marker_lines 65536 | sha256sum)" = "$(dd if=/dev/xvdd bs=65536 skip=$((marker_at / 65536)) count=65 iflag=direct status=none | sha256sum)" ]; }
check raw-marker-reads-back raw_marker_back

# btrfs: full to the brim, then every checksum
load btrfs
make_btrfs() { mkfs.btrfs -q /dev/xvde && mkdir -p /fs && mount /dev/xvde /fs; }
check btrfs-make make_btrfs
fill() { # until there is no space left
	head -c 4000000 /dev/urandom >/tmp/piece
	local i=0
	while cat /tmp/piece >"/fs/$i" 2>/dev/null; do i=$((i + 1)); done
	sync
	[ "$i" -gt 10 ] && cmp /tmp/piece /fs/0 && cmp /tmp/piece "/fs/$((i - 1))"
}
check btrfs-fill fill
drop_caches
scrub() { btrfs scrub start -B /fs && ! btrfs device stats /fs | grep -v ' 0$'; }
check btrfs-scrub scrub
rm -f /fs/[0-9]*
sync

hold written

# Space given back
check fstrim-xvdb fstrim -v /mnt
check fstrim-btrfs fstrim -v /fs
discard() {
	blkdiscard -o 0 -l $((discard_mb << 20)) /dev/xvdd &&
		dd if=/dev/xvdd bs=1M count="$discard_mb" iflag=direct status=none | cmp -n $((discard_mb << 20)) - /dev/zero
}
check blkdiscard discard
check raw-marker-survives raw_marker_back
check xvdb-still-reads read_files
umount /swapped /fs
check swap-off swapoff /dev/xvdc
umount /mnt
check xvdb-fsck e2fsck -fn /dev/xvdb
