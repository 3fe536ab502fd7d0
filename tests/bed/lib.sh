# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lib.sh - what cases are written with. Sourced in dom0 by dom0-init and by every case.
#
# A case is a shell script in cases/ made of sub-checks. Each ends in exactly one line for the host (report),
# "pass CASE/NAME" or "fail CASE/NAME reason", which bed.sh counts. All other output of a case goes to
# LOGS/CASE.log. "absent NAME SEED" and "present NAME SEED" ask the host to search the disks after power-off
# for the marker sha256(SEED), a text that itself stands nowhere.
#
# Time here is virtual: a nanosecond is an instruction, or a nanosecond of the host's while all is idle.
# Limits mean much the same on any host. Wait for what you need with wait_for, never by sleeping.

# In the bed everything is where it is installed; here.sh runs cases on a dom0 at hand with other paths.
BED=${BED:-/bed}
. "$BED/run.env"
: "${BED_CONSOLE:=/dev/console}" "${LOGS:=/var/log/bed}" "${RUN:=/run/blkback-ephem}"
: "${POOL:=/var/lib/blkback-ephem/pool}" "${STATE:=/var/lib/blkback-ephem}" "${PROGRAMS:=/usr/sbin}" "${SCRIPT:=block-ephem}"
: "${CONFIG:=/etc/blkback-ephem}" "${WORKER:=/usr/libexec/blkback-ephem/blkback-ephem}"
RESULTS=$LOGS/results
CONTROL=$RUN/control.sock
DAEMON_LOG=$LOGS/daemon.log
CONSOLES=/var/log/xen/console
GUESTS=$LOGS/guests
FAILED=$LOGS/failed
DAEMON=
export EPHEM_CONTROL=$CONTROL
export PATH=$PROGRAMS:$PATH
mkdir -p "$GUESTS" "$POOL" "$LOGS"
touch "$RESULTS"

# ---- results ----

say() { echo "BED: $*" >"$BED_CONSOLE"; }

# One sentence for whoever watches the demo
story() { say "story $*"; }

