# shellcheck shell=bash disable=SC2154 # for cases, which set work
# SPDX-License-Identifier: GPL-2.0-or-later
#
# store.sh - for cases with storage domains.

# store_config NAME INITRAMFS SHAPE [WORD]: a domain with bases root and data, and a pool of its own
store_config() {
	truncate -s 2G "$work/$1.pool"
	cat >"$GUESTS/$1.cfg" <<-END
		name = "$1"
		type = "pvh"
		driver_domain = 1
		memory = ${STORE_MEMORY:-128}
		vcpus = 1
		kernel = "$BED/stubdom/vmlinuz"
		ramdisk = "$BED/stubdom/$2"
		cmdline = "console=hvc0 quiet loglevel=4 panic=1 mitigations=off init_on_free=1 secretmem.enable=1 ephem.shape=$3 ephem.pool=xvda ephem.base.root=xvdb ephem.base.data=xvdc ${4:-}"
		on_crash = "destroy"
		on_reboot = "destroy"
		disk = [ '$(kernel_block xvda "$work/$1.pool")',
			 '$(kernel_block xvdb "$BED/bases/root.img" ro)', '$(kernel_block xvdc "$BED/bases/data.img" ro)' ]
	END
}
hundredths() { awk '{ printf "%d", $1 * 100 }' /proc/uptime; }
serving() { [ "$(xenstore-read "/local/domain/$(guest_domid "$1")/data/blkback-ephem")" = serving ]; }
serving_or_gone() { serving "$1" || guest_gone "$1"; }
store_start() {
	local began
	began=$(hundredths)
	check "$1-create" guest_start "$1"
	check "$1-serves" wait_for 240 "$1 to serve" serving_or_gone "$1"
	say "$1: from xl create until it serves $(($(hundredths) - began)) hundredths of a virtual second"
	check "$1-is-there" serving "$1"
}
store_said() { tr -d '\r' <"$(guest_log "$1")" | grep -E "$2"; }
# Backends of a guest that a storage domain still has
stored() { xenstore-list "/local/domain/$(guest_domid "$1")/backend/vbd/$2" 2>/dev/null | xargs; }
forgotten() { [ -z "$(stored "$1" "$2")" ]; }

# UNTRUSTED= for guests with large requests: they would keep a page of their own for each segment of each request
stored_disk() { echo "backend=$1,format=raw,vdev=$2,access=rw,${UNTRUSTED-untrusted,}target=$3"; }

# store_made NAME IMAGE: one for one guest, with the same bases, made by ephemctl: of block devices, and so by libxl's
# script for these, which takes too long here and has a stand-in
store_made() {
	local root data pool
	[ -e /etc/xen/scripts/block.stock ] || mv /etc/xen/scripts/block /etc/xen/scripts/block.stock
	cp "$BED/bed-block" /etc/xen/scripts/block
	truncate -s 2G "$work/$1.pool"
	root=$(losetup -r -f --show "$BED/bases/root.img") && data=$(losetup -r -f --show "$BED/bases/data.img") &&
		pool=$(losetup -f --show "$work/$1.pool") || return 1
	echo "$root $data $pool" >"$work/$1.loops"
	: >"$GUESTS/$1.cfg"
	ephemctl stubdom create "$1" --base "root=$root" --base "data=$data" --pool "$pool" --per-guest --image "$2" &&
		xl domid "$1" >"$GUESTS/$1.domid"
}
store_unmade() {
	ephemctl stubdom destroy "$1" && xargs losetup -d <"$work/$1.loops"
}
store_listed() { ephemctl stubdom list | grep -E "^$1 .*per-guest"; }
