# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guard - ephem-guard on real Xen: a marked guest that has only our disks, and one of the kernel's that is read-only,
# runs; with a writable one, alone or beside ours, it never executes an instruction: its console stays empty, Xen has no
# CPU time for it, and its CPU stands where that of a guest stands that is created paused. Without that disk it goes on.
# What is attached later is told of, or pauses it (strict=1). A guard that was stopped or killed while it holds a guest
# lets it not run, and the next one knows it again; what ran before the guard came is only told of. enforce=off: whoever
# is marked runs as he is. Who is not marked is let alone.

etc=/etc/blkback-ephem
# Not named after the case: check writes into that log what it looks for
GUARD_LOG=$LOGS/ephem-guard.log
ro=/var/lib/guard-ro.img
plain=/var/lib/guard-plain.img
later=/var/lib/guard-later.img
: >"$GUARD_LOG"
mkdir -p "$etc/domains"
truncate -s 16M "$ro" "$plain" "$later"
for name in own plain solo late; do printf '[guard]\nephemeral=on\n' >"$etc/domains/guard-$name.conf"; done
printf '[guard]\nephemeral=on\nstrict=1\n' >"$etc/domains/guard-strict.conf"
printf '[guard]\nephemeral=on\nenforce=0\n' >"$etc/domains/guard-off.conf"

guard_says() { grep -F "$1" "$GUARD_LOG"; }
guard_times() { grep -cF "$1" "$GUARD_LOG" || true; }
guard_said_twice() { [ "$(guard_times "$1")" = 2 ]; }
guard_up() { tail -n "+$((guard_lines + 1))" "$GUARD_LOG" | grep -q 'watching over'; }
guard_start() {
	guard_lines=$(wc -l <"$GUARD_LOG")
	"$PROGRAMS/ephem-guard" </dev/null >>"$GUARD_LOG" 2>&1 &
	guard=$!
	wait_for 20 "the guard" guard_up
}
guard_stop() { # SIGNAL STATUS: it ends with that
	local status=0
	kill "-$1" "$guard"
	wait_for 20 "the guard to end" not kill -0 "$guard"
	wait "$guard" || status=$?
	[ "$status" = "$2" ] || { echo "its status is $status"; return 1; }
}

# State and seconds of CPU, as Xen has them: "--p--- 0.0"
listed() { xl list "$1" | awk 'NR == 2 { print $5, $6 }'; }
is_paused() { [[ $(listed "$1") = *p*" "* ]]; }
is_running() { [[ $(listed "$1") =~ ^[^p]+\ [0-9] ]]; }
# Tenths of a second are coarse: where the CPU stands tells of the first instruction
stands_at() { xen-hvmctx "$(guest_domid "$1")" | grep -o 'rip 0x[0-9a-f]*'; }
silent() { [ ! -s "$(guest_log "$1")" ]; }
is_unrun() {
	local seen
	seen="$(listed "$1"), $(stands_at "$1")"
	echo "$seen"
	[[ $seen = *p*" 0.0, $entry" ]] && silent "$1"
}
has_moved() {
	local at
	at=$(stands_at "$1") && [ "$at" != "$entry" ]
}
read_only() { kernel_block "$1" "$2" | sed 's/access=rw/access=ro/'; }
start_paused() {
	: >"$(guest_log "$1")"
	xl create -q -p "$GUESTS/$1.cfg" && xl domid "$1" >"$GUESTS/$1.domid"
}
# The toolstack may call a refused guest created, or not
start_refused() {
	guest_start "$1" || echo "xl create: status $?"
	domid=$(guest_domid "$1")
}
gone() { # NAME: destroyed, and nothing of it is recorded
	check "$1-destroy" xl destroy "$1"
	check "$1-forgotten" wait_for 20 "its record to go" [ ! -e "/run/ephem-guard/$(guest_domid "$1")" ]
}

own="$(ephemeral xvda "$BED/bases/root.img")"
guest_config guard-free 128 smoke "" "$own" "$(kernel_block xvdb "$plain")"
guest_config guard-own 128 smoke "" "$own" "$(read_only xvdb "$ro")"
guest_config guard-plain 128 smoke "" "$own" "$(kernel_block xvdb "$plain")"
guest_config guard-solo 128 smoke "" "$(kernel_block xvda "$plain")"
guest_config guard-strict 128 smoke "" "$own"
guest_config guard-off 128 smoke "" "$own" "$(kernel_block xvdb "$plain")"
guest_config guard-late 128 smoke "" "$own" "$(kernel_block xvdb "$plain")"

check guard guard_start
check daemon daemon_start --threads 2

# Not marked: only its toolstack pauses it, and the guard has no word for it
check free-create start_paused guard-free
sleep 2
entry=$(stands_at guard-free)
echo "guests begin at $entry"
check free-unrun is_unrun guard-free
check free-no-record [ ! -e "/run/ephem-guard/$(guest_domid guard-free)" ]
check free-unpause xl unpause guard-free
check free-runs guest_wait guard-free 240 up
check free-has-moved has_moved guard-free
check free-not-told not guard_says guard-free
gone guard-free

