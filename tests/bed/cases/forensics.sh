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
#   gamma    loses its worker, by kill -9, while writes wait there for a pool that is full
#   delta    loses the daemon, is taken back by another, powers off
#   epsilon  is at work when the power is cut; then only the disks are searched
# Second boot, without that: the key dies and buffers are wiped all the same; what else remains is counted
#   zeta     loses its worker, likewise
#   leaky    has a worker that wipes nothing and leaves copies of its key and of plaintext: they must be found
# Each has a marker and a key of its own, so one search tells what of whom remains. The first four are there at
# once and then end, so that no guest that starts later covers what an earlier one left; zeta is looked for before
# leaky comes. In the long form there is a search after each ending, and zeta's boot has a power-off and a destroyed
# guest, too.
# A marker of dom0's own must be found each time, or the search has searched nothing. Before memory is searched
# Xen has to have scrubbed what it got back, so that each find is in memory that somebody owns.

tests=/usr/lib/blkback-ephem-tests
answers=$LOGS/answers
work=/var/lib/forensics
control=$work/control
guests=(alpha beta gamma delta epsilon zeta eta theta leaky)
mkdir -p "$answers" "$work"
WORKER=$tests/forensic/blkback-ephem

# Under QEMU a PV guest boots in a third of the time of a PVH guest, for which it emulates nested paging. In the long
# form alpha and beta are PVH guests
for g in "${guests[@]}"; do
	type=pv
	[[ -z $LONG || $g != @(alpha|beta) ]] || type=pvh
	TYPE=$type guest_config "$g" 192 forensics "bed.seed=$SEED-$g" "$(ephemeral xvda "$BED/bases/root.img")" \
		"$(ephemeral xvdb "$BED/bases/data.img")" "$(ephemeral xvdc blank:64M)" "$(ephemeral xvdd blank:64M)"
done

mkdir -p /etc/blkback-ephem/domains
for g in gamma zeta leaky; do printf '[pool]\nquota=24M\n' >"/etc/blkback-ephem/domains/$g.conf"; done

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
# What dom0's kernel uses each frame for, as late as can be: who asks for memory afterwards gets what was free. Always
# the same file, so that it takes no new pages.
flags_now() { dd if=/proc/kpageflags of="$work/flags" bs=1M conv=notrunc status=none; }
# look memory|disks LABEL: the answer is in $answers/LABEL
look() {
	sync
	grep -q . "$control"
	[ "$1" = disks ] || check "$2-xen-has-scrubbed" wait_for 120 "Xen to scrub" scrubbed
	flags_now
	say "look $1 $2"
	check "$2-searched" wait_for 600 "the host's answer" answered "$2"
	check "$2-search-sees" [ "$(found "$2" marker control)" -ge 1 ]
}

# found LABEL KIND NAME: how often
found() {
	awk '$1 == "sum" && $2 == kind && $3 == name { n = $4 } END { print n + 0 }' kind="$2" name="$3" "$answers/$1"
}
# remains LABEL [NAME]: what was found of any guest, or of that one, as words
remains() {
	awk '$1 == "sum" && $3 != "control" && $3 !~ /^unknown-/ && (name == "" || $3 == name) && $4 > 0 {
		printf "%s of %s: %d; ", $2, $3, $4 }' name="${2:-}" "$answers/$1"
}
# strangers LABEL: schedules of keys that nobody told us
strangers() { awk '$1 == "sum" && $3 ~ /^unknown-/ { print $3 }' "$answers/$1" | sort; }

# looked_for LABEL NAME: what the host searched for of it: all five, or it was not told of some
looked_for() {
	awk '$1 == "sum" && $3 == name && $2 ~ /^(marker|marker-piece|key|key-piece|schedule)$/ { print $2 }' name="$2" \
		"$answers/$1" | sort | xargs
}
# nothing_remains LABEL NAME...: of those, whose endings are said; and no schedule of a key that nobody told us
declare -A ending=([alpha]=power-off [beta]=destroy [gamma]=killed-worker [delta]=killed-daemon [epsilon]=power-cut)
nothing_remains() {
	local label=$1 g
	shift
	for g in "$@"; do
		is "$label-looked-for-$g" "$(looked_for "$label" "$g")" "key key-piece marker marker-piece schedule"
		is "$label-nothing-after-${ending[$g]}" "$(remains "$label" "$g")" ""
	done
	is "$label-schedules-of-strangers" "$(strangers "$label" | xargs)" ""
}

