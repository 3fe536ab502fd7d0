# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# grow - bases grow under a running guest, and its disks with them: one because its worker looks from time
# to time, one because the operator says so, four times. The bases stay what they were, and longer. The guest
# writes and compares all the while.

dir=/var/lib/grow
fs=$dir/fs.img
raw=$dir/raw.img
mkdir -p "$dir"
cp --sparse=always "$BED/bases/data.img" "$fs"
yes "a base that will grow" | head -c $((16 << 20)) >"$raw"
guest_config grow 256 grow "" \
	"$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdb "$fs")" "$(ephemeral xvdc "$raw")"

longer() { truncate -s +64M "$1"; }
size_in_status() { ephemctl status grow --json | grep -q "\"size\": $(stat -c %s "$1")\$\|\"size\": $(stat -c %s "$1"),"; }

kernel_log_mark
check daemon daemon_start --threads 2
check create guest_start grow
check ready guest_wait grow 240 ready
domid=$(guest_domid grow)
pids=$(workers | xargs)
longer "$fs"
fs_sum=$(sha256sum <"$fs")
guest_tell grow go
check followed-by-itself guest_wait grow 30 followed
check status-size-xvdb size_in_status "$fs"
check filled guest_wait grow 240 filled
guest_tell grow go
# Without a refresh it would take up to 2 s until the size is there
for n in 1 2 3 4; do
	longer "$raw"
	check "refresh-$n" ephemctl refresh grow
	check "status-size-xvdc-$n" size_in_status "$raw"
	check "grown-$n" guest_wait grow 60 "grown $n\$"
done
raw_sum=$(sha256sum <"$raw")
check power-off guest_wait_exit grow 240
guest_results grow
check end guest_said grow end
check_gone grow "$domid" "$pids"
is base-of-xvdb-only-longer "$(sha256sum <"$fs")" "$fs_sum"
is base-of-xvdc-only-longer "$(sha256sum <"$raw")" "$raw_sum"
check daemon-stops daemon_stop
check kernel-log kernel_log_clean
