# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pvh - PVH guests on ephemeral, encrypted volumes, from attach to the last trace, on real Xen.
#
#   alpha         one full life: root, ext4, swap, fio, btrfs, trim; searched for its marker while it runs
#   alpha again   sees pristine volumes
#   beta, gamma   on the same bases at once; beta is destroyed in mid-I/O
#   delta         loses its worker; gamma does not notice
#   epsilon       is destroyed while there is no daemon; gamma is served throughout, and the restarted
#                 daemon takes its worker back
#   and what must be refused: no daemon, a bad base

root=/bed/bases/root.img
data=/bed/bases/data.img
seed=$SEED-pvh
size=short
raw=320M btrfs=136M swap=256M
if [ -n "$LONG" ]; then size=long raw=1G btrfs=1G swap=512M; fi

alpha_disks=("$(ephemeral xvda "$root")" "$(ephemeral xvdb "$data")" "$(ephemeral xvdc "blank:$swap")"
	"$(ephemeral xvdd "blank:$raw")" "$(ephemeral xvde "blank:$btrfs")")
guest_config alpha 384 pvh "bed.size=$size bed.seed=$seed bed.blkfront=max_ring_page_order=2,max_indirect_segments=256" "${alpha_disks[@]}"
guest_config alpha2 256 pristine "bed.size=$size bed.seed=$seed" "${alpha_disks[@]}"
for g in beta gamma delta epsilon; do
	guest_config "$g" 256 writer "bed.seed=$seed-$g" "$(ephemeral xvda "$root")" "$(ephemeral xvdb "$data")"
done

# start_writer NAME: as far as its own name on xvdb; sets domid and pids, its worker's processes
start_writer() {
	local before
	before=$(workers)
	check "$1-create" guest_start "$1"
	check "$1-named" guest_wait "$1" 240 named
	domid=$(guest_domid "$1")
	pids=$(new_workers "$before")
	check "$1-own-worker" [ -n "$pids" ]
}

one_life() {
	local domid pids files
	check create guest_start alpha
	check writes guest_wait alpha 900 written
	domid=$(guest_domid alpha)
	pids=$(workers | xargs)
	is one-worker "$(main_worker "$pids" | wc -w)" 1
	# shellcheck disable=SC2086 # lists
	files=$(pool_files $pids)
	check pool-file-found [ -n "$files" ]
	# shellcheck disable=SC2086
	is pool-without-marker "$(marker_hits "$seed" $files)" 0
	check pool-holds-data pool_is_written "$files"
	check large-ring grep -q 'connecting 1 queues of 4 pages' "$DAEMON_LOG"
	guest_tell alpha go
	check power-off guest_wait_exit alpha 300
	guest_results alpha
	check end guest_said alpha end
	check_gone alpha "$domid" "$pids"
	is pool-empty "$(find "$POOL" -mindepth 1 | wc -l)" 0
}

# At least what the guest wrote has reached the pool, or the search above has searched nothing.
pool_is_written() {
	# shellcheck disable=SC2086 # a list
	[ "$(stat -L -c '%b' $1 | awk '{ n += $1 } END { print int(n / 2048) }')" -ge 64 ]
}

second_start() {
	check second-create guest_start alpha2
	check second-power-off guest_wait_exit alpha2 300
	guest_results alpha2
	check second-end guest_said alpha2 end
}

same_base() {
	local domid pids start beta_pids beta_domid
	start_writer beta
	beta_pids=$pids beta_domid=$domid
	start_writer gamma
	gamma_pids=$pids
	guest_tell beta go
	guest_tell gamma go
	check beta-beats guest_beats beta
	check gamma-beats guest_beats gamma
	check both-names both_names

	# Destroy in mid-I/O
	guest_tell beta hard
	check beta-in-mid-io guest_wait beta 60 hard
	check beta-beats-harder guest_beats beta
	start=$(now)
	check destroy xl destroy beta
	check destroy-in-time [ $(($(now) - start)) -lt 10 ]
	check_gone beta "$beta_domid" "$beta_pids"
	check gamma-after-destroy guest_beats gamma
}
both_names() { guest_said beta 'pass reads-its-name' && guest_said gamma 'pass reads-its-name'; }

