# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# libvirt.sh - in the guests of cases/libvirt.sh: the root is ephemeral and has nothing of an earlier life. With
# bed.role=disks, xvdb comes, is written, goes, comes again as it was at first, and is in use when we are destroyed.

written() { [ "$(marker_lines "$1" | sha256sum)" = "$(sha256sum <"$2")" ]; }
write() { marker_lines "$1" >"$2" && drop_caches; }
pristine() { (cd /mnt && sha256sum --quiet -c sums) && [ ! -e /mnt/marker ]; }
until_there() { until [ -b /dev/xvdb ] && [ "$(cat /sys/block/xvdb/size)" -gt 0 ]; do read -r -t 0.1 _ || true; done; }
until_gone() { while [ -e /sys/block/xvdb ]; do read -r -t 0.1 _ || true; done; }

check root-is-xvda grep -q '^/dev/xvda / ext4 rw' /proc/mounts
check root-pristine [ ! -e /var/tmp/marker ]
check root-write write 16384 /var/tmp/marker
check root-reads-back written 16384 /var/tmp/marker
check kernel-log-of-root kernel_log_clean
word=
[ "$role" = disks ] || { say rooted; read -r word; }
[ "$word" != reboot ] || /run/bed/busybox reboot -f
for round in 1 2; do
	until_there
	check "mount-$round" mount /dev/xvdb /mnt
	check "pristine-$round" pristine
	check "write-$round" write 65536 /mnt/marker
	check "reads-back-$round" written 65536 /mnt/marker
	hold "written-$round"
	umount /mnt
	say "unmounted-$round"
	until_gone
	say "lost-$round"
done
