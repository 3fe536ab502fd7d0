# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# smoke - the bed itself, without the product: a PVH guest on the kernel's blkback and a copy of its
# root boots, runs, powers off; and the search for markers finds what kernel blkback leaves behind.

kernel_log_mark
channels=$(event_channels)
image=$(mktemp /var/lib/smoke.XXXXXX)
cp --sparse=always "$BED/bases/root.img" "$image"
check base-readable cmp -n 67108864 "$BED/bases/root.img" "$image"
guest_config smoke 256 smoke "bed.seed=$SEED-smoke" \
	"$(kernel_block xvda "$image")"
check create guest_start smoke
domid=$(guest_domid smoke)
check writing guest_wait smoke 120 written
is grants-while-running "$([ "$(grants "$domid")" -gt 0 ] && echo some)" some
guest_tell smoke go
check power-off guest_wait_exit smoke 60
guest_results smoke
check end guest_said smoke end
check no-zombies wait_for 20 "domains to go" no_zombies
is event-channels "$(event_channels)" "$channels"
is grants "$(grants "$domid")" 0
check plaintext-in-image [ "$(marker_hits "$SEED-smoke" "$image")" -ge 4096 ]
check kernel-log kernel_log_clean
[ -n "${BED_LOGS:-}" ] || rm "$image" # but in the bed the host searches it
sync
report "present smoke-guest $SEED-smoke"
report "absent never-written $SEED-nobody"
