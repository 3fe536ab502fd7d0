# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sandbox - what a worker is on a real dom0: its control group, namespaces, root and capabilities; and
# what becomes of it when it is made to do what a guest would do that has taken it over (tests/sim/inject.c).
# Two guests write and verify all the time.
#
#   left    its worker binds an event channel of right's: refused, and it serves on; then it opens a
#           file, and is dead, and left's disks with it
#   right   does not notice

seed=$SEED-sandbox
inject=/usr/lib/blkback-ephem-tests/inject
groups=/sys/fs/cgroup/blkback-ephem
for g in left right; do
	guest_config "$g" 256 writer "bed.seed=$seed" \
		"$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdb "$BED/bases/data.img")"
done

started() {
	check "$1-create" guest_start "$1"
	check "$1-named" guest_wait "$1" 240 named
	guest_tell "$1" go
	check "$1-beats" guest_beats "$1"
}

status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
group_of() { find "$groups" -maxdepth 1 -name "guest-$(guest_domid "$1")-*"; }
limit_of() { cat "$(group_of "$1")/$2"; }
limits_of() {
	local file
	for file in cpu.weight pids.max memory.max memory.swap.max; do limit_of "$1" "$file"; done | xargs
}
. "$BED/account.sh"
# A worker and its undertaker
members() { sort -n "$(group_of "$1")/cgroup.procs" | xargs; }
# As a service manager leaves them that takes the controllers away and gives them back.
limits_lose() {
	local file
	for file in pids.max memory.max memory.swap.max; do echo max >"$(group_of "$1")/$file"; done
}
no_groups() { [ -z "$(find "$groups" -maxdepth 1 -name 'guest-*')" ]; }

control_groups() {
	is daemon-group "$(cat "/proc/$DAEMON/cgroup")" 0::/blkback-ephem/daemon
	is daemon-weight "$(cat "$groups/daemon/cpu.weight")" 200
	is left-group-members "$(members left)" "$left $(pgrep -P "$left")"
	is right-group-members "$(members right)" "$right $(pgrep -P "$right")"
	is left-weight "$(limit_of left cpu.weight)" 100
	is left-pids "$(limit_of left pids.max)" 7
	is left-swap "$(limit_of left memory.swap.max)" 0
	# 256 MiB, 16 a thread, and of what the pool's file system has room for a 128th, and another one for tags
	local room most current
	room=$(stat -f -c '%b %S' "$POOL" | awk '{ print $1 * $2 }')
	most=$((((256 + 2 * 16) << 20) + room / 64))
	# and a 512th of its volumes besides
	check left-memory [ "$(limit_of left memory.max)" -gt $((most + (1 << 18))) ]
	check left-memory-is-bounded [ "$(limit_of left memory.max)" -lt $((most + (64 << 20))) ]
	current=$(limit_of left memory.current)
	echo "$current bytes in use"
	check left-memory-used [ "$current" -gt $((1 << 20)) ]
	check left-memory-is-far [ "$current" -lt $((most / 2)) ]
}

shut_in() {
	local space task
	for space in net ipc uts mnt cgroup; do
		check "namespace-$space" [ "$(readlink "/proc/$left/ns/$space")" != "$(readlink "/proc/self/ns/$space")" ]
		check "namespace-$space-its-own" [ "$(readlink "/proc/$left/ns/$space")" != "$(readlink "/proc/$right/ns/$space")" ]
	done
	is root "$(cut -d, -f1-4 "/proc/$left/mounts")" "none / tmpfs ro,nosuid,nodev,noexec"
	is root-empty "$(find "/proc/$left/root/" -mindepth 1 | wc -l)" 0
	for task in "/proc/$left/task"/*; do
		task=$left/task/${task##*/}
		is "status-${task##*/}" "$(status_of "$task" Seccomp) $(status_of "$task" Seccomp_filters) $(status_of "$task" NoNewPrivs) $(status_of "$task" CapEff) $(status_of "$task" Uid | cut -f1)" \
			"2 2 1 0000000000000000 $(worker_uid)"
	done
	is threads "$(find "/proc/$left/task" -mindepth 1 -maxdepth 1 | wc -l)" 4
}

