# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hvm.sh - in an HVM guest that SeaBIOS and GRUB have booted from the emulated form of these very disks: the
# PV driver has them now, and what GRUB wrote is there.

check root-on-xvda grep -q '^/dev/xvda / ext4 rw' /proc/mounts
check booted-by-grub grep -q 'BOOT_IMAGE=/boot/vmlinuz' /proc/cmdline
check is-hvm grep -q 'Xen HVM' <(dmesg)
for disk in xvda xvdb; do
	check "$disk-is-pv" [ "$(basename "$(readlink "/sys/block/$disk/device/driver")")" = vbd ]
done
check nothing-emulated [ -z "$(ls -d /dev/sd? /dev/hd? 2>/dev/null)" ]
check grub-has-written grep -qx "bed_written=by-grub-$seed" /boot/grub.env
check grub-saw-the-second-disk grep -qx "bed_second=hd1" /boot/grub.env
sums() { sha256sum --quiet -c /boot/sums; }
check boot-files sums
mkdir -p /tmp/second
check second-disk mount -o noatime /dev/xvdb /tmp/second
marker_lines 8192 >/var/tmp/marker
marker_lines 8192 >/tmp/second/marker
drop_caches
is_written() { [ "$(marker_lines 8192 | sha256sum)" = "$(sha256sum <"$1")" ]; }
check writes is_written /var/tmp/marker
check writes-second is_written /tmp/second/marker
hold written
umount /tmp/second
