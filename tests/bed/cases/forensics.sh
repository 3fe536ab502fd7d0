# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# forensics - what of a guest remains in the machine? Its memory and its disks are searched by the host
# (look.sh, memscan) for the guest's marker, which stands nowhere but where the guest wrote it, for its key,
# which the forensic worker tells in a masked form, and for AES key schedules.
#
# First boot, where dom0's kernel clears what it frees (init_on_free=1): nothing may remain
#   alpha    while it runs its key is found, in frames of its worker; then it powers off
#   beta     is destroyed in mid-I/O
#   gamma    loses its worker
#   delta    loses the daemon, is taken back by another, powers off
#   epsilon  is at work when the power is cut; then only the disks are searched
# Second boot, without that: what remains is counted
#   zeta     loses its worker
#   leaky    has a worker that wipes nothing and leaves its key in malloc's memory: it must be found
# Each has a marker and a key of its own, so one search tells what of whom remains. The first four are there at
# once and then end, so that no guest that starts later covers what an earlier one left; in the long form there
# is a search after each ending, and zeta's boot has a power-off and a destroyed guest, too.
# A marker of dom0's own must be found each time, or the search has searched nothing. Before memory is dumped
# Xen has to have scrubbed what it got back.

tests=/usr/lib/blkback-ephem-tests
answers=$LOGS/answers
work=/var/lib/forensics
control=$work/control
guests=(alpha beta gamma delta epsilon zeta eta theta leaky)
mkdir -p "$answers" "$work"
WORKER=$tests/forensic/blkback-ephem

for g in "${guests[@]}"; do
	guest_config "$g" 192 forensics "bed.seed=$SEED-$g" "$(ephemeral xvda "$BED/bases/root.img")" \
		"$(ephemeral xvdb "$BED/bases/data.img")" "$(ephemeral xvdc blank:64M)" "$(ephemeral xvdd blank:64M)"
done

# ---- asking the host ----

scrubbed() {
	xl dmesg -c >>"$LOGS/xen.log"
	xl debug-keys H
	xl dmesg -c | tee -a "$LOGS/xen.log" >"$work/heap"
	grep -q 'heap\[node=' "$work/heap" && ! grep 'unscrubbed pages' "$work/heap"
}
answered() {
	dd if="$BED_LOGS" bs=1M skip=255 count=1 iflag=direct status=none 2>/dev/null | tr -d '\0' >"$answers/$1"
	grep -q "^end $1$" "$answers/$1"
}
# look memory|disks LABEL: the answer is in $answers/LABEL
look() {
	sync
	grep -q . "$control"
	[ "$1" = disks ] || check "$2-xen-has-scrubbed" wait_for 120 "Xen to scrub" scrubbed
	say "look $1 $2"
	check "$2-searched" wait_for 600 "the host's answer" answered "$2"
	check "$2-search-sees" [ "$(found "$2" marker control)" -ge 1 ]
}

# found LABEL KIND NAME: how often
found() { awk -v kind="$2" -v name="$3" '$1 == "sum" && $2 == kind && $3 == name { n = $4 } END { print n + 0 }' "$answers/$1"; }
# remains LABEL: what was found of any guest, as words
remains() { awk '$1 == "sum" && $3 != "control" && $3 !~ /^unknown-/ && $4 > 0 { printf "%s of %s: %d; ", $2, $3, $4 }' "$answers/$1"; }
# strangers LABEL: schedules of keys that nobody told us
strangers() { awk '$1 == "sum" && $3 ~ /^unknown-/ { print $3 }' "$answers/$1" | sort; }

# nothing_remains LABEL: neither of guests that were named nor a schedule of anybody's
nothing_remains() {
	is "$1-remains" "$(remains "$1")" ""
	is "$1-schedules" "$(strangers "$1" | xargs)" ""
}

# ---- guests ----

# All processes of the worker's program, under whatever name
worker_pids() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		[ "$(readlink "$exe")" != "$WORKER" ] || cut -d/ -f3 <<<"$exe"
	done
}

# life NAME: sets pids_of[NAME], and tells the host what to look for
declare -A pids_of
life() {
	local name=$1 mark key before
	before=$(worker_pids | sort)
	mark=$(wc -l <"$DAEMON_LOG")
	check "$name-create" guest_start "$name"
	check "$name-written" guest_wait "$name" 400 written
	pids_of[$name]=$(comm -13 <(cat <<<"$before") <(worker_pids | sort) | xargs)
	key=$(tail -n "+$((mark + 1))" "$DAEMON_LOG" | sed -n 's/.*forensic worker: masked key \([0-9a-f]\{128\}\)$/\1/p')
	is "$name-one-key" "$(wc -w <<<"$key")" 1
	say "key $name $key"
	say "marker $name $SEED-$name"
}
# at_work NAME...: from now on they write and read without end. Late, for each takes its part of the one CPU.
at_work() {
	local g
	for g in "$@"; do guest_tell "$g" hard; done
	for g in "$@"; do check "$g-in-mid-io" wait_for 60 "$g to be at work" guest_beats_beyond "$g" 2; done
}

# over NAME [broken]: nothing of its worker, its undertaker neither, and nothing of the domain is there any more
over() {
	check "$1-gone" guest_wait_exit "$1" 120
	# shellcheck disable=SC2086 # a list
	check "$1-worker-gone" wait_for 20 "the worker to go" not alive ${pids_of[$1]}
	check "$1-no-zombie" wait_for 30 "the domain to go" no_zombies
	if [ "${2:-}" != broken ]; then guest_results "$1"; fi
}
power_off() { # NAME
	guest_tell "$1" go
	over "$1"
}
destroyed() { # NAME
	check "$1-destroy" xl destroy "$1"
	over "$1" broken
}
worker_killed() { # NAME
	# shellcheck disable=SC2086 # a list
	check "$1-kill-worker" kill -9 "$(main_worker "${pids_of[$1]}")"
	xl destroy "$1" || true
	over "$1" broken
}

