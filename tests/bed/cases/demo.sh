# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo - the product in a few lines, each of them a check: a guest writes, is searched for while it
# runs, stops, and leaves nothing. "story" lines are what `make demo` shows.

root=$BED/bases/root.img
data=$BED/bases/data.img
seed=$SEED-demo
disks=("$(ephemeral xvda "$root")" "$(ephemeral xvdb "$data")" "$(ephemeral xvdc blank:256M)")
guest_config demo 256 demo "bed.size=first bed.seed=$seed" "${disks[@]}"
guest_config demo2 256 demo "bed.size=again bed.seed=$seed" "${disks[@]}"

sums_before=$(sha256sum "$root" "$data")
story "Xen $(xl info xen_version) with a Linux $(uname -r) dom0 is up."
check daemon daemon_start
check create guest_start demo
story "A PVH guest starts: xvda = Debian over a read-only base, xvdb = ext4 over another, xvdc = blank."
check written guest_wait demo 300 written
domid=$(guest_domid demo)
pids=$(workers | xargs)
swapped=$(tr -d '\r' <"$(guest_log demo)" | sed -n 's/^GUEST: swapped //p')
story "The guest wrote a 64-byte marker 8192 times to xvda, 65536 times to xvdb, and swapped ${swapped:-?} MiB of it to xvdc."
# shellcheck disable=SC2086 # a list
files=$(pool_files $pids)
check pool-found [ -n "$files" ]
# shellcheck disable=SC2086 # lists
written=$(stat -L -c %b $files | awk '{ n += $1 } END { print int(n / 2048) }')
# shellcheck disable=SC2086
hits=$(marker_hits "$seed" $files)
check pool-used [ "$written" -ge 16 ]
is pool-without-marker "$hits" 0
story "Its pool file, read while it runs: $written MiB, marker found $hits times. Only ciphertext."
guest_tell demo go
check power-off guest_wait_exit demo 200
guest_results demo
# shellcheck disable=SC2086
check worker-gone wait_for 20 "the worker to go" not alive $pids
check backend-gone wait_for 20 "the backend to go" backends_gone "$domid"
check pool-closed closed "$POOL"
story "The guest powered off: its worker is gone, and with it the key and the unlinked pool file."
is bases-unchanged "$(sha256sum "$root" "$data")" "$sums_before"
story "Both bases have the sha256 they had before."
check again guest_start demo2
check again-power-off guest_wait_exit demo2 200
guest_results demo2
check again-end guest_said demo2 end
story "The next start is pristine: no marker on root, xvdb or swap."
check daemon-stops daemon_stop
sync
report "absent demo-guest $seed"
