# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# control - the control group: the guests of pvh.sh on the kernel's blkback and plain files. It shows
# that what those guests check is right where the backend is known to be, and what it costs there; and
# that their markers are found on a disk that does not hide them. Not part of "make test".

seed=$SEED-control
dir=/var/lib/control
mkdir -p "$dir"
cp --sparse=always /bed/bases/root.img /bed/bases/data.img "$dir"
truncate -s 320M "$dir/raw"
truncate -s 160M "$dir/btrfs"
truncate -s 256M "$dir/swap"
disks=("$(kernel_block xvda "$dir/root.img")" "$(kernel_block xvdb "$dir/data.img")")
blanks=("$(kernel_block xvdc "$dir/swap")" "$(kernel_block xvdd "$dir/raw")" "$(kernel_block xvde "$dir/btrfs")")

kernel_log_mark
guest_config writer 256 writer "bed.seed=$seed-writer" "${disks[@]}"
check writer-create guest_start writer
check writer-named guest_wait writer 240 named
guest_tell writer go
check writer-beats guest_beats writer
guest_tell writer stop
check writer-power-off guest_wait_exit writer 120
guest_results writer
check writer-end guest_said writer end

cp --sparse=always /bed/bases/data.img "$dir"
guest_config pristine 256 pristine "" "${disks[@]}" "${blanks[@]}"
check pristine-create guest_start pristine
check pristine-power-off guest_wait_exit pristine 300
guest_results pristine
check pristine-end guest_said pristine end

guest_config pvh 384 pvh "bed.seed=$seed" "${disks[@]}" "${blanks[@]}"
check pvh-create guest_start pvh
check pvh-writes guest_wait pvh 900 written
guest_tell pvh go
check pvh-power-off guest_wait_exit pvh 300
guest_results pvh
check pvh-end guest_said pvh end
check kernel-log kernel_log_clean
sync
report "present control $seed"
