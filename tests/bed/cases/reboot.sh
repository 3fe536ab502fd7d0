# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# reboot - a guest that reboots has a new life: another process, another key, pristine volumes. Three times:
# by itself, by xl, and by xl in mid-I/O.

seed=$SEED-reboot
guest_config reboot 256 reboot "bed.seed=$seed" "$(ephemeral xvda "$BED/bases/root.img")" \
	"$(ephemeral xvdb "$BED/bases/data.img")" "$(ephemeral xvdc blank:64M)"
sed -i 's|^on_reboot = .*|on_reboot = "restart"|' "$GUESTS/reboot.cfg"

said_times() { [ "$(tr -d '\r' <"$(guest_log reboot)" | grep -c "^GUEST: $1\$")" -ge "$2" ]; }
life() { ephemctl status reboot --json | sed -n 's/.*"life": "\([0-9]*\)".*/\1/p'; }
files_of_life() {
	# shellcheck disable=SC2086 # a list
	pool_files $pids
}

# one_life N: as far as everything is written; sets domid, pids and number
one_life() {
	check "life-$1-written" wait_for 240 "life $1 to have written" said_times written "$1"
	xl domid reboot >"$GUESTS/reboot.domid"
	domid=$(guest_domid reboot)
	pids=$(workers | xargs)
	number=$(life)
	is "life-$1-one-worker" "$(main_worker "$pids" | wc -w)" 1
	# shellcheck disable=SC2046 # a list
	is "life-$1-pool-without-marker" "$(marker_hits "$seed" $(files_of_life))" 0
}

# ends N: the life before this one, of old_pids and old_domid, has gone; this one is another
is_new() {
	check "life-$1-other-domain" [ "$domid" -gt "$old_domid" ]
	check "life-$1-other-number" [ "$number" != "$old_number" ]
	# shellcheck disable=SC2086 # a list
	check "life-$1-other-worker" not alive $old_pids
	check_gone "life-$(($1 - 1))" "$old_domid" "$old_pids"
}

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --verbose
daemon_fds=$(fds "$DAEMON")
check create guest_start reboot
one_life 1
for n in 2 3 4; do
	old_domid=$domid old_pids=$pids old_number=$number
	case $n in
	2) guest_tell reboot reboot ;;
	3) check reboot-by-xl xl reboot reboot ;;
	4)
		guest_tell reboot busy
		check in-mid-io guest_wait reboot 60 busy
		check reboot-in-mid-io xl reboot reboot
		;;
	esac
	one_life "$n"
	is_new "$n"
done
guest_tell reboot off
check power-off guest_wait_exit reboot 120
guest_results reboot
check end guest_said reboot end
check_gone reboot "$domid" "$pids"
is lives "$(grep -c '^GUEST: pass pristine' "$(guest_log reboot)")" 4
is daemon-fds "$(fds "$DAEMON")" "$daemon_fds"
check_product_gone "$channels"
