# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pristine.sh - in the guest: nothing of an earlier life is on any of the disks of pvh.sh.

check xvda-pristine [ ! -e /var/tmp/marker ]
check mount-xvdb mount -o ro /dev/xvdb /mnt
sums() { (cd /mnt && sha256sum --quiet -c sums); }
check xvdb-as-in-base sums
check xvdb-without-marker [ ! -e /mnt/marker ]
umount /mnt
# All of it in the long form, else where pvh.sh begins its writes and where it put the marker
blank() {
	local all part=$((48 << 20))
	all=$(blockdev --getsize64 "$1")
	[ "$size" = short ] || part=$all
	cmp -n "$part" "$1" /dev/zero && cmp -n $((8 << 20)) -i $((all - (64 << 20))):0 "$1" /dev/zero
}
check xvdc-blank blank /dev/xvdc
check xvdd-blank blank /dev/xvdd
check xvde-blank blank /dev/xvde