# little-endian, as the requests have it
le32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24)); }

# A handle of left's worker may talk to left only; with its own domain the same request gets further.
foreign_channel() {
	local fd port
	fd=$(find "/proc/$left/fd" -lname /dev/xen/evtchn | head -n 1)
	port=$(xenstore-read "/local/domain/$(guest_domid right)/device/vbd/51728/event-channel" ||
		xenstore-read "/local/domain/$(guest_domid right)/device/vbd/51728/queue-0/event-channel")
	echo "descriptor $fd, port $port"
	is foreign-channel "$("$inject" "$left" ioctl "${fd##*/}" 0x00084501 "%$(le32 "$(guest_domid right)")$(le32 "$port")")" "= -13"
	is own-channel-taken "$("$inject" "$left" ioctl "${fd##*/}" 0x00084501 "%$(le32 "$(guest_domid left)")$(le32 "$port")")" "= -22"
	check left-beats-still guest_beats left
}

# What an operator is told of two guests who are well (warnings are this dom0's own), and of one of them with a disk of
# the kernel's besides.
audit() {
	audited=0
	ephemctl audit "$1" >/run/audit.out 2>&1 || audited=$?
	cat /run/audit.out
}
audit_rows() { sed -n "s/^  $1  *//p" /run/audit.out | sed 's/  .*//' | xargs; }
audit_well() { # NAME GUEST
	audit "$2"
	check "$1-status" [ "${audited/3/0}" = 0 ]
	is "$1-fails" "$(audit_rows FAIL)$(audit_rows unknown)" ""
	check "$1-bases" grep -q '^  ok       base xvdb' /run/audit.out
	check "$1-disks" grep -q '^  ok       disk xvda' /run/audit.out
}
audits() {
	audit_well audit-left left
	audit_well audit-right right
	truncate -s 64M "$BED/plain.img"
	check audit-attach xl block-attach right "$(kernel_block xvdc "$BED/plain.img")"
	audit right
	is audit-plain-status "$audited" 1
	is audit-plain-fails "$(audit_rows FAIL)" "disk xvdc"
	is audit-plain-unknown "$(audit_rows unknown)" ""
	audit_well audit-left-still left
	check audit-detach xl block-detach right xvdc
	audit_well audit-right-again right
}

taken_over() {
	local file
	# shellcheck disable=SC2086
	file=$(pool_files $right | head -n 1)
	check pool-of-right [ -n "$file" ]
	is open-a-pool "$("$inject" "$left" openat -100 "@$file" 2)" "killed by signal 31"
	check left-dead wait_for 20 "left's worker to end" not alive "$left"
	check log-says-why wait_for 20 "the log to say why" grep -q "worker $left was killed by its sandbox (signal 31)" "$DAEMON_LOG"
	check left-group-gone wait_for 20 "left's group to go" [ ! -e "$left_group" ]
	is no-other-worker "$(workers | xargs)" "$right"
	check right-beats-still guest_beats right
}

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --cgroup on --verbose
started left
left=$(workers)
started right
right=$(new_workers "$left")
left_group=$(group_of left)
control_groups
shut_in
audits
foreign_channel
taken_over
# Without its root it goes by itself, maybe before it can be told to.
guest_absent left || xl destroy left || true
check left-ends guest_wait_exit left 60
# The next daemon finds the groups, and is in its own.
check daemon-killed daemon_stop KILL
right_limits=$(limits_of right)
limits_lose right
check daemon-again daemon_start --threads 2 --cgroup on --verbose
is daemon-group-again "$(cat "/proc/$DAEMON/cgroup")" 0::/blkback-ephem/daemon
is right-group-again "$(members right)" "$right $(pgrep -P "$right")"
is right-limits-again "$(limits_of right)" "$right_limits"
check right-beats-on guest_beats right
guest_tell right stop
check right-power-off guest_wait_exit right 60
guest_results right
check_gone right "$(guest_domid right)" "$right"
check no-groups wait_for 20 "the groups to go" no_groups
check daemon-stops daemon_stop
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
