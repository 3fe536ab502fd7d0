# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kexec.sh - in the guest of cases/kexec.sh: writes, loads the kernel that lies in its /boot, and goes over to it.
# bed.role=second is that kernel.

is_written() { [ "$(marker_lines 4096 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ]; }
if [ "$role" = second ]; then
	say "second $(is_written && echo kept || echo pristine)"
	hold there
	return
fi
marker_lines 4096 >/var/tmp/marker
drop_caches
check writes is_written
check load kexec -l /boot/vmlinuz --initrd=/boot/guest.cpio \
	--command-line="$(sed 's/$/ bed.role=second/' /proc/cmdline)"
hold loaded
sync
kexec -e
say "kexec has returned $?"
