# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# conformance - the small program that "make check" runs on the stand-ins for libxengnttab and
# libxenevtchn, here on real Xen: what the stand-ins do must be what Xen does.

conformance=/usr/lib/blkback-ephem-tests/conformance
kernel_log_mark
check installed [ -x "$conformance" ]
check passes "$conformance"
check kernel-log kernel_log_clean
