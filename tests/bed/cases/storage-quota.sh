# shellcheck shell=bash disable=SC2153,SC2154 # SEED is the run's, seed the case's; what store.sh sets
# SPDX-License-Identifier: GPL-2.0-or-later
#
# storage-quota - how many disks fit into a storage domain under xenstored's own quotas; that the one which does not is
# refused with a line that says why, while all others are served on; and that there is room again when one has gone.

. "$BED/store.sh"
work=/var/lib/storage-quota
most=60
mkdir -p "$work"

# attach N: a blank disk more for the guest; xvdf is the first
devid() { echo $((268435456 + ($1 + 4) * 256)); }
vdev() { printf 'xvd%s' "$(awk -v n="$(($1 + 5))" 'BEGIN { a = "abcdefghijklmnopqrstuvwxyz"; s = ""; n++
	while (n > 0) { n--; s = substr(a, n % 26 + 1, 1) s; n = int(n / 26) } print s }')"; }
attach() { timeout 120 xl block-attach calm "$(stored_disk store "$(vdev "$1")" blank:8M)"; }
attach_until_refused() {
	n=0
	while [ "$n" -lt "$most" ] && attach "$n"; do n=$((n + 1)); done
	echo "$n disks were attached"
	[ "$n" -ge 8 ] && [ "$n" -lt "$most" ]
}
count_nodes() { xenstore-ls -f "/local/domain/$(guest_domid store)/backend/vbd/$(guest_domid calm)/51712" | wc -l; }

store_config store initramfs shared
sed -i 's/^memory = .*/memory = 256/' "$GUESTS/store.cfg"
store_start store
TYPE=pv guest_config calm 256 writer "bed.role=calm bed.seed=$SEED-quota" "$(stored_disk store xvda /bases/root)" \
	"$(stored_disk store xvdb /bases/data)"
check calm-create guest_start calm
check calm-named guest_wait calm 240 named
guest_tell calm go
check calm-beats guest_beats calm
say "a disk has $(count_nodes) nodes"
check refused-in-the-end attach_until_refused
say "$((n + 2)) disks fit"
check refused-says-why store_said store "xenstored's quota"
check calm-is-served-on guest_beats calm
# What xl has begun to attach it leaves there
check refused-goes timeout 60 xl block-detach calm "$(vdev "$n")"
check one-goes timeout 60 xl block-detach calm "$(vdev 0)"
check room-again wait_for 60 "room for a disk" attach 0
check calm-is-still-served guest_beats calm
last=$n
for ((n = 0; n < last; n++)); do timeout 60 xl block-detach calm "$(vdev "$n")"; done
guest_tell calm stop
check calm-power-off guest_wait_exit calm 120
guest_results calm
check store-destroy xl destroy store
check no-zombies wait_for 30 "domains to go" no_zombies
