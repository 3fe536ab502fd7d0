# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# account.sh - for tests to source, in the bed and beside it.

# Who a worker becomes: blkback-ephem where this machine has the account, else nobody
worker_uid() {
    awk -F: '$1 == "blkback-ephem" { is = $3 } END { print is ? is : 65534 }' /etc/passwd
}