# ---- guests ----

# All processes of the worker's program, under whatever name
worker_pids() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		[ "$(readlink "$exe")" != "$WORKER" ] || cut -d/ -f3 <<<"$exe"
	done
}

# pool_has PID...: what they wrote is on dom0's disk, 6 MiB at least
pool_has() {
	local file blocks=0
	for file in $(pool_files "$@"); do blocks=$((blocks + $(stat -L -c %b "$file"))); done
	echo "$((blocks / 2)) KiB"
	[ "$blocks" -ge 12288 ]
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
	key=$(tail -n "+$((mark + 1))" "$DAEMON_LOG" | sed -n 's/.*forensic worker: masked key \([0-9a-f]\{192\}\)$/\1/p')
	is "$name-one-key" "$(wc -w <<<"$key")" 1
	say "key $name $key"
	say "marker $name $SEED-$name"
	# shellcheck disable=SC2086 # a list
	check "$name-pool-has-it" pool_has ${pids_of[$name]}
}
# at_work NAME...: from now on they write and read without end. Late, for each takes its part of the one CPU.
at_work() {
	local g
	for g in "$@"; do guest_tell "$g" hard; done
	for g in "$@"; do check "$g-in-mid-io" wait_for 60 "$g to be at work" guest_beats_beyond "$g" 2; done
}

