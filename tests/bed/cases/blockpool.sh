# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# blockpool - a block device as the pool of one guest, by a policy file for that guest. The device is a
# loop device, so that its file shows what is on it, and what has been discarded.
#
#   demo     a full life: only ciphertext on the device, and nothing at all after power-off
#   second   may not have the device while demo has it
#   demo     again, and its worker is killed: still nothing is left
#   demo2    sees pristine volumes
#   taken    is refused a device with a file system, mounted or not, and leaves that as it was

seed=$SEED-blockpool
dir=/var/lib/blockpool
policies=/etc/blkback-ephem/domains
mkdir -p "$dir/fs" "$policies"
disks=("$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdb "$BED/bases/data.img")" "$(ephemeral xvdc blank:256M)")

# loop_device NAME MIB
loop_device() { truncate -s "$2M" "$dir/$1" && losetup -f --show "$dir/$1"; }

# policy NAME SPEC: which pool the guest gets
policy() { printf '[pool]\npool=%s\n' "$2" >"$policies/$1.conf"; }

undo() {
	! mountpoint -q "$dir/fs" || umount -l "$dir/fs"
	rm -f "$policies"/{demo,demo2,second,taken}.conf
	losetup -d "$device" "$taken"
}
trap 'undo || true' EXIT

allocated() { stat -c %b "$dir/device"; }
discarded() { [ "$(allocated)" = 0 ]; }
written_mib() { echo $(($(allocated) / 2048)); }

# As far as everything is written; sets domid and pids
start_demo() {
	check "$1-create" guest_start demo
	check "$1-written" guest_wait demo 300 written
	domid=$(guest_domid demo)
	pids=$(workers | xargs)
	echo "$(written_mib) MiB are on the device"
	check "$1-on-device" [ "$(written_mib)" -ge 16 ]
	# shellcheck disable=SC2086 # a list
	is "$1-not-in-directory" "$(pool_files $pids | wc -l)" 0
}

one_life() {
	start_demo life
	is life-without-marker "$(marker_hits "$seed" "$dir/device")" 0
	check second-refused not guest_start_logged second
	check second-says-why grep -qF "$device" /run/xl.out
	check second-no-guest guest_absent second
	guest_tell demo go
	check life-power-off guest_wait_exit demo 200
	guest_results demo
	check life-end guest_said demo end
	check_gone life "$domid" "$pids"
	check life-discarded wait_for 20 "the device to be discarded" discarded
	check life-zeros cmp -n $((256 << 20)) "$device" /dev/zero
	check life-device-free wait_for 10 "the device to be closed" closed "$device"
}

worker_killed() {
	start_demo kill
	check kill-worker kill -9 "$(main_worker "$pids")"
	xl destroy demo || true # its root is gone: it may have ended by itself before
	check kill-guest-gone wait_for 30 "demo to go" guest_gone demo
	check_gone kill "$domid" "$pids"
	check kill-discarded wait_for 20 "the device to be discarded" discarded
	check kill-device-free wait_for 10 "the device to be closed" closed "$device"
}

pristine() {
	check again guest_start demo2
	check again-power-off guest_wait_exit demo2 200
	guest_results demo2
	check again-end guest_said demo2 end
	check again-discarded wait_for 20 "the device to be discarded" discarded
}

# refused NAME WORDS: no guest on the device `taken`, and one line that says why
refused() {
	local before
	before=$(wc -l <"$DAEMON_LOG")
	check "$1-refused" not guest_start_logged taken
	check "$1-says-why" grep -F "$taken" /run/xl.out
	check "$1-says-what" grep -qi "$2" /run/xl.out
	is "$1-logged-once" "$(tail -n "+$((before + 1))" "$DAEMON_LOG" | grep -cF "$taken")" 1
	check "$1-no-guest" guest_absent taken
	check "$1-no-worker" wait_for 10 "the worker to go" no_workers
}

devices_in_use() {
	local sum
	check taken-mke2fs mke2fs -q -t ext4 "$taken"
	sum=$(sha256sum <"$dir/taken")
	refused signature ext4
	is signature-as-it-was "$(sha256sum <"$dir/taken")" "$sum"
	check taken-mount mount -o ro,noload "$taken" "$dir/fs"
	refused mounted 'in use'
	check taken-umount umount "$dir/fs"
	is mounted-as-it-was "$(sha256sum <"$dir/taken")" "$sum"
}

kernel_log_mark
device=$(loop_device device 256)
taken=$(loop_device taken 64)
for g in demo demo2 second; do policy "$g" "block:$device"; done
policy taken "block:$taken"
guest_config demo 256 demo "bed.size=first bed.seed=$seed" "${disks[@]}"
guest_config demo2 256 demo "bed.size=again bed.seed=$seed" "${disks[@]}"
guest_config second 256 pristine "" "$(ephemeral xvda "$BED/bases/root.img")"
guest_config taken 256 pristine "" "$(ephemeral xvda "$BED/bases/root.img")"
check device-empty discarded
check daemon daemon_start --threads 2
one_life
worker_killed
pristine
devices_in_use
check daemon-stops daemon_stop
check device-closed closed "$device"
check kernel-log kernel_log_clean
sync
report "absent blockpool $seed"
