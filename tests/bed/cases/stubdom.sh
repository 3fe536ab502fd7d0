# shellcheck shell=bash disable=SC2153,SC2034 # SEED is the run's, seed the case's; what pair.sh needs
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stubdom - HVM guests whose device model runs in a stub domain, set up as sys-net and sys-usb are in Qubes OS: kernel
# and initramfs on a read-only disk of the kernel's blkback, all other disks ephemeral. Both domains have them at
# once, as doors onto the same volumes. The stub domain crashes, then the guest is destroyed; in the long form others are
# destroyed at work, and both at once; and domains that only say they belong to the guest get nothing.

. "$BED/pair.sh"
seed=$SEED-stubdom
dir=/var/lib/stubdom
mkdir -p "$dir"

# stubdom_config NAME: the documented example with the paths here. The guest waits for no device that nobody serves.
stubdom_config() {
	sed -e "s|^name = .*|name = \"$1\"|" -e "s|=/srv/bases/private.img|=$BED/bases/data.img|" \
		-e "s|,target=/srv/bases/kernels.img|,script=bed-block,target=$dir/kernels.img|" \
		-e "s|=/srv/bases|=$BED/bases|" -e "s|/srv/stubdom|$BED|" -e "s|script=block-ephem|script=$SCRIPT|" \
		-e "/^cmdline/s|mitigations=off|& earlyprintk=xen agp=off iommu=off tsc=reliable initcall_blacklist=boot_wait_for_devices bed.name=$1 bed.run=stubdom bed.seed=$seed|" \
		"$BED/service-qube.cfg" >"$GUESTS/$1.cfg"
	cp -n "$BED/bed-block" /etc/xen/scripts/bed-block
}

backend() { xenstore-read "/local/domain/0/backend/vbd3/$1/$2" 2>/dev/null; }
connected() { [ "$(backend "$1" "$2/state")" = 4 ]; }

# The guest's loads, which verify, go on
moves() {
	local before
	ask moved || return 1
	before=$answer
	wait_for 60 "the loads" moved_beyond $((before + 200))
}
moved_beyond() { ask moved && [ "$answer" -gt "$1" ]; }

# ---- domains that only say they belong to the guest ----

# A domain that waits, without disks; its node target names the guest, by whom it is told
forger_start() {
	guest_config forger 128 smoke ""
	xl create -p -q "$GUESTS/forger.cfg" && xl domid forger >"$GUESTS/forger.domid"
}
forge() { # DOMID OWNER: the node is OWNER's to write
	xenstore-write "/local/domain/$1/target" "$domid" && xenstore-chmod "/local/domain/$1/target" "n$2" "r$1"
}
# It gets no disk, and why is told
gets_nothing() {
	local forger words=$1
	forger=$(guest_domid forger)
	not timeout 120 xl block-attach forger "$(ephemeral xvda "$BED/bases/root.img")" || return 1
	grep -q "domain $forger says that it is a stub domain .*$words.*it gets no disk" "$DAEMON_LOG" || return 1
	[ "$(workers | xargs)" = "$pids" ] && xl block-detach forger xvda --force
	wait_for 20 "its backend to go" backends_gone "$forger"
}

# start_pair NAME: guest, domid and stub are set; the guest's loads run on xvda and xvdb
start_pair() {
	guest=$1
	stubdom_config "$guest" ""
	check "$guest-create" guest_start "$guest"
	domid=$(guest_domid "$guest")
	stub=$(stub_of "$domid")
	orders=0 asked=0 answer=
	check "$guest-loaded" guest_wait "$guest" 600 loaded
	echo "stub domain: $(node "$stub" data/said); $(node "$stub" data/qemu)"
	pids=$(workers | xargs)
	check "$guest-disks-of-both" both_connected
	is "$guest-one-worker" "$(main_worker "$pids" | wc -w)" 1
}

# all_gone: of the guest and its stub domain nothing is left
all_gone() {
	check_gone "$guest" "$domid" "$pids"
	check "$guest-stub-backend-gone" wait_for 10 "the backend directory to go" backends_gone "$stub"
	is "$guest-stub-grants" "$(grants "$stub")" 0
	check "$guest-bases-closed" closed "$BED/bases/"
	check "$guest-pool-closed" closed "$POOL"
	check "$guest-nothing-listed" [ -z "$(ls -A "$RUN/workers")" ]
}

both_connected() {
	local disk
	for disk in 51712 51728 51744; do connected "$domid" $disk && connected "$stub" $disk || return 1; done
}
crashed() { xl list "$stub" | awk 'NR == 2 { exit $5 !~ /c/ }'; }
crash_seen() { wait_for 120 "Xen to see the crash" crashed || { xl list; xl dmesg | tail -n 20; return 1; }; }

kernel_log_mark
channels=$(event_channels)
check kernels make_kernels
check daemon daemon_start --threads 2 --verbose

start_pair first
is stub-of "$(node "$stub" target)" "$domid"
check stub-is-known grep -q "guest $domid: domain $stub is its stub domain" "$DAEMON_LOG"
is kernels-left-to-blkback "$(xenstore-read "/local/domain/0/backend/vbd/$domid/51776/state")" 4
check coherent-xvdb to_and_fro xvdb 8000
check coherent-xvdc to_and_fro xvdc 20000
check still-both both_connected
# shellcheck disable=SC2086 # lists
files=$(pool_files $pids)
check pool-file-found [ -n "$files" ]
# shellcheck disable=SC2086
is pool-without-marker "$(marker_hits "$seed" $files)" 0

check forger forger_start
forger=$(guest_domid forger)
check target-of-its-own forge "$forger" "$forger"
check forged-target-gets-nothing gets_nothing "others than dom0 may write that"
check stub-of-nobody forge "$forger" 0
check other-stub-gets-nothing gets_nothing "that guest has no such stub domain"
check forger-ends xl destroy forger
for path in target "/local/domain/$domid/image/device-model-domid"; do
	check "xenstore-keeps-${path##*/}" gets refused order forge "$path" "$forger"
done
check coherent-still to_and_fro xvdb 8001

check guest-ends ask end
check power-off guest_wait_exit first 300
guest_results first
check end guest_said first end
all_gone

start_pair crashing
give crash
check crash-seen crash_seen
check crash-loads-go-on moves
check crash-same-worker [ "$(workers | xargs)" = "$pids" ]
check crash-destroy xl destroy crashing
all_gone

if [ -n "$LONG" ]; then
	start_pair destroyed
	check destroyed-loads moves
	check destroyed-destroy xl destroy destroyed
	all_gone

	start_pair parted
	check parted-loads moves
	xl destroy "$stub" &
	stub_destroyer=$!
	check parted-destroy xl destroy parted
	wait "$stub_destroyer" || true
	check parted-gone guest_gone parted
	all_gone
fi

check daemon-stops daemon_stop
check bases-closed closed "$BED/bases/"
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm -r "$dir"
sync
report "absent stubdom $seed"
