# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# smoke.sh - in the guest: is this Debian on xvda, and does it write? Proves the bed, not the product.

check debian grep -q trixie /etc/os-release
check root-on-xvda grep -q '^/dev/xvda / ext4 rw' /proc/mounts
marker_lines 4096 >/var/tmp/marker
drop_caches
is_written() { [ "$(marker_lines 4096 | sha256sum)" = "$(sha256sum </var/tmp/marker)" ]; }
check writes is_written
hold written
