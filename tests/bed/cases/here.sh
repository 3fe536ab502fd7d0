# shellcheck shell=bash disable=SC2154 # case
# SPDX-License-Identifier: GPL-2.0-or-later
#
# here - what `make demo` does on a machine that is itself a Xen dom0: ../here.sh runs the demo case in a
# directory of its own, with programs that are not installed. So does a case that reads the logs of kernel and Xen, which are
# this host's, and stay whole.

mkdir -p /tmp/here/roots /tmp/here/bin /tmp/here/programs
ln -s /bin/busybox /tmp/here/bin/cpio
ln -s "$BED/vmlinuz" "$BED/guest.cpio" /tmp/here/roots
ln -s "$BED/bases/root.img" /tmp/here/roots/guest.img
cp /usr/sbin/blkback-ephemd /usr/sbin/ephemctl /etc/xen/scripts/block-ephem \
	/usr/libexec/blkback-ephem/blkback-ephem /tmp/here/programs
here() { env -u BED -u BED_LOGS PATH="$PATH:/tmp/here/bin" BED_ROOTS=/tmp/here/roots BUILD=/tmp/here/programs "$BED/here/here.sh" "$1"; }
check demo here demo
lines=$(dmesg | wc -l)
check smoke here smoke
check kernel-log-kept [ "$(dmesg | wc -l)" -ge "$lines" ]
check no-domain-left [ "$(xl list | tail -n +3 | wc -l)" = 0 ]
