# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# operator.sh - the guest of somebody who tries the product: it writes to both disks, then goes on writing and
# reading back while its operator looks around.

check debian grep -q trixie /etc/os-release
marker_lines 8192 >/var/tmp/marker
check mount-xvdb mount /dev/xvdb /mnt
marker_lines 32768 >/mnt/marker
drop_caches
is_written() { [ "$(marker_lines 32768 | sha256sum)" = "$(sha256sum </mnt/marker)" ]; }
check writes is_written
load_on busy /mnt/load
hold written
check served-to-the-end loads_run
end_loads
umount /mnt