# report WORDS: a line that the host must get. It has a number, and is on the logs' disk, too: see results.sh
report() {
	local line=${*//[$'\r\n']/ }
	echo "$line" >>"$RESULTS"
	say "$(wc -l <"$RESULTS") $line"
}

pass() {
	echo "pass $case/$1"
	report "pass $case/$1"
}

fail() {
	local name=$1
	shift
	echo "fail $case/$name $*"
	report "fail $case/$name $*"
	touch "$FAILED"
}

# check NAME COMMAND...: one sub-check; what the command says is in the case's log
check() {
	local name=$1
	shift
	echo "--- $name: $*"
	if "$@"; then pass "$name"; else fail "$name" "($*)"; fi
}

# is NAME GOT EXPECTED
is() {
	if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got '$2', expected '$3'"; fi
}

die() {
	say "fatal $*"
	save_logs
	echo o >/proc/sysrq-trigger
	sleep 60
}

not() { ! "$@"; }

now() {
	local up
	read -r up _ </proc/uptime
	echo "${up%%.*}"
}

# wait_for SECONDS WHAT COMMAND...: asks less often as time goes by, for asking costs the CPU that is waited for
wait_for() {
	local end=$(($(now) + $1)) what=$2 pause=1
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$(now)" -ge "$end" ]; then
			echo "waited in vain for $what"
			return 1
		fi
		sleep "0.$pause"
		[ "$pause" = 8 ] || pause=$((pause + 1))
	done
}

# ---- guests ----

# guest_config NAME MEMORY SCRIPT ARGS DISK...: SCRIPT is guest/SCRIPT.sh, ARGS go to its command line;
# VCPUS is how many it has, and so how many queues its disks; TYPE is pvh or pv
guest_config() {
	local name=$1 memory=$2 script=$3 args=$4 disks='' d
	shift 4
	for d in "$@"; do disks="$disks '$d',"; done
	cat >"$GUESTS/$name.cfg" <<-END
		name = "$name"
		type = "${TYPE:-pvh}"
		memory = $memory
		vcpus = ${VCPUS:-1}
		kernel = "$BED/vmlinuz"
		ramdisk = "$BED/guest.cpio"
		cmdline = "console=hvc0 quiet panic=5 mitigations=off bed.name=$name bed.run=$script $args"
		on_crash = "destroy"
		on_reboot = "destroy"
		disk = [ $disks ]
	END
}

# ephemeral VDEV TARGET: a disk line for the product
ephemeral() { echo "backendtype=tap,format=raw,vdev=$1,access=rw,script=$SCRIPT,target=$2"; }

# boot_base FILE [HOST-FILE GUEST-FILE]...: the guests' root with kernel and initramfs in /boot, and more files
boot_base() {
	local base=$1
	shift
	cp --sparse=always "$BED/bases/root.img" "$base"
	(cd "$BED" && sha256sum vmlinuz guest.cpio | sed 's|  |  /boot/|') >"$base.sums"
	set -- "$BED/vmlinuz" vmlinuz "$BED/guest.cpio" guest.cpio "$base.sums" sums "$@"
	while [ $# -gt 0 ]; do
		echo "write $1 /boot/$2"
		shift 2
	done | debugfs -w -f - "$base"
	rm "$base.sums"
}

guest_log() { echo "$CONSOLES/guest-$1.log"; }
# kernel_block VDEV FILE [ro]: a disk line for the kernel's blkback on a loop device
kernel_block() {
	echo "format=raw,backendtype=phy,vdev=$1,access=${3:-rw},script=$BED/bed-block,target=$2"
}

guest_domid() { cat "$GUESTS/$1.domid"; }
# WORDS are the beginning of a line, or with a $ all of it; a console has CR beside LF, Linux' before, GRUB's behind
guest_said() { grep -q "^"$'\r*'"GUEST: ${2/%\$/$'\r*$'}" "$CONSOLES/guest-$1.log"; }
guest_start() {
	: >"$(guest_log "$1")"
	rm -f "$GUESTS/$1.domid"
	xl create -q "$GUESTS/$1.cfg" && xl domid "$1" >"$GUESTS/$1.domid"
}

# What xl says is in /run/xl.out too. Not "cmd | tee": the status counts
guest_start_logged() {
	local status=0
	guest_start "$1" >/run/xl.out 2>&1 || status=$?
	cat /run/xl.out
	return "$status"
}

# guest_gone asks xenstore, much cheaper here than xl; guest_absent asks Xen, also for one that never started
guest_gone() { ! { [ -e "$GUESTS/$1.domid" ] && xenstore-exists "/local/domain/$(guest_domid "$1")"; }; }
guest_absent() { ! xl domid "$1"; }

# guest_wait NAME SECONDS WORDS: until the guest has said so on its console, or has gone without
guest_wait() {
	local limit=$2 name=$1 words=$3
	wait_for "$limit" "$name to say '$words'" guest_said_or_gone "$name" "$words"
	guest_said "$name" "$words"
}

guest_said_or_gone() { guest_said "$1" "$2" || guest_gone "$1"; }
guest_wait_exit() { wait_for "$2" "$1 to power off" guest_gone "$1"; }

# guest_tell NAME WORD: one line on the guest's console; its script waits for it in hold() or beats()
guest_tell() { echo "$2" >"$(xenstore-read "/local/domain/$(guest_domid "$1")/console/tty")"; }

# guest_results NAME: the guest's own sub-checks become ours
guest_results() {
	local verdict name text
	while read -r _ verdict name text; do
		case $verdict in
		pass) pass "$1-$name" ;;
		fail) fail "$1-$name" "$text" ;;
		esac
	done < <(tr -d '\r' <"$(guest_log "$1")" | grep '^GUEST: \(pass\|fail\) ')
}

# guest_beats NAME: the guest's endless writer makes progress (it verifies what it reads back)
guest_last_beat() { tr -d '\r' <"$(guest_log "$1")" | sed -n 's/^GUEST: beat \([0-9]*\)$/\1/p' | tail -n 1; }
guest_beats_beyond() { [ "$(guest_last_beat "$1")" -ge "$2" ]; }
guest_beats() {
	local name=$1 first
	first=$(guest_last_beat "$name")
	wait_for 60 "$name to be served" guest_beats_beyond "$name" $((${first:-0} + 3)) && ! guest_said "$name" fail
}

