# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# neighbour - what a guest that hammers costs another one, beside a guest that merely spins. The machine has one
# CPU and its time is counted in instructions: the same piece of verified disk work of guest worker, in
# hundredths of a virtual second, while guest hammer spins, and while it floods its backend with events,
# malformed requests, rewritten states, and all of them. At most a tenth more than with the spinner.

root=/bed/bases/root.img
BY=${BY:-10} # percent
guest_config worker 256 neighbour "bed.role=worker" "$(ephemeral xvda "$root")" "$(ephemeral xvdb blank:16M)"
guest_config hammer 256 neighbour "bed.role=hammer" "$(ephemeral xvda "$root")" "$(ephemeral xvdb blank:16M)"

said_times() { tr -d '\r' <"$(guest_log "$1")" | grep -c "^GUEST: $2" || true; }
said_more() { [ "$(said_times "$1" "$2")" -gt "$3" ]; }

# What dom0 spends on the hammer: daemon, xenstored, the hammer's processes; all in hundredths of a virtual second
spent() {
	local pid
	for pid in "$DAEMON" "$(pgrep -x xenstored)" "$(main_worker "$hammer_pids")"; do
		awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"
	done | xargs
}

# took WORD: sets hundredths to the median of three pieces of work while hammer does WORD
took() {
	local times=() before
	guest_tell hammer "$1"
	wait_for 60 "hammer to be at $1" said_more hammer "at $1" "${at[$1]:-0}" || return 1
	at[$1]=$((${at[$1]:-0} + 1))
	before=$(spent)
	for _ in 1 2 3; do
		guest_tell worker go
		done_so_far=$((done_so_far + 1))
		wait_for 300 "the work to be done" said_more worker took $((done_so_far - 1)) || return 1
		times+=("$(tr -d '\r' <"$(guest_log worker)" | sed -n 's/^GUEST: took //p' | tail -n 1)")
	done
	hundredths=$(printf '%s\n' "${times[@]}" | sort -n | sed -n 2p)
	echo "BED| beside $1: ${times[*]} hundredths of a virtual second" >"$BED_CONSOLE"
	echo "BED| CPU of daemon, xenstored, hammer's worker: from $before to $(spent)" >"$BED_CONSOLE"
}
at_most() { [ $(($1 * 100)) -le $(($2 * (100 + BY))) ]; }

declare -A at
done_so_far=0
check daemon daemon_start --threads 2 --verbose
[ -n "$DAEMON" ] || exit 1
check worker-create guest_start worker
check worker-ready guest_wait worker 300 rest
worker_pids=$(workers)
check hammer-create guest_start hammer
check hammer-ready guest_wait hammer 300 rest
hammer_pids=$(new_workers "$worker_pids")

check beside-spin took spin
spin=$hundredths
for word in events malformed states all; do
	check "beside-$word" took "$word"
	check "cost-of-$word" at_most "$hundredths" "$spin"
done
check beside-spin-again took spin
check spin-is-steady at_most "$hundredths" "$spin"

guest_tell hammer stop
guest_tell worker stop
check worker-power-off guest_wait_exit worker 120
guest_results worker
check hammer-power-off guest_wait_exit hammer 120
# As often as it was told to; else there was nothing to measure
is hammer-was-busy "$(said_times hammer 'pass busy-with-')" 6
check daemon-stops daemon_stop
check no-workers no_workers
