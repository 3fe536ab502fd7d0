# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# neighbour - what a guest that hammers costs another one, beside a guest that merely spins. The machine has one
# CPU and its time is counted in instructions: the same piece of verified disk work of guest worker, in
# hundredths of a virtual second, while guest hammer spins, and while it floods two disks with events, malformed
# requests, rewritten nodes, and all of them. At most a tenth more than with the spinner.
#
# That alone shows little: beside a spinner the worker waits for Xen's scheduler most of the time, and events
# reach dom0 as rarely as that lets go of the hammer. So the backend's defences are measured where they work: in
# CPU time of dom0's processes, in thousandths of the time that went by. And the hammer must have been busy.

root=/bed/bases/root.img
BY=10 # percent
guest_config worker 256 neighbour "bed.role=worker" "$(ephemeral xvda "$root")" "$(ephemeral xvdb blank:16M)"
guest_config hammer 256 neighbour "bed.role=hammer" "$(ephemeral xvda "$root")" "$(ephemeral xvdb blank:16M)" \
	"$(ephemeral xvdc blank:16M)"

said() { tr -d '\r' <"$(guest_log "$1")" | sed -n "s/^GUEST: $2//p"; }
said_times() { said "$1" "$2" | wc -l; }
said_more() { [ "$(said_times "$1" "$2")" -gt "$3" ]; }
note() { echo "BED| $*" >"$BED_CONSOLE"; }
now_ms() { awk '{ print $1 * 1000 }' /proc/uptime; }
# CPU time of processes in ms, by the scheduler's own account; what Xen takes away meanwhile is in it
cpu_ms() {
	local pid
	for pid in $1; do cat "/proc/$pid"/task/*/schedstat; done | awk '{ n += $1 } END { print int(n / 1000000) }'
}

# A piece is a quarter shorter now and then, as Xen's turns fall: the longest of several counts, with a spinner too,
# who has other turns if all were as short; and while all beside a hammer were as short there is another
work_done() {
	local before
	before=$(said_times worker took)
	guest_tell worker go
	wait_for 300 "the work to be done" said_more worker took "$before" || return 1
	times+=("$(said worker 'took ' | tail -n 1)")
	[ "$hundredths" -ge "${times[-1]}" ] || hundredths=${times[-1]}
}

enough_pieces() { # N
	[ ${#times[@]} -ge "$1" ] && { [ ${#times[@]} -ge 4 ] || [ $((hundredths * 100)) -ge $((${took[spin]:-0} * 85)) ]; }
}

# beside WORD N: N pieces of work while hammer does WORD; sets took, and of_* to the shares of dom0's processes
beside() {
	local began ms times=() hundredths=0 rests plays
	rests=$(said_times hammer rest) plays=$(said_times hammer hammered)
	guest_tell hammer "$1"
	guest_wait hammer 60 "at $1\$" || return 1
	began=$(now_ms) ms="$(cpu_ms "$DAEMON") $(cpu_ms "$xenstored") $(cpu_ms "$hammer_pids")"
	until enough_pieces "$2"; do work_done || return 1; done
	ms="$(now_ms) $began $(cpu_ms "$DAEMON") $(cpu_ms "$xenstored") $(cpu_ms "$hammer_pids") $ms"
	read -r of_daemon of_xenstored of_worker < <(awk '{ t = $1 - $2
		for (i = 3; i < 6; i++) printf "%d ", ($i - $(i + 3)) * 1000 / t }' <<<"$ms")
	[ "$hundredths" -lt "${took[$1]:-0}" ] || took[$1]=$hundredths
	guest_tell hammer enough
	wait_for 60 "hammer to rest" said_more hammer rest "$rests" || return 1
	note "beside $1: ${times[*]} hundredths of a virtual second; thousandths of the CPU:" \
		"daemon $of_daemon, xenstored $of_xenstored, hammer's process $of_worker"
	said hammer hammered | tail -n 2 | while read -r line; do note " $line"; done
	# One on each disk, from its beginning to its end
	[ "$1" = spin ] || [ "$(said_times hammer hammered)" = $((plays + 2)) ]
}
dear() { ! at_most "${took[$1]:-9999}" "${took[spin]:-0}"; }
at_most() { [ $(($1 * 100)) -le $(($2 * (100 + BY))) ]; }

# rate WHAT: how many a second the last two plays did
rate() { said hammer 'hammered ' | tail -n 2 | sed 's/[:,]//g' | awk -v what="$1" '{
	for (i = 3; i < NF; i++) if ($(i + 1) == what) n += $i * 1000 / $1 } END { print int(n) }'; }

# was_busy WHAT N
was_busy() { [ "$(rate "$1")" -ge "$2" ]; }

declare -A took
of_daemon=1000 of_worker=1000
xenstored=$(pgrep -x xenstored)
check daemon daemon_start --threads 2 --verbose
[ -n "$DAEMON" ] || exit 1
check worker-create guest_start worker
worker_pids=$(workers)
check hammer-create guest_start hammer
hammer_pids=$(new_workers "$worker_pids")
check worker-ready guest_wait worker 300 rest
check hammer-ready guest_wait hammer 300 rest

check beside-spin beside spin 3
check beside-events beside events 1
check events-were-many was_busy events 10000
check events-let-the-worker-sleep [ "$of_worker" -le 8 ]
check beside-malformed beside malformed 2
check malformed-were-many was_busy answers 4000
check beside-states beside states 2
check writes-were-many was_busy writes 300
check writes-let-the-daemon-sleep [ "$of_daemon" -le 40 ]
check beside-all beside all 1
check all-were-many was_busy writes 100
for word in events malformed states all; do
	for again in 1 2 3; do ! dear "$word" || check "beside-spin-again-$word-$again" beside spin 3; done
	check "cost-of-$word" at_most "${took[$word]:-9999}" "${took[spin]:-0}"
done

guest_tell hammer stop
guest_tell worker stop
check worker-power-off guest_wait_exit worker 120
guest_results worker
check hammer-power-off guest_wait_exit hammer 120
guest_results hammer
check daemon-stops daemon_stop
check no-workers no_workers