# ---- whose frames ----

# places LABEL NAME: each place where a key of NAME was found: "place FRAME KIND BYTES WHOSE"
places() {
	awk '$1 == "hit" && ($2 ~ /^key/ || $2 == "schedule") && $3 == name { printf "%x %s %s\n", $5 / 4096, $2, $6 }' \
		name="$2" "$answers/$1" | sort >"$work/hits"
	# shellcheck disable=SC2086 # a list
	cut -d' ' -f1 "$work/hits" | sort -u | "$tests/frames" who "$work/frames" ${pids_of[$2]} | sort >"$work/whose"
	join "$work/hits" "$work/whose" | sed 's/^/place /'
}

# While a guest runs: its key is where its worker has it. 16 bytes elsewhere, a register that was saved, are told
key_is_the_workers_only() {
	places alpha-runs alpha >"$work/places"
	cat "$work/places"
	cp "$work/places" "$answers/places"
	say "places of the key: $(awk '{ n[$3 " in " $5]++ } END { for (k in n) printf "%s: %d; ", k, n[k] }' "$work/places")"
	check key-found-while-it-runs [ "$(found alpha-runs key alpha)" -ge 2 ]
	check schedules-found-while-it-runs [ "$(found alpha-runs schedule alpha)" -ge 3 ]
	check marker-found-while-it-runs [ "$(found alpha-runs marker alpha)" -ge 1000 ]
	is all-places-known "$(wc -l <"$work/places")" \
		$(($(found alpha-runs key alpha) + $(found alpha-runs key-piece alpha) + $(found alpha-runs schedule alpha)))
	is key-elsewhere "$(awk '$5 ~ /^(dom0-frame|not-dom0)/ && $4 > 16' "$work/places" | xargs)" ""
}

# ---- the first boot ----

begin() {
	printf %s "$SEED-control" | sha256sum >"$control"
	say "marker control $SEED-control"
	check frames-known "$tests/frames" save "$work/frames"
	check daemon daemon_start --threads 2
	[ -n "$DAEMON" ] || exit 1
}

# Each time when somebody ended, in the long form; else when all have
look_after() { [ -z "$LONG" ] || { look memory "$1" && "${2:-nothing_remains_of_ended}" "$1"; }; }
# Those that run are not meant
nothing_remains_of_ended() {
	is "$1-remains" "$(remains "$1" | grep -oE '[a-z-]+ of [a-z]+: [0-9]+' | grep -vE " of ($running):" | xargs)" ""
}

first_four() {
	for g in alpha beta gamma delta; do life "$g"; done
	at_work alpha beta gamma
	look memory alpha-runs
	key_is_the_workers_only
	running='beta|gamma|delta'
	power_off alpha
	look_after alpha
	running='gamma|delta'
	destroyed beta
	look_after beta
	running='delta'
	worker_killed gamma
	look_after gamma
	check kill-daemon daemon_stop KILL
	check restart daemon_start --threads 2
	# shellcheck disable=SC2086 # a list
	check delta-same-worker alive ${pids_of[delta]}
	power_off delta
	is pool-empty "$(find "$POOL" -mindepth 1 | wc -l)" 0
	look memory all-ended
	nothing_remains all-ended
	look disks all-ended-disks
	nothing_remains all-ended-disks
}

power_cut() {
	life epsilon
	at_work epsilon
	[ ! -e "$FAILED" ] || show_failure forensics
	echo forensics >"$BED/resume"
	sync
	say "cut epsilon"
	sleep 600
	die "the power was not cut"
}

# ---- the second boot ----

after_power_cut() {
	rm "$BED/resume"
	check power-cut-answer answered epsilon
	check power-cut-search-sees [ "$(found epsilon marker control)" -ge 1 ]
	nothing_remains epsilon
	is kernel-clears-nothing "$(grep -c init_on_free=1 /proc/cmdline)" 0
}

# counted LABEL: what was left where nothing clears it
counted() { say "without init_on_free, after $1: $(remains "$1")"; }

without_clearing() {
	check second-daemon daemon_start --threads 2
	life zeta
	at_work zeta
	worker_killed zeta
	look_after zeta counted
	if [ -n "$LONG" ]; then
		life eta
		at_work eta
		destroyed eta
		look_after eta counted
		life theta
		power_off theta
		look_after theta counted
	fi
	check second-daemon-stops daemon_stop
}

leak() {
	WORKER=$tests/leaky/blkback-ephem
	check leaky-daemon daemon_start --threads 2
	life leaky
	at_work leaky
	worker_killed leaky
	look memory leaky
	counted leaky
	check leaky-key-is-found [ "$(found leaky key leaky)" -ge 1 ]
	check leaky-schedule-is-found [ "$(found leaky schedule leaky)" -ge 1 ]
	check leaky-marker-is-found [ "$(found leaky marker leaky)" -ge 1 ]
	check daemon-stops daemon_stop
}

if [ ! -e "$BED/resume" ]; then
	is kernel-clears-what-it-frees "$(grep -c init_on_free=1 /proc/cmdline)" 1
	begin
	first_four
	power_cut
fi
after_power_cut
without_clearing
leak
look disks all
nothing_remains all