# held NAME: from now on it waits for the pool with eight writes, which its worker has got already
is_held() { [ "$(status_number "$1" held)" -ge 8 ]; }
held() {
	guest_tell "$1" fill
	check "$1-writes-are-held" wait_for 120 "$1's writes to be held" is_held "$1"
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

# places LABEL NAME KINDS: each place where that was found of NAME: "place FRAME KIND BYTES WHOSE", of each kind
# the first thousand. KINDS is an extended regular expression
places() {
	awk '$1 == "hit" && $2 ~ kinds && $3 == name { printf "%x %s %s\n", $5 / 4096, $2, $6 }' \
		kinds="^($3)\$" name="$2" "$answers/$1" | sort >"$work/hits"
	# shellcheck disable=SC2086,SC2046 # lists
	cut -d' ' -f1 "$work/hits" | sort -u |
		"$tests/frames" who "$work/frames" "$work/flags" $(still ${pids_of[$2]}) | sort >"$work/whose"
	join "$work/hits" "$work/whose" | sed 's/^/place /' | tee "$answers/places-$1-$2"
}
# Those of the processes that exist
still() {
	local pid
	for pid in "$@"; do [ ! -e "/proc/$pid" ] || echo "$pid"; done
}
# by_owner <PLACES: how many where, as words
by_owner() { awk '{ n[$3 " in " $5]++ } END { for (k in n) printf "%s: %d; ", k, n[k] }'; }

keys='key|key-piece|register|schedule'
# While a guest runs its key is where its worker has it, and in registers that the kernel or Xen has saved, and has
# not given back
key_is_the_workers_only() {
	places alpha-runs alpha "$keys" >"$work/places"
	say "places of alpha's key: $(by_owner <"$work/places")"
	for g in alpha beta gamma delta; do
		check "$g-key-found-while-it-runs" [ "$(found alpha-runs key "$g")" -ge 3 ]
		check "$g-schedules-found-while-it-runs" [ "$(found alpha-runs schedule "$g")" -ge 4 ]
		check "$g-marker-found-while-it-runs" [ "$(found alpha-runs marker "$g")" -ge 1000 ]
	done
	is all-places-known "$(wc -l <"$work/places")" "$(awk '$1 == "sum" && $2 ~ kinds && $3 == "alpha" { n += $4 }
		END { print n + 0 }' kinds="^($keys)\$" "$answers/alpha-runs")"
	is key-elsewhere "$(awk '$5 ~ /^(dom0-|not-dom0)/ && ($3 != "register" || $5 ~ /^dom0-(free|cache)/)' \
		"$work/places" | xargs)" ""
	is key-in-memory-that-is-not-secret "$(awk '$5 !~ /^(dom0-|not-dom0|\/secretmem)/' "$work/places" | xargs)" ""
	is schedules-of-strangers "$(strangers alpha-runs | xargs)" ""
}

# ---- the first boot ----

begin() {
	printf %s "$SEED-control" | sha256sum >"$control"
	say "marker control $SEED-control"
	check frames-known "$tests/frames" save "$work/frames"
	check daemon daemon_start --threads 2
	[ -n "$DAEMON" ] || exit 1
}

# In the long form each time when somebody ended, else when all have
look_after() { # NAME...
	[ -n "$LONG" ] || return 0
	look memory "after-${ending[$1]}"
	nothing_remains "after-${ending[$1]}" "$@"
}

first_four() {
	for g in alpha beta gamma delta; do life "$g"; done
	at_work alpha beta
	held gamma
	look memory alpha-runs
	key_is_the_workers_only
	power_off alpha
	look_after alpha
	destroyed beta
	look_after beta alpha
	worker_killed gamma
	look_after gamma alpha beta
	check kill-daemon daemon_stop KILL
	check restart daemon_start --threads 2
	# shellcheck disable=SC2086 # a list
	check delta-same-worker alive ${pids_of[delta]}
	power_off delta
	is pool-held-by-nobody "$(find /proc/[0-9]*/fd -lname "$POOL/*" 2>/dev/null || true)" ""
	look memory all-ended
	nothing_remains all-ended alpha beta gamma delta
	look disks all-ended-disks
	nothing_remains all-ended-disks alpha beta gamma delta
}

power_cut() {
	life epsilon
	at_work epsilon
	[ ! -e "$FAILED" ] || show_failure forensics
	echo forensics >"$BED/resume"
	sync
	say "cut power-cut"
	sleep 600
	die "the power was not cut"
}

# ---- the second boot ----

after_power_cut() {
	rm "$BED/resume"
	check power-cut-answer answered power-cut
	check power-cut-search-sees [ "$(found power-cut marker control)" -ge 1 ]
	nothing_remains power-cut epsilon alpha beta gamma delta
	is kernel-clears-nothing "$(grep -c init_on_free=1 /proc/cmdline)" 0
}

# counted NAME: what was left where nothing clears it, and in whose frames
counted() {
	say "without init_on_free, after $1: $(remains "$1")"
	say "of $1: $(places "$1" "$1" "$keys|marker|marker-piece" | by_owner)"
}

# What our own wiping and memfd_secret are for. Saved registers and stacks, pieces, are the kernel's to clear
wiped_by_ours() { # NAME
	is "$1-looked-for" "$(looked_for "$1" "$1")" "key key-piece marker marker-piece schedule"
	for kind in key schedule marker; do is "$1-no-$kind-though-nothing-clears" "$(found "$1" "$kind" "$1")" 0; done
}

without_clearing() {
	check frames-known-again "$tests/frames" save "$work/frames"
	check second-daemon daemon_start --threads 2
	life zeta
	held zeta
	worker_killed zeta
	look memory zeta
	counted zeta
	wiped_by_ours zeta
	if [ -n "$LONG" ]; then
		life eta
		at_work eta
		destroyed eta
		look memory eta
		counted eta
		life theta
		power_off theta
		look memory theta
		counted theta
	fi
	check second-daemon-stops daemon_stop
}

leak() {
	WORKER=$tests/leaky/blkback-ephem
	check leaky-daemon daemon_start --threads 2
	life leaky
	held leaky
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
look disks all-disks
is all-disks-nothing "$(remains all-disks)" ""
is all-disks-schedules-of-strangers "$(strangers all-disks | xargs)" ""
