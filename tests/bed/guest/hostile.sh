# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostile.sh - in the guest: the rows of hostile.tbl that rows.awk picks, on disks that no driver of
# the kernel's has; then requests without end, until dom0 destroys the guest.
#   xvda  the Debian root   xvdb to xvde  rings that lie   xvdf  without write access

for m in xen-gntalloc xen-evtchn; do load "$m"; done
disks="51728 51744 51760 51776" readonly_disk=51792

taken_away() {
	local id
	echo 0 >/sys/bus/xen/drivers_autoprobe
	for id in $disks $readonly_disk; do
		echo "vbd-$id" >/sys/bus/xen/drivers/vbd/unbind || return 1
	done
	[ ! -e /dev/xvdb ] && [ -e /dev/xvda ]
}
check taken-from-the-kernel taken_away
check devices-of-xen [ -c /dev/xen/gntalloc -a -c /dev/xen/evtchn -a -c /dev/xen/xenbus ]

# shellcheck disable=SC2046,SC2086 # lists
play() {
	LD_LIBRARY_PATH=/run/bed/hostile/lib /run/bed/hostile/hostile --table /run/bed/hostile/hostile.tbl \
		--where xen --scale 20 --readonly $readonly_disk $(printf -- '--disk %s ' $disks) "$@"
}
hold ready
rows=$(awk -v size="$size" -f /run/bed/rows.awk /run/bed/hostile/hostile.tbl | sed 's/ *|.*//')
# shellcheck disable=SC2086 # a list
play $rows | while read -r line; do say "$line"; done
say played
hold again
play endless-writes | while read -r line; do say "$line"; done
fail endless-writes "it ended by itself"
