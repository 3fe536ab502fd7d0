# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# i386 - a 32-bit guest: its rings, indirect segments and discards are laid out differently, and it says so
# in its `protocol` key. PVH, since this Xen is built without 32-bit PV guests.

seed=$SEED-i386
guest_config i386 256 i386 "bed.seed=$seed bed.blkfront=max_ring_page_order=2,max_indirect_segments=256" \
	"$(ephemeral xvdb "$BED/bases/data.img")" "$(ephemeral xvdc blank:64M)"
sed -i -e "s|^kernel = .*|kernel = \"$BED/i386.vmlinuz\"|" -e "s|^ramdisk = .*|ramdisk = \"$BED/i386.cpio\"|" "$GUESTS/i386.cfg"

# figure VDEV KEY: a number of one volume
figure() { ephemctl status i386 --json | awk -v vdev="$1" -v key="\"$2\":" '/"vdev"/ { ours = $0 ~ vdev } ours && $1 == key { print $2 + 0 }'; }
# The largest request without indirect segments is 44 KiB
kib_a_write() { echo $(($(figure xvdc bytes_written) / 1024 / $(figure xvdc writes))); }

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --verbose
check create guest_start i386
check written guest_wait i386 300 written
domid=$(guest_domid i386)
pids=$(workers | xargs)
for dev in 51728 51744; do
	is "protocol-$dev" "$(xenstore-read "/local/domain/$domid/device/vbd/$dev/protocol")" x86_32-abi
done
check large-requests [ "$(kib_a_write)" -gt 64 ]
check flushed [ "$(figure xvdb flushes)" -gt 0 ]
is nothing-discarded-yet "$(figure xvdc discards)" 0
# shellcheck disable=SC2086 # a list
files=$(pool_files $pids)
check pool-file-found [ -n "$files" ]
# shellcheck disable=SC2086
is pool-without-marker "$(marker_hits "$seed" $files)" 0
guest_tell i386 go
check trimmed guest_wait i386 60 'pass fstrim'
check power-off guest_wait_exit i386 120
guest_results i386
check end guest_said i386 end
check_gone i386 "$domid" "$pids"
check_product_gone "$channels"