worker_killed() {
	local domid pids
	start_writer delta
	guest_tell delta go
	check delta-beats guest_beats delta
	check kill-worker kill -9 "$(main_worker "$pids")"
	check gamma-after-worker-killed guest_beats gamma
	# Its root is gone: it may have ended by itself before
	xl destroy delta || true
	check delta-ends wait_for 30 "delta to go" guest_gone delta
	check_gone delta "$domid" "$pids"
}

daemon_killed() {
	local domid pids
	start_writer epsilon
	guest_tell epsilon go
	guest_tell epsilon hard
	check epsilon-in-mid-io guest_wait epsilon 60 hard
	check epsilon-beats guest_beats epsilon
	check kill-daemon daemon_stop KILL
	check gamma-without-daemon guest_beats gamma
	check epsilon-without-daemon guest_beats epsilon
	xl destroy epsilon || true # nobody answers in the backend: libxl may say so
	check epsilon-domain-gone wait_for 30 "epsilon to go" guest_gone epsilon
	check restart daemon_start
	check gamma-after-restart guest_beats gamma
	# shellcheck disable=SC2086 # a list
	check gamma-same-worker alive $gamma_pids
	check_gone epsilon "$domid" "$pids"
	is workers-taken-back "$(workers | xargs)" "$(xargs <<<"$gamma_pids")"

	domid=$(guest_domid gamma)
	guest_tell gamma stop
	check gamma-power-off guest_wait_exit gamma 120
	guest_results gamma
	check gamma-end guest_said gamma end
	check_gone gamma "$domid" "$gamma_pids"
}

without_daemon() {
	local start
	guest_config orphan 256 pristine "" "$(ephemeral xvda "$root")"
	start=$(now)
	check refused-without-daemon not guest_start_logged orphan
	check refused-in-time [ $(($(now) - start)) -le 30 ]
	check refused-reported [ -s /run/xl.out ]
	check refused-no-guest guest_absent orphan
	check refused-no-zombie wait_for 20 "domains to go" no_zombies
}

# bad_base NAME TARGET WORD: refused, in words that name the thing where the toolstack shows them
bad_base() {
	local name=bad-base-$1
	guest_config bad 256 pristine "" "$(ephemeral xvda "$2")"
	check "$name-refused" not guest_start_logged bad
	check "$name-says-why" grep -qF "$3" /run/xl.out
	check "$name-no-guest" guest_absent bad
	check "$name-no-worker" wait_for 10 "the worker to go" no_workers
}

bad_bases() {
	mkdir -p /run/bases
	head -c 1000 /dev/zero >/run/bases/odd
	: >/run/bases/empty
	bad_base missing /run/bases/none /run/bases/none
	if [ -n "$LONG" ]; then
		bad_base directory /run/bases /run/bases
		bad_base empty /run/bases/empty /run/bases/empty
		bad_base odd /run/bases/odd /run/bases/odd
	fi
}

kernel_log_mark
channels=$(event_channels)
aio=$(aio_contexts)
without_daemon
check daemon daemon_start --threads 2 --verbose
[ -n "$DAEMON" ] || exit 1
daemon_fds=$(fds "$DAEMON")
one_life
check kernel-log kernel_log_clean
is daemon-fds "$(fds "$DAEMON")" "$daemon_fds"
second_start
same_base
worker_killed
daemon_killed
daemon_fds_after=$(fds "$DAEMON")
is daemon-fds-after-all "$daemon_fds_after" "$daemon_fds"
bad_bases
check daemon-stops daemon_stop
check no-workers no_workers
check bases-closed closed /bed/bases/
check pool-closed closed "$POOL"
is event-channels "$(event_channels)" "$channels"
is aio-contexts "$(aio_contexts)" "$aio"
is no-listing "$(xl list | tail -n +3 | wc -l)" 0
check kernel-log-after-all kernel_log_clean
sync
for g in '' -beta -gamma -delta -epsilon; do
	report "absent pvh$g $seed$g"
done
