# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hotplug - a disk comes and goes, 12 times, in the long form 50, in a guest whose other disks are under load; and it goes while it
# is mounted: when asked for, and when the guest does not answer (xl gives up); and by force, in mid-I/O. Nothing
# is left.

seed=$SEED-hotplug
count=12
[ -z "$LONG" ] || count=50
devid=51744 # xvdc
guest_config hotplug 256 hotplug "bed.size=rounds-$count bed.seed=$seed" \
	"$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdb blank:64M)"

attach() { xl block-attach hotplug "$(ephemeral xvdc blank:16M)"; }
detach() { xl block-detach hotplug xvdc; }
# xl passes over options behind its operands in silence
force() { xl block-detach --force hotplug xvdc; }
no_backend() { not xenstore-exists "/local/domain/0/backend/vbd3/$domid/$devid"; }
volumes() { ephemctl status hotplug --json | grep -c '"vdev"'; }
# What could leak, of the daemon, of the guest's processes, of the kernel and of Xen
holdings() {
	local pid
	for pid in "$DAEMON" $pids; do echo "fds of $pid: $(fds "$pid"), threads: $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)"; done
	echo "event channels $(event_channels), aio $(aio_contexts), grants $(grants "$domid"), volumes $(volumes)"
	echo "backends $(xenstore-list "/local/domain/0/backend/vbd3/$domid" | xargs), $(pgrep -c block-ephem) helpers"
}
rss() { for pid in $pids; do awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status"; done | sort -n | tail -n 1; }

round() { # N
	attach && guest_wait hotplug 60 "used $1\$" && detach && no_backend
}

rounds() {
	local n begun
	begun=$(now)
	for ((n = 1; n <= count; n++)); do
		round "$n" || { echo "round $n"; return 1; }
		[ "$n" != 5 ] || rss_early=$(rss)
		[ $((n % 10)) != 0 ] || echo "BED| $n rounds in $(($(now) - begun)) s" >"$BED_CONSOLE"
	done
	echo "$count rounds in $(($(now) - begun)) s"
}

# in_use HOW: attached and mounted
in_use() {
	check "$1-attach" attach
	check "$1-mounted" guest_wait hotplug 120 "mounted $1"
}

asked() {
	in_use asked
	check asked-detach detach
	check asked-lost guest_wait hotplug 60 'lost asked'
	check asked-gone no_backend
}

# A guest that does not answer: xl's patience ends, the disk stays as it is, and is closed when the guest answers;
# its directories stay, as xl left them, until it is asked again
paused() {
	in_use paused
	xl pause hotplug
	check paused-refused not detach
	is paused-backend-waits "$(xenstore-read "/local/domain/0/backend/vbd3/$domid/$devid/state")" 5
	check paused-still-served [ "$(volumes)" = 3 ]
	xl unpause hotplug
	check paused-closed wait_for 60 "xvdc to be closed" closed_backend
	check paused-detach detach
	check paused-gone no_backend
	check paused-lost guest_wait hotplug 60 'lost paused'
}
closed_backend() { [ "$(xenstore-read "/local/domain/0/backend/vbd3/$domid/$devid/state")" = 6 ] || no_backend; }

# Linux waits for ever for the answers that it did not get: that disk is stuck in it, so it may not power off either
forced() {
	check forced-attach attach
	check forced-busy guest_wait hotplug 60 'busy forced'
	xl pause hotplug
	check forced-detach force
	check forced-gone no_backend
	is forced-volumes "$(volumes)" 2
	xl unpause hotplug
	guest_tell hotplug go
}

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --verbose
check create guest_start hotplug
check loaded guest_wait hotplug 240 loaded
domid=$(guest_domid hotplug)
pids=$(workers | xargs)
holdings_before=$(holdings)
rss_early=0
check "$count-rounds" rounds
is nothing-left "$(holdings)" "$holdings_before"
echo "resident: $rss_early KiB after 5 rounds, $(rss) after $count"
check memory-given-back [ "$(rss)" -lt $((rss_early + 4096)) ]
is same-worker "$(workers | xargs)" "$pids"
asked
paused
forced
check detached guest_wait hotplug 60 detached
is nothing-left-at-last "$(holdings)" "$holdings_before"
guest_tell hotplug go
check end guest_wait hotplug 60 end
check destroy xl destroy hotplug
guest_results hotplug
check_gone hotplug "$domid" "$pids"
check_product_gone "$channels"
