# shellcheck shell=dash disable=SC2154,SC2034 # for and of whoever sources this
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lib.sh - in a guest: verdicts and markers, for bash (guest/init) and for busybox' shell (i386.sh).

say() { echo "GUEST: $*"; }
pass() { say "pass $1"; }
fail() { say "fail $*"; }
# check NAME COMMAND...: what a failing command said follows its verdict
check() {
	local what=$1
	shift
	if "$@" >/tmp/check.out 2>&1; then
		pass "$what"
	else
		fail "$what" "status $? ($*)"
		tail -n 15 /tmp/check.out
	fi
}
not() { ! "$@"; }

# marker_lines N: N lines of the marker, which is known only by its recipe
marker_lines() { yes "$(printf %s "$seed" | sha256sum | cut -c1-64)" | head -n "$1"; }

# hold WORD: tell dom0 that we are at WORD and wait until it says to go on
hold() {
	say "$1"
	read -r _
}
drop_caches() { sync; echo 3 >/proc/sys/vm/drop_caches; }
# What a PVH guest's kernel always says, for want of a PC around it, is no error. The last when GRUB has started it.
no_pc='ACPI: No IOAPIC entries present|PCI: Fatal: No config space access|ACPI: OSL: SCI .* not registered'
no_pc="$no_pc|platform_pci_unplug: Xen Platform PCI: unrecognised magic value"
