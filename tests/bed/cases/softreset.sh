# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# softreset - an HVM guest with qemu in dom0 goes over to another kernel by kexec. Linux closes its disks and asks Xen
# for a soft reset; xl gives the same domain new devices and a new qemu. Like a reboot that ends one life and begins
# another: with a new worker, a new key and pristine volumes.

seed=$SEED-softreset
base=/var/lib/softreset.img
TYPE=hvm guest_config softreset 384 kexec "bed.seed=$seed earlyprintk=xen agp=off iommu=off tsc=reliable" \
	"$(ephemeral xvda "$base")"
printf '%s\n' 'vga = "none"' 'vnc = 0' 'device_model_version = "qemu-xen"' 'on_soft_reset = "soft-reset"' \
	>>"$GUESTS/softreset.cfg"

loaded_twice() { [ "$(grep -c '^GUEST: loaded' "$(guest_log softreset)")" = 2 ]; }
loaded_twice_or_gone() { loaded_twice || guest_gone softreset; }

kernel_log_mark
channels=$(event_channels)
check base boot_base "$base"
check base-kept cp --sparse=always "$base" "$base.kept"
check daemon daemon_start --threads 2 --verbose
check create guest_start softreset
check loaded guest_wait softreset 300 loaded
domid=$(guest_domid softreset)
pids=$(workers | xargs)
guest_tell softreset go
wait_for 300 "the second kernel" loaded_twice_or_gone || true
check second-kernel loaded_twice
check soft-reset-asked-for grep -q 'Action for shutdown reason code 5 is soft-reset' /var/log/xen/xl-softreset.log
is same-domain "$(xl domid softreset)" "$domid"
# shellcheck disable=SC2086 # a list
check first-worker-gone not alive $pids
again=$(new_workers "$pids")
is one-worker "$(main_worker "$again" | wc -w)" 1
is two-lives "$(grep -c "guest $domid: life [0-9]* begins" "$DAEMON_LOG")" 2
guest_results softreset
# Written by both lives
# shellcheck disable=SC2086 # a list
files=$(pool_files $again)
check pool-file-found [ -n "$files" ]
# shellcheck disable=SC2086
is pool-without-marker "$(marker_hits "$seed" $files)" 0
check destroy xl destroy softreset
check_gone softreset "$domid" "$again"
check base-unchanged cmp "$base" "$base.kept"
check daemon-stops daemon_stop
check base-closed closed "$base"
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm "$base" "$base.kept"
sync
report "absent softreset $seed"