# ---- the product ----

# Ours only, should others run on this host
workers() {
	local pid
	for pid in $(pgrep -x blkback-ephem); do
		[ "$(readlink "/proc/$pid/exe")" != "$WORKER" ] || echo "$pid"
	done | sort -n
}

# new_workers OLD: the processes that OLD, an earlier list of workers, did not have
new_workers() { comm -13 <(sort <<<"$1") <(workers | sort) | sort -n | xargs; }

# main_worker PIDS: the one of a guest's processes that is no child of another
main_worker() {
	local pid parent
	for pid in $1; do
		parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
		[[ " $1 " = *" $parent "* ]] || echo "$pid"
	done
}

# Does any of the processes still exist?
alive() {
	local pid
	for pid in "$@"; do [ ! -e "/proc/$pid" ] || return 0; done
	return 1
}
no_workers() { [ -z "$(workers)" ]; }

# The pool files that processes hold, by way of /proc since they have no name
pool_files() {
	local pid
	for pid in "$@"; do find "/proc/$pid/fd" -lname "$POOL/*" || true; done
}

# status_number NAME KEY: a figure of a guest in ephemctl's JSON
status_number() { ephemctl status "$1" --json | sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" | head -n 1; }

daemon_up() { [ -S "$CONTROL" ] && ephemctl list; }
daemon_start() {
	[ -x "$PROGRAMS/blkback-ephemd" ] || { echo "no blkback-ephemd in this image"; return 1; }
	"$PROGRAMS/blkback-ephemd" --pool "dir:$POOL" --worker "$WORKER" --run-dir "$RUN" --state-dir "$STATE" \
		--config-dir "$CONFIG" "$@" \
		</dev/null >>"$DAEMON_LOG" 2>&1 &
	DAEMON=$!
	wait_for 20 "the daemon" daemon_up
}

daemon_stop() { # [SIGNAL]
	[ -n "$DAEMON" ] || return 0
	kill "-${1:-TERM}" "$DAEMON"
	wait_for 30 "the daemon to end" not kill -0 "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	DAEMON=
}

# ---- what may not be left over ----

# Every process that has PATH or something below it open, also if it is unlinked
openers() {
	find /proc/[0-9]*/fd -lname "$1*" 2>/dev/null | cut -d/ -f3 | sort -un
}
closed() { [ -z "$(openers "$1")" ]; }
fds() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

# Domains that are dying but cannot go because somebody still maps their pages
zombies() { xl list | awk 'NR > 1 && ($1 == "(null)" || $5 ~ /d/)'; }
no_zombies() { [ -z "$(zombies)" ]; }

event_channels() { lsevtchn 0 | wc -l; }
aio_contexts() { cat /proc/sys/fs/aio-nr; }

# What Xen has logged; in the bed since the last time, but a host's own log is not ours to clear
xen_log() {
	if [ -n "${BED_LOGS:-}" ]; then xl dmesg -c | tee -a "$LOGS/xen.log"; else xl dmesg; fi
}

# Grants of domain $1 that are in use, by Xen's own table, its last; 0 when the domain has gone
grants() {
	xen_log >/dev/null
	xl debug-keys g
	xen_log | awk -v remote="d$1" "/key 'g' pressed/ { n = ours = 0 }"'
		/grant-table for remote/ { ours = $5 == remote } ours && /\[0x/ { n++ } END { print n + 0 }'
}

backends_gone() { [ -z "$(xenstore-list "/local/domain/0/backend/vbd3/$1" 2>/dev/null)" ]; }

# When a guest has gone nothing of it is left: NAME DOMID WORKER-PIDS
check_gone() {
	local name=$1 domid=$2 pids=$3
	# shellcheck disable=SC2086 # a list
	check "$name-worker-gone" wait_for 10 "the worker to go" not alive $pids
	check "$name-backend-gone" wait_for 10 "the backend directory to go" backends_gone "$domid"
	check "$name-no-zombie" wait_for 20 "the domain to go" no_zombies
	is "$name-grants" "$(grants "$domid")" 0
}

# check_product_gone CHANNELS: the end of a case whose guests have gone. The daemon stops, and nothing is left of
# what it had; CHANNELS is what event_channels said before it started, when the kernel's log was marked
check_product_gone() {
	check daemon-stops daemon_stop
	check bases-closed closed "$BED/bases/"
	check pool-closed closed "$POOL"
	is event-channels "$(event_channels)" "$1"
	check kernel-log kernel_log_clean
	sync
	report "absent $case $seed"
}

# The kernel's log goes to a file and is cleared; but a host's own is not ours to clear, and gets a line as a mark
kernel_log() {
	if [ -n "${BED_LOGS:-}" ]; then dmesg -x -c >>"$LOGS/kernel.log"; else dmesg -x >"$LOGS/kernel.log"; fi
}

# New lines in dom0's kernel log that tell of trouble
kernel_log_clean() {
	kernel_log
	if [ -n "${BED_LOGS:-}" ]; then tail -n "+$((${kernel_mark:-0} + 1))" "$LOGS/kernel.log"; else sed "1,/$kernel_mark/d" "$LOGS/kernel.log"; fi >/run/kernel.new
	! grep -E '^[a-z0-9]+ *:(emerg|alert|crit|err) |BUG|WARNING|Oops|Call Trace|hung task|I/O error' /run/kernel.new
}
kernel_log_mark() {
	kernel_log
	if [ -n "${BED_LOGS:-}" ]; then
		kernel_mark=$(wc -l <"$LOGS/kernel.log")
	else
		kernel_mark="blkback-ephem tests begin $$ $RANDOM"
		echo "$kernel_mark" >/dev/kmsg
	fi
}

# marker_hits SEED FILE...: how often the marker of SEED stands in the files (holes are skipped)
marker_hits() {
	local seed=$1
	shift
	printf %s "$seed" | sha256sum | perl "$BED/search.pl" "$@"
}

# ---- running cases ----

save_logs() {
	[ -n "${BED_LOGS:-}" ] || return 0
	{ xen_log >/dev/null; kernel_log; } 2>/dev/null
	tar -C /var/log -cf "$BED_LOGS" bed xen 2>/dev/null
	sync
}

tail_of() {
	[ -s "$1" ] || return 0
	echo "BED| ---- ${1##*/} ----"
	tail -n "$2" "$1" | tr -d '\r' | sed 's/^/BED| /'
}

show_failure() {
	local f
	save_logs
	tail_of "$LOGS/$1.log" 30
	tail_of "$DAEMON_LOG" 20
	tail_of "$LOGS/kernel.log" 10
	tail_of "$LOGS/xen.log" 10
	while read -r f; do tail_of "$f" 12; done < <(find /var/log/xen -name '*.log' -newer "$LOGS/begun")
	xl list | sed 's/^/BED| /'
}

clean_up() {
	local d pid
	for d in "$GUESTS"/*.cfg; do
		[ ! -e "$d" ] || guest_absent "$(basename "$d" .cfg)" >/dev/null 2>&1 || xl destroy "$(basename "$d" .cfg)"
	done
	for pid in $(pgrep -f "^$PROGRAMS/blkback-ephemd .*--run-dir $RUN") $(workers) $(pgrep -f "^$PROGRAMS/ephem-guard"); do kill -9 "$pid"; done
	rm -f "$CONTROL"
}

# Ends by its own fault or by the limit: then the case fails, and the next starts on clean ground.
run_case() {
	local case=$1 start
	start=$(now)
	say "case $case"
	rm -f "$FAILED"
	touch "$LOGS/begun"
	if [ -e "$BED/cases/$case.sh" ]; then
		timeout -k 120 "$CASE_LIMIT" bash -eu -c ". $BED/lib.sh; case=$case; . $BED/cases/$case.sh" \
			</dev/null >"$LOGS/$case.log" 2>&1 ||
			fail ended "status $? (124: limit of $CASE_LIMIT virtual s)" >/dev/null
	else
		fail ended "there is no such case" >/dev/null
	fi
	[ ! -e "$FAILED" ] || show_failure "$case"
	clean_up >>"$LOGS/$case.log" 2>&1
	report "done $case $(($(now) - start)) virtual s"
	save_logs
}
