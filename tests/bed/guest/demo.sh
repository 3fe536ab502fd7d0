# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - in the guest of the demo: writes everywhere, waits, and is switched off; or, in its second
# life (bed.size=again), looks for what the first has left.

if [ "$size" = again ]; then
	check root-pristine [ ! -e /var/tmp/marker ]
	check mount-xvdb mount -o ro /dev/xvdb /mnt
	check xvdb-pristine [ ! -e /mnt/marker ]
	umount /mnt
	check swap-pristine cmp -n $((32 << 20)) /dev/xvdc /dev/zero
	return
fi
check debian grep -q trixie /etc/os-release
marker_lines 8192 >/var/tmp/marker
check mount-xvdb mount /dev/xvdb /mnt
marker_lines 65536 >/mnt/marker
check swap-on swap_on /dev/xvdc
check swap-room swap_room 64
fill_swap() { marker_lines 330000 >/swapped/marker; }
check swap-fill in_little_memory fill_swap
sync
say "swapped $(swapped_mib)"
hold written
umount /swapped /mnt
swapoff /dev/xvdc
