# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostile - a guest that lies, on real Xen: tests/hostile plays rows of hostile.tbl without a driver of the kernel's,
# while calm verifies its I/O on the same bases, pool and daemon: in the long form every row that a guest can play, in the
# short one those where Xen has a part (guest/rows.awk). Then the guest is destroyed with requests under way.

root=/bed/bases/root.img
data=/bed/bases/data.img
seed=$SEED-hostile
lies=()
for d in xvdb xvdc xvdd xvde; do lies+=("$(ephemeral $d blank:32M)"); done
size=short
[ -z "$LONG" ] || size=long
guest_config hostile 256 hostile "bed.size=$size" "$(ephemeral xvda "$root")" "${lies[@]}" \
	"backendtype=tap,format=raw,vdev=xvdf,access=ro,script=$SCRIPT,target=$data"
guest_config calm 256 writer "bed.role=calm bed.seed=$seed" "$(ephemeral xvda "$root")" "$(ephemeral xvdb "$data")"

# rows LOG: how many of the rows that are played log something with these words
played() { awk -v size="$size" -f "$BED/rows.awk" "$BED/hostile.tbl"; }
rows() { played | awk -F ' *[|] *' -v log_words="$1" '$6 != "-" && index($6, log_words)' | wc -l; }
logged() { tail -n "+$((log_mark + 1))" "$DAEMON_LOG" | grep -c -e "$1" || true; }
guest_words() { tail -n "+$((log_mark + 1))" "$DAEMON_LOG" | grep -aE 'EVIL|AAAA|junk'; }

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --queues 4 --verbose
[ -n "$DAEMON" ] || exit 1
daemon_fds=$(fds "$DAEMON")
check calm-create guest_start calm
check calm-named guest_wait calm 240 named
guest_tell calm go
check calm-beats guest_beats calm
calm_pids=$(workers | xargs)

check create guest_start hostile
check ready guest_wait hostile 300 ready
domid=$(guest_domid hostile)
pids=$(new_workers "$calm_pids")
log_mark=$(wc -l <"$DAEMON_LOG")
guest_tell hostile go
check played guest_wait hostile 1200 played
guest_results hostile
is rows-played "$(tr -d '\r' <"$(guest_log hostile)" | sed -n 's/^GUEST: \([0-9]*\) passed, 0 failed$/\1/p')" \
	"$(played | wc -l)"
check calm-after-all guest_beats calm
# One line for each device that was closed, one for the storm of states, and no other
is lines-of-closings "$(logged 'closing it: ')" $(($(rows '') - $(rows keeps)))
is lines-of-storms "$(logged 'keeps rewriting its disks')" "$(rows keeps)"
is lines-of-producers "$(logged 'more requests than its ring holds')" "$(rows 'more requests')"
check no-words-of-the-guest not guest_words
# shellcheck disable=SC2086 # a list
check same-worker alive $pids

guest_tell hostile again
check dies-in-flight guest_wait hostile 60 busy
check destroy xl destroy hostile
check_gone hostile "$domid" "$pids"
check calm-after-destroy guest_beats calm

domid=$(guest_domid calm)
guest_tell calm stop
check calm-power-off guest_wait_exit calm 120
guest_results calm
check calm-end guest_said calm end
check_gone calm "$domid" "$calm_pids"
is daemon-fds "$(fds "$DAEMON")" "$daemon_fds"
check daemon-stops daemon_stop
check no-workers no_workers
check bases-closed closed /bed/bases/
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
