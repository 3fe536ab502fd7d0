# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# attach - disks by `ephemctl attach` and `detach`, for a guest whose toolstack knows nothing of them: xl of any release,
# the one before 4.19 that refuses backendtype=tap, too. The guest has a read-only root from the kernel's blkback, and
# gets disks while it is paused and while it runs; they go when asked for, when the guest lets go late, by force, and
# with the guest; when xl gives the guest another on the same device, that is the one it has. What is refused is refused
# in one line. Nothing is left, each time.

seed=$SEED-attach
root=$BED/bases/root.img
data=$BED/bases/data.img
guest_config attach 256 attach "bed.seed=$seed" "$(kernel_block xvda "$root" | sed 's/access=rw/access=ro/')"
# A device number, as xenstore has it
declare -A number=([xvda]=51712 [xvdb]=51728 [xvdc]=51744 [xvdd]=51760 [xvde]=51776)
backend() { echo "/local/domain/0/backend/vbd3/$domid/${number[$1]}"; }

# Nothing of the disk in any folder
no_nodes() {
	local path
	for path in "$(backend "$1")" "/local/domain/$domid/device/vbd/${number[$1]}" "/libxl/$domid/device/vbd/${number[$1]}" \
		"/local/domain/0/error/backend/vbd3/$domid/${number[$1]}"; do
		! xenstore-exists "$path" || { echo "$path is there"; return 1; }
	done
}
pool_empty() { [ -z "$(find "$POOL" -mindepth 1)" ] && closed "$POOL/"; }

# xl's own disk on the same device, of the kernel's blkback, over a file in memory: the guest's marker is there in
# plaintext, and belongs on no disk
theirs=/run/theirs.img
xls_backend() { echo "/local/domain/0/backend/vbd/$domid/${number[$1]}"; }
xl_takes() { xl block-attach attach "$(kernel_block "$1" "$theirs")"; }
ours_is_closed() { [ "$(xenstore-read "$(backend "$1")/state")" = 6 ]; }
was_written() { ! cmp -n 1048576 /dev/zero "$theirs"; }

# refused NAME WORDS COMMAND...: one line with those words and status 1, or 2 for what is no disk at all
refused() {
	local name=$1 words=$2 status=0
	shift 2
	"$@" >/run/refused.out 2>/run/refused.err || status=$?
	cat /run/refused.out /run/refused.err
	check "$name-refused" [ "$status" = 1 ]
	is "$name-lines" "$(wc -l </run/refused.err) $(wc -c </run/refused.out)" "1 0"
	check "$name-says-why" grep -qF -- "$words" /run/refused.err
}

# attached NAME VDEV TARGET: connected when the command ends, not a moment later
attached() {
	local state
	ephemctl attach attach "$2" "$3" --wait 60 >/run/attach.out
	state=$(xenstore-read "$(backend "$2")/state")
	cat /run/attach.out
	is "$1-attach" "$(cat /run/attach.out)" "guest $domid attach: $2 attached"
	is "$1-connected" "$state" 4
}
# detached NAME VDEV [OPTION]
detached() {
	local name=$1
	shift
	check "$name-detach" ephemctl detach attach "$@"
	check "$name-no-nodes" no_nodes "$1"
}
# all_gone NAME PIDS: of the guest's only disk
all_gone() {
	# shellcheck disable=SC2086 # a list
	check "$1-worker-gone" wait_for 10 "the worker to go" not alive $2
	check "$1-pool-empty" wait_for 5 "the pool to be empty" pool_empty
	check "$1-base-closed" closed "$data"
	check "$1-not-listed" not_listed
}
not_listed() { ! ephemctl list | grep -E "^$domid "; }
listed() { ephemctl list | awk -v d="$domid" '$1 == d { print $4 }' | sort | xargs; }

# What this xl makes of a disk line that names our script
tap() {
	domid=0
	guest_config tap 128 attach "" "$(ephemeral xvdb "$data")"
	echo "xl of Xen $(xl info xen_version)"
	if [ "$(xl info xen_major)" = 4 ] && [ "$(xl info xen_minor)" -lt 19 ]; then
		check tap-refused not guest_start_logged tap
		check tap-says-so grep -qF "no suitable backend for disk xvdb" /run/xl.out
		sed 's/^/BED| xl: /' /run/xl.out >"$BED_CONSOLE"
	else
		check tap-known guest_start_logged tap
		check tap-destroy xl destroy tap
	fi
	check tap-no-guest guest_absent tap
	check tap-no-worker wait_for 10 "the worker to go" no_workers
}

# xl gives the guest a disk on a device that has one of ours: the guest gets xl's, and ours never takes its ring
taken_paused() {
	truncate -s 16M "$theirs"
	check taken-attach ephemctl attach attach xvde blank:32M --wait 0
	check taken-xl xl_takes xvde
	check taken-ours-closed wait_for 10 "our xvde to be closed" ours_is_closed xvde
	check taken-not-written not was_written
}
taken_used() {
	check taken-used guest_wait attach 240 used-xvde
	check taken-is-xls was_written
	is taken-connected "$(xenstore-read "$(xls_backend xvde)/state") $(xenstore-read "$(backend xvde)/state")" "4 6"
	ephemctl detach attach xvde >/run/detach.out
	is taken-detach "$(cat /run/detach.out)" "guest $domid attach: xvde detached; xl's own of that name stays"
	check taken-ours-gone not xenstore-exists "$(backend xvde)"
	check taken-frontend-stays xenstore-exists "/local/domain/$domid/device/vbd/${number[xvde]}/state"
	is taken-stays-connected "$(xenstore-read "$(xls_backend xvde)/state")" 4
	refused taken-not-ours "xl block-detach $domid xvde" ephemctl detach attach xvde --force
	guest_tell attach go
	check taken-on guest_wait attach 60 on-xvde
	check taken-xl-detach xl block-detach attach xvde
	check taken-lost guest_wait attach 60 lost-xvde
	check taken-no-nodes no_nodes xvde
}

