# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kexec - a PVH guest goes over to another kernel by kexec. Linux closes its disks and asks Xen for a soft reset, xl
# tries one, which does not work for PVH guests (Xen 4.20), and destroys the guest. That ends the life.

seed=$SEED-kexec
base=/var/lib/kexec.img
guest_config kexec 384 kexec "bed.seed=$seed" "$(ephemeral xvda "$base")"

kernel_log_mark
channels=$(event_channels)
check base boot_base "$base"
sum=$(sha256sum <"$base")
check daemon daemon_start --threads 2 --verbose
check create guest_start kexec
check loaded guest_wait kexec 200 loaded
domid=$(guest_domid kexec)
pids=$(workers | xargs)
guest_tell kexec go
check ends guest_wait_exit kexec 120
guest_results kexec
check soft-reset-asked-for grep -q 'reason code 5' /var/log/xen/xl-kexec.log
# By the guest, while the toolstack wanted it still (the last bit of the facts)
check disk-closed-first grep -q "vbd $domid/51712: frontend Closed, backend Closing, facts 0x[0-9a-f]*[13579bdf]: shut" \
	"$DAEMON_LOG"
is no-second-kernel "$(grep -c '^GUEST: up' "$(guest_log kexec)")" 1
check_gone kexec "$domid" "$pids"
is base-unchanged "$(sha256sum <"$base")" "$sum"
check daemon-stops daemon_stop
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm "$base"
sync
report "absent kexec $seed"