# Only ours, and one that is read-only
check own-create guest_start guard-own
check own-runs guest_wait guard-own 240 up
own_domid=$(guest_domid guard-own)
check own-told guard_says "guest $own_domid (guard-own) has no writable disk but ephemeral ones: it may run"

# One of somebody else's beside ours
start_refused guard-plain
told="guest $domid (guard-plain) is marked as ephemeral and has writable disks that are not: xvdb (vbd): paused before it ran"
check plain-told wait_for 30 "the guard to tell" guard_says "$told"
sleep 5
check plain-never-ran is_unrun guard-plain
is plain-told-once "$(guard_times "$told")" 1
is plain-recorded "$(cut -c1-7 "/run/ephem-guard/$domid")" refused

# The guard is stopped, and comes again
check plain-guard-stops guard_stop TERM 0
check plain-left-paused guard_says "guest $domid stays paused"
sleep 2
check plain-without-guard is_unrun guard-plain
check plain-guard-again guard_start
check plain-told-again wait_for 20 "the guard to tell" guard_said_twice "$told"
check plain-still-unrun is_unrun guard-plain

# The disk is taken away, ours is left
check plain-detach xl block-detach --force guard-plain xvdb
check plain-mended wait_for 20 "the guard to let it go" guard_says "guest $domid (guard-plain) has no writable disk but ephemeral ones: it may run"
check plain-runs-without guest_wait guard-plain 240 written
gone guard-plain

# Only somebody else's
start_refused guard-solo
told="guest $domid (guard-solo) is marked as ephemeral and has writable disks that are not: xvda (vbd): paused before it ran"
check solo-told wait_for 30 "the guard to tell" guard_says "$told"
sleep 2
check solo-never-ran is_unrun guard-solo
check solo-unpause xl unpause guard-solo
check solo-paused-again wait_for 10 "it to be paused again" guard_says "guest $domid (guard-solo) was unpaused by hand: paused again"
check solo-still-paused is_paused guard-solo
printf '[guard]\nephemeral=off\n' >"$etc/domains/guard-solo.conf"
check solo-mark-gone wait_for 20 "the guard to let it go" guard_says "guest $domid (guard-solo) is paused no longer by the guard: nothing marks it as ephemeral"
check solo-runs wait_for 60 "its console" not silent guard-solo
xl destroy guard-solo || echo "it has ended by itself, for want of a root"

# Attached while it runs: a warning, and no more
warned="guest $own_domid (guard-own) is marked as ephemeral, runs, and has writable disks that are not: xvdc (vbd): detach them"
check own-not-warned not guard_says "guest $own_domid (guard-own) is marked"
check later-attach xl block-attach guard-own "$(kernel_block xvdc "$later")"
check later-told wait_for 20 "a warning" guard_says "$warned"
sleep 2
check later-runs is_running guard-own
is later-told-once "$(guard_times "$warned")" 1
check later-detach xl block-detach guard-own xvdc
check own-goes-on guest_wait guard-own 120 written
gone guard-own

# The guard is killed while it holds a guest whose toolstack is not done
check strict-create start_paused guard-strict
strict_domid=$(guest_domid guard-strict)
check strict-held wait_for 10 "its record" grep -q '^held' "/run/ephem-guard/$strict_domid"
check strict-kill guard_stop KILL 137
check strict-unpause xl unpause guard-strict
sleep 5
check strict-held-without-guard is_unrun guard-strict
check guard-again guard_start
check strict-runs guest_wait guard-strict 240 written

# Attached while it runs: it stops until the disk is gone
told="guest $strict_domid (guard-strict) is marked as ephemeral and has writable disks that are not: xvdc (vbd): paused: detach"
check strict-runs-still is_running guard-strict
check strict-attach xl block-attach guard-strict "$(kernel_block xvdc "$later")"
check strict-told wait_for 20 "the guard to tell" guard_says "$told"
check strict-paused is_paused guard-strict
check strict-detach xl block-detach --force guard-strict xvdc
check strict-goes-on wait_for 20 "it to go on" is_running guard-strict
check strict-freed guard_says "guest $strict_domid (guard-strict) is paused no longer by the guard: its disks are ephemeral now"
gone guard-strict

# Switched off
check off-create guest_start guard-off
check off-runs guest_wait guard-off 240 up
off_domid=$(guest_domid guard-off)
check off-told guard_says "guest $off_domid (guard-off) is marked as ephemeral, but enforce=off: not guarded"
is off-not-refused "$(guard_times "guest $off_domid (guard-off) is marked as ephemeral and")" 0
gone guard-off

# Without a guard what is marked runs on any disk: the control. A guard that comes later tells of it
check late-guard-stops guard_stop TERM 0
check late-create guest_start guard-late
check late-runs guest_wait guard-late 240 up
domid=$(guest_domid guard-late)
check late-guard guard_start
check late-told wait_for 20 "a warning" guard_says "guest $domid (guard-late) is marked as ephemeral, runs, and has writable disks that are not: xvdb (vbd): detach them"
check late-goes-on guest_wait guard-late 120 written
check late-still-runs is_running guard-late
gone guard-late

check guard-ends guard_stop TERM 0
cat "$GUARD_LOG"
check daemon-ends daemon_stop
check no-zombies wait_for 20 "domains to go" no_zombies
rm -r "$etc/domains" "$ro" "$plain" "$later"
