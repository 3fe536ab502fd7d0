# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kexec.sh - in the guest of cases/kexec.sh and cases/softreset.sh: finds nothing of an earlier kernel's, writes,
# loads the kernel that lies in its /boot, and goes over to it.

check pristine [ ! -e /var/tmp/marker ]
marker_lines 4096 >/var/tmp/marker
drop_caches
is_written() { [ "$(marker_lines 4096 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ]; }
check writes is_written
check load kexec -l /boot/vmlinuz --initrd=/boot/guest.cpio --command-line="$(cat /proc/cmdline)"
check kernel-log-before kernel_log_clean
hold loaded
sync
kexec -e
say "returned $?"
