# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# grub.sh - in a guest that GRUB has booted from this very disk: what GRUB wrote is there, what it read is
# there, and it goes on being an ordinary disk.

grubenv=/boot/grub.env
check root-on-xvda grep -q '^/dev/xvda / ext4 rw' /proc/mounts
check booted-by-grub grep -q 'BOOT_IMAGE=/boot/vmlinuz' /proc/cmdline
check grub-has-written grep -qx "bed_written=by-grub-$seed" "$grubenv"
check grub-block-is-whole [ "$(stat -c %s "$grubenv")" = 1024 ]
sums() { sha256sum --quiet -c /boot/sums; }
check boot-files sums
marker_lines 8192 >/var/tmp/marker
drop_caches
is_written() { [ "$(marker_lines 8192 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ]; }
check writes is_written
check boot-files-again sums
hold written
