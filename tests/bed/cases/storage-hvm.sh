# shellcheck shell=bash disable=SC2153,SC2034 # SEED is the run's, seed the case's; what pair.sh needs
# SPDX-License-Identifier: GPL-2.0-or-later
#
# storage-hvm - an HVM guest and the stub domain of its device model, both with their disks in a storage domain. It may
# not read which domain is whose stub domain: dom0 has to say it (ephemctl stubdom pairs), and until then nobody gets a disk.

. "$BED/pair.sh"
. "$BED/store.sh"
seed=$SEED-storage-hvm
dir=/var/lib/storage-hvm
work=$dir
pairs=
mkdir -p "$dir"

# The documented example with its disks in the storage domain
config() {
	sed -e "s|^name = .*|name = \"$1\"|" \
		-e "/vdev=xvda/s|'.*'|'$(stored_disk store xvda /bases/root)'|" \
		-e "/vdev=xvdb/s|'.*'|'$(stored_disk store xvdb /bases/data)'|" \
		-e "/vdev=xvdc/s|'.*'|'$(stored_disk store xvdc blank:128M)'|" \
		-e "s|,target=/srv/bases/kernels.img|,script=bed-block,target=$dir/kernels.img|" -e "s|/srv/stubdom|$BED|" \
		-e "/^cmdline/s|mitigations=off|& earlyprintk=xen agp=off iommu=off tsc=reliable initcall_blacklist=boot_wait_for_devices bed.name=$1 bed.run=stubdom bed.seed=$seed|" \
		"$BED/service-qube.cfg" >"$GUESTS/$1.cfg"
	cp -n "$BED/bed-block" /etc/xen/scripts/bed-block
}
stored_state() { xenstore-read "/local/domain/$store/backend/vbd/$1/$2/state"; }
connected() { [ "$(stored_state "$1" "$2")" = 4 ]; }
both_connected() {
	local disk
	for disk in 51712 51728 51744; do connected "$domid" $disk && connected "$stub" $disk || return 1; done
}

kernel_log_mark
check kernels make_kernels
store_config store initramfs shared
store_start store
store=$(guest_domid store)
xenstore-write "/local/domain/$store/blkback-ephem/stubdom" shared "/local/domain/$store/blkback-ephem/pairs" 1

TYPE=pv guest_config early 192 pristine "" "$(stored_disk store xvda /bases/root)"
check nobody-without-a-word not guest_start_logged early
check nobody-is-told-why store_said store "dom0 has not said whose domain"
check nobody-is-there guest_absent early

ephemctl stubdom pairs </dev/null >"$LOGS/pairs.log" 2>&1 &
pairs=$!
guest=pair orders=0 asked=0 answer=
config pair
check create guest_start pair
domid=$(guest_domid pair)
stub=$(stub_of "$domid")
check loaded guest_wait pair 600 loaded
is told "$(xenstore-read "/local/domain/$store/blkback-ephem/pairs/$stub")" "$domid"
check storage-domain-knows store_said store "guest $domid: domain $stub is its stub domain"
check disks-of-both both_connected
check coherent-xvdb to_and_fro xvdb 8000
check coherent-xvdc to_and_fro xvdc 20000
is pool-without-marker "$(marker_hits "$seed" "$dir/store.pool")" 0
check guest-ends ask end
check power-off guest_wait_exit pair 300
guest_results pair
check end guest_said pair end
for d in "$domid" "$stub"; do check "backends-of-$([ "$d" = "$stub" ] && echo stub || echo guest)-gone" wait_for 20 "backends to go" forgotten store "$d"; done
check words-taken-back wait_for 20 "words to go" not xenstore-exists "/local/domain/$store/blkback-ephem/pairs/$stub"
check pairs-runs kill "$pairs"
check store-destroy xl destroy store
check no-zombies wait_for 30 "domains to go" no_zombies
check kernel-log kernel_log_clean
sync
report "absent storage-hvm $seed"
