# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# is_direct FOLDER: files there can be opened with O_DIRECT, which tmpfs has had since Linux 6.6.  For benches to source.
is_direct() {
    local probe status=0
    probe=$(mktemp "$1/probe.XXXXXX")
    dd if=/dev/zero of="$probe" bs=4096 count=1 oflag=direct status=none 2>/dev/null || status=$?
    rm "$probe"
    return $status
}
