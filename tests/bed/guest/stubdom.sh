# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stubdom.sh - in an HVM guest whose device model is a stub domain that has the same disks: loads verify what they
# write to two of them, while dom0 has blocks written and read in turn by us and by the stub domain.

check is-hvm grep -q 'Xen HVM' <(dmesg)
for disk in xvda xvdb xvdc; do
	check "$disk-is-pv" [ "$(basename "$(readlink "/sys/block/$disk/device/driver")")" = vbd ]
done
check nothing-emulated [ -z "$(ls -d /dev/sd? /dev/hd? 2>/dev/null)" ]
check kernels-read-only [ "$(cat /sys/block/xvde/ro)" = 1 ]
marker_lines 8192 >/var/tmp/marker
drop_caches
is_written() { [ "$(marker_lines 8192 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ]; }
check writes is_written
truncate -s 8M /var/tmp/load
load_on root /var/tmp/load
load_on volatile /dev/xvdc
say loaded
before=$(moved xvdc)

# Blocks of 4096 bytes past the page cache: read DISK BLOCK, write DISK BLOCK WORD; and what the load has moved
order() {
	case $1 in
	read) dd if="/dev/$2" bs=4096 skip="$3" count=1 iflag=direct 2>/dev/null | sha256sum | cut -c1-16 ;;
	write)
		yes "$4" | head -c 4096 | dd of="/dev/$2" bs=4096 seek="$3" count=1 iflag=fullblock oflag=direct conv=notrunc 2>/dev/null
		echo "$?"
		;;
	moved) moved xvdc ;;
	esac
}
while read -r n words && [ "$words" != end ]; do
	# shellcheck disable=SC2086 # words
	say "did $n $(order $words)"
done
check loads-run loads_run
check loads-moved [ "$(moved xvdc)" -gt $((before + 256)) ]
end_loads
say "did $n ended"
