# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# save - a guest on ephemeral volumes that is saved, restored and migrated on real Xen.  What is refused
# is the copy, whose memory would meet pristine volumes; the guest it was made of goes on, as long as
# the toolstack lets it, on the same worker and with all it has written.
#
# The guest is writer.sh: it is copied with a mounted file system and a page cache that is dirty, and reads
# its name there afterwards; then each beat writes a block and compares what it reads back. Its memory stands in the save files, on dom0's disk: no search for its marker here.

uuid=0e5ca1ed-5a4e-4d00-8000-00000000beef
copies=/var/lib/save
refusal="guest $uuid was suspended: the key of its volumes is gone"
mkdir -p "$copies"
guest_config walker 128 writer "bed.seed=$SEED-save" "$(ephemeral xvda /bed/bases/root.img)" \
	"$(ephemeral xvdb /bed/bases/data.img)"
echo "uuid = \"$uuid\"" >>"$GUESTS/walker.cfg"
record=$STATE/suspended/$uuid

# xl_logged COMMAND...: xl, with what it says in /run/xl.out too
xl_logged() {
	local status=0
	xl "$@" >/run/xl.out 2>&1 || status=$?
	cat /run/xl.out
	return "$status"
}

# goes_on NAME: the guest is where it was, on its worker, and beats
goes_on() {
	is "$1-domid" "$(xl domid walker)" "$domid"
	is "$1-worker" "$(workers | xargs)" "$pids"
	check "$1-beats" guest_beats walker
}

# refused_in NAME WORDS: in xl's own output, and in what the daemon logged since the last refusal
log_read=0
log_says() { tail -n "+$((log_read + 1))" "$DAEMON_LOG" | grep -F "$1"; }
refused_in() {
	check "$1-told-by-xl" grep -qF "$2" /run/xl.out
	check "$1-in-the-log" log_says "$2"
	log_read=$(wc -l <"$DAEMON_LOG")
}

migrate() { xl_logged migrate -s "" walker "xl migrate-receive"; }

check daemon daemon_start --threads 2
[ -n "$DAEMON" ] || exit 1
check create guest_start walker
check named guest_wait walker 240 named
domid=$(guest_domid walker)
pids=$(workers | xargs)
check no-record-before [ ! -e "$record" ]

check copy xl_logged save -c walker "$copies/copy"
check copy-recorded [ -e "$record" ]
check copy-logged grep -q "guest $domid ($uuid) is asked to suspend" "$DAEMON_LOG"
# It has just read its name back from the disk, past its page cache.
guest_tell walker go
goes_on copy
check copy-data guest_said walker 'pass reads-its-name'

# Migration to this host itself: the receiving end is refused, the sending end has its guest back.
check migrate-refused not migrate
refused_in migrate "is the receiving end of a migration"
check migrate-resumed grep -q "resuming at sender" /run/xl.out
goes_on migrate
check migrate-no-second [ "$(xl list | grep -c walker)" = 1 ]

check save xl_logged save walker "$copies/last"
check save-ended wait_for 30 "the guest to go" guest_gone walker
check_gone walker "$domid" "$pids"
check restore-refused not xl_logged restore "$copies/last"
refused_in restore "$refusal"
check restore-no-guest guest_absent walker
check restore-no-worker no_workers

# The record outlives the daemon; a new start needs the operator's word too.
check daemon-stops daemon_stop
check daemon-again daemon_start --threads 2
check copy-refused not xl_logged restore "$copies/copy"
refused_in copy-restored "$refusal"
check start-refused not guest_start_logged walker
refused_in start "$refusal"
check forget ephemctl forget "$uuid"
check forgotten [ ! -e "$record" ]
check start guest_start_logged walker
check start-named guest_wait walker 240 named
domid=$(guest_domid walker)
pids=$(workers | xargs)
check destroy xl destroy walker
check_gone again "$domid" "$pids"
check destroy-leaves-no-record [ ! -e "$record" ]
rm -rf "$copies"
check daemon-ends daemon_stop
