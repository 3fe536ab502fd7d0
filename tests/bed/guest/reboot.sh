# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# reboot.sh - in the guest of cases/reboot.sh, in each of its lives: all is as if there had been none before;
# then it writes everywhere, and waits to be told how this life ends.

pristine() {
	[ ! -e /var/tmp/marker ] && (cd /mnt && sha256sum --quiet -c sums) && [ ! -e /mnt/marker ] &&
		cmp -n $((16 << 20)) /dev/xvdc /dev/zero
}
check mount-xvdb mount /dev/xvdb /mnt
check pristine pristine
writes() {
	marker_lines 4096 >/var/tmp/marker && marker_lines 8192 >/mnt/marker && rm /mnt/files/3 &&
		marker_lines 65536 | dd of=/dev/xvdc bs=65536 iflag=fullblock oflag=direct conv=notrunc
}
check writes writes
drop_caches
is_written() { [ "$(marker_lines 8192 | sha256sum)" = "$(sha256sum </mnt/marker)" ] && [ ! -e /mnt/files/3 ]; }
check reads-back is_written
check kernel-log-of-life kernel_log_clean
say written
read -r word
case $word in
reboot) /run/bed/busybox reboot -f ;; # as it is, mounted
busy)
	fio --name=busy --filename=/dev/xvdc --rw=randwrite --bs=4k --iodepth=32 --ioengine=libaio --direct=1 \
		--time_based --runtime=36000 >/dev/null 2>&1 &
	say busy
	read -r _
	;;
esac
umount /mnt