# Built, not started: it finds the disk when it starts
paused() {
	: >"$(guest_log attach)"
	check create xl create -q -p "$GUESTS/attach.cfg"
	xl domid attach >"$GUESTS/attach.domid"
	domid=$(guest_domid attach)
	refused missing-base /run/none ephemctl attach attach xvdb /run/none
	check missing-base-no-nodes no_nodes xvdb
	check missing-base-no-worker wait_for 10 "the worker to go" no_workers
	refused no-device "'xvd'" ephemctl attach attach xvd blank:16M
	refused root-taken "has a xvda already" ephemctl attach attach xvda blank:16M
	refused root-not-ours "xl block-detach $domid xvda" ephemctl detach attach xvda
	check paused-attach ephemctl attach "$domid" xvdc blank:16M --wait 0 --json >/run/attach.out
	check paused-not-connected grep -q '"connected": *false' /run/attach.out
	is paused-listed "$(listed)" xvdc
	taken_paused
	pids=$(workers | xargs)
	check paused-unpause xl unpause attach
	taken_used
	check paused-used guest_wait attach 240 used-xvdc
	is paused-connected "$(xenstore-read "$(backend xvdc)/state")" 4
	detached paused xvdc
	check paused-lost guest_wait attach 60 lost-xvdc
	all_gone paused "$pids"
	check paused-not-there not ephemctl detach attach xvdc
}

# What the verbs say of it, and xl
told() {
	ephemctl list >/run/list.out
	ephemctl status attach >/run/status.out
	ephemctl scan attach >/run/scan.out
	audited=0
	ephemctl audit attach >/run/audit.out || audited=$?
	cat /run/list.out /run/status.out /run/scan.out /run/audit.out
	check list-tells grep -qE "^$domid +attach +$(main_worker "$pids") +xvdb +Connected .* w +$data\$" /run/list.out
	check status-tells grep -qE '^  xvdb +Connected' /run/status.out
	check status-written [ "$(status_number attach blocks)" -ge 1024 ]
	check scan-tells-xvda grep -qE '^  xvda +read-only' /run/scan.out
	check scan-tells-xvdb grep -qE "^  xvdb +ephemeral +over $data\$" /run/scan.out
	check audit-status [ "${audited/3/0}" = 0 ]
	is audit-fails "$(grep -cE '^  (FAIL|unknown) ' /run/audit.out)" 0
	check audit-tells-disk grep -qE '^  ok +disk xvdb' /run/audit.out
	check audit-tells-base grep -qE '^  ok +base xvdb' /run/audit.out
	is xl-does-not-know "$(xl block-list attach | awk 'NR > 1 { print $1 }' | xargs)" "${number[xvda]}"
}

# A guest that does not answer keeps its disk, and loses it when it answers
running() {
	local files
	attached running xvdb "$data"
	pids=$(workers | xargs)
	check running-mounted guest_wait attach 240 mounted-xvdb
	# shellcheck disable=SC2086 # lists
	files=$(pool_files $pids)
	check pool-file-found [ -n "$files" ]
	# shellcheck disable=SC2086
	is pool-without-marker "$(marker_hits "$seed" $files)" 0
	# shellcheck disable=SC2086 # 4 MiB and more, or nothing was searched
	check pool-holds-data [ "$(stat -L -c %b $files | awk '{ n += $1 } END { print n + 0 }')" -ge 8192 ]
	told
	refused twice "has a xvdb already" ephemctl attach attach xvdb blank:16M
	is twice-listed "$(listed)" xvdb
	xl pause attach
	refused late "the guest uses the disk still" ephemctl detach attach xvdb
	is late-still-served "$(listed)" xvdb
	xl unpause attach
	check late-lost guest_wait attach 60 lost-xvdb
	check late-backend-gone wait_for 20 "the backend to go" not xenstore-exists "$(backend xvdb)"
	all_gone late "$pids"

	attached again xvdb "$data"
	pids=$(workers | xargs)
	check again-unmounted guest_wait attach 120 unmounted-xvdb
	detached again xvdb
	check again-lost guest_wait attach 60 lost-again
	all_gone again "$pids"
}

ended() {
	attached busy xvdb blank:64M
	attached other xvdd "$data"
	pids=$(workers | xargs)
	check busy guest_wait attach 240 busy
	is busy-listed "$(listed)" "xvdb xvdd"
	detached forced xvdb --force
	is forced-listed "$(listed)" xvdd
	guest_tell attach go
	check forced-other-goes-on guest_wait attach 120 at-work
	check destroy xl destroy attach
	guest_results attach
	check_gone attach "$domid" "$pids"
	check destroyed-no-nodes no_nodes xvdd
	check destroyed-no-libxl not xenstore-exists "/libxl/$domid"
	all_gone destroyed "$pids"
}

kernel_log_mark
channels=$(event_channels)
check daemon daemon_start --threads 2 --verbose
refused no-domain "no domain 'nobody'" ephemctl attach nobody xvdb blank:16M
refused no-domid "no domain '77'" ephemctl attach 77 xvdb blank:16M
tap
paused
running
ended
check_product_gone "$channels"
