# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# libvirt - ephemeral disks for guests of Debian's libvirt, whose disks can name no script: by `ephemctl attach`. A guest
# without a disk of its own is created paused, gets its root, and is resumed; xvdb comes and goes while it runs, and
# is there when it is destroyed. What libvirt knows of that: nothing. Then with docs/libvirt-hook as libvirt's hook:
# at each start, a reboot's too, and no start without the daemon; a guest that was saved is not restored.

seed=$SEED-libvirt
root=$BED/bases/root.img
data=$BED/bases/data.img
saved=/var/lib/libvirt-saved
disks=/etc/blkback-ephem/libvirt.disks
export LIBVIRT_DEFAULT_URI=xen:///system

# libvirt_config NAME ROLE SEED: no disk
libvirt_config() {
	cat >"$GUESTS/$1.xml" <<-END
		<domain type='xen'>
		  <name>$1</name>
		  <memory unit='MiB'>192</memory>
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='x86_64' machine='xenpv'>linux</type>
		    <kernel>$BED/vmlinuz</kernel>
		    <initrd>$BED/guest.cpio</initrd>
		    <cmdline>console=hvc0 quiet panic=5 mitigations=off bed.name=$1 bed.run=libvirt bed.seed=$3 bed.role=$2</cmdline>
		  </os>
		  <on_reboot>restart</on_reboot>
		  <on_crash>destroy</on_crash>
		  <devices><console type='pty'/></devices>
		</domain>
	END
}

# QEMU's processor has less than any that libvirt knows (no vme), and without a name for it libvirtd does not start
libvirtd_start() {
	sed -i "/<feature name='\(vme\|pse\)'\/>/d" /usr/share/libvirt/cpu_map/x86_486.xml
	libvirtd </dev/null >>"$LOGS/libvirtd.log" 2>&1 &
	libvirtd=$!
	wait_for 120 "libvirtd" virsh version
}
libvirtd_stop() {
	kill "$libvirtd"
	wait_for 60 "libvirtd to end" not kill -0 "$libvirtd"
	wait "$libvirtd" 2>/dev/null
	libvirtd=
}
# The bed's end knows xl's guests only
leave() {
	local name
	[ -z "$libvirtd" ] || kill "$libvirtd"
	for name in libvirt hooked; do guest_absent "$name" || xl destroy "$name"; done
}
trap leave EXIT
libvirtd=

create() { # NAME [OPTION]
	: >"$(guest_log "$1")"
	virsh create "$GUESTS/$1.xml" "${@:2}"
}
knows() { domid=$(xl domid "$1") && echo "$domid" >"$GUESTS/$1.domid"; }
state() { virsh domstate "$1" | head -n 1; }
# said NAME COMMAND...: its exit status is that of the command, what it says is in /run/said
said() {
	local status=0
	"$@" >/run/said 2>&1 || status=$?
	cat /run/said
	return "$status"
}
listed() { ephemctl list | awk -v d="$domid" '$1 == d { print $4 }' | sort | xargs; }
vbd_state() { xenstore-read "/local/domain/0/backend/vbd3/$domid/$1/state"; }
no_vbd() { # DEVID: neither end, and nothing of libxl's
	! xenstore-exists "/local/domain/0/backend/vbd3/$domid/$1" && ! xenstore-exists "/local/domain/$domid/device/vbd/$1" &&
		! xenstore-exists "/libxl/$domid/device/vbd/$1"
}
nothing_left() { # NAME
	check_gone "$1" "$domid" "$pids"
	check "$1-frontends-gone" not xenstore-exists "/local/domain/$domid"
	check "$1-pool-empty" wait_for 5 "the pool to be empty" pool_empty
	check "$1-bases-closed" closed "$BED/bases/"
	is "$1-not-listed" "$(listed)" ""
}
pool_empty() { [ -z "$(find "$POOL" -mindepth 1)" ] && closed "$POOL/"; }

# The disk is there before the guest's kernel looks
before_it_starts() {
	check create create libvirt --paused
	check domid knows libvirt
	is created-paused "$(state libvirt)" paused
	check root-attach said ephemctl attach libvirt xvda "$root" --wait 0
	check root-not-connected grep -qF "xvda attached; not connected yet" /run/said
	is root-listed "$(listed)" xvda
	check resume virsh resume libvirt
	check up guest_wait libvirt 240 up
	is root-connected "$(vbd_state 51712)" 4
}

while_it_runs() {
	check attach said ephemctl attach libvirt xvdb "$data" --wait 60
	is attach-told "$(cat /run/said)" "guest $domid libvirt: xvdb attached"
	pids=$(workers | xargs)
	check written-1 guest_wait libvirt 240 written-1
	told
	guest_tell libvirt go
	check unmounted-1 guest_wait libvirt 60 unmounted-1
	check detach ephemctl detach libvirt xvdb
	check detach-no-nodes no_vbd 51728
	check lost-1 guest_wait libvirt 60 lost-1
	is detached-listed "$(listed)" xvda
	check again-attach ephemctl attach libvirt xvdb "$data" --wait 60
	check written-2 guest_wait libvirt 240 written-2
	is again-same-worker "$(workers | xargs)" "$pids"
}

# What each side says of the disks
told() {
	local audited=0 files
	ephemctl list >/run/list.out
	check scan said ephemctl scan libvirt
	cp /run/said /run/scan.out
	ephemctl audit libvirt >/run/audit.out || audited=$?
	cat /run/list.out /run/audit.out
	is list-tells "$(awk -v d="$domid" '$1 == d { print $2, $4, $5 }' /run/list.out | sort | xargs)" \
		"libvirt xvda Connected libvirt xvdb Connected"
	check scan-xvda grep -qE "^  xvda +ephemeral +over $root\$" /run/scan.out
	check scan-xvdb grep -qE "^  xvdb +ephemeral +over $data\$" /run/scan.out
	is scan-nothing-else "$(grep -cE '^  xvd' /run/scan.out)" 2
	check audit-status [ "${audited/3/0}" = 0 ]
	is audit-fails "$(grep -cE '^  (FAIL|unknown) ' /run/audit.out)" 0
	is audit-disks "$(grep -cE '^  ok +disk xvd[ab]' /run/audit.out)" 2
	is libvirt-lists-none "$(virsh domblklist libvirt | grep -c xvd)" 0
	check libvirt-cannot-detach not said virsh detach-disk libvirt xvdb
	is still-connected "$(vbd_state 51728)" 4
	# shellcheck disable=SC2086 # lists
	files=$(pool_files $pids)
	check pool-found [ -n "$files" ]
	# shellcheck disable=SC2086
	is pool-without-marker "$(marker_hits "$seed" $files)" 0
}

destroyed() {
	check destroy virsh destroy libvirt
	guest_results libvirt
	nothing_left libvirt
}

# At each start, without a word from us
hooked() {
	check hooked-create create hooked
	check hooked-domid knows hooked
	check hooked-rooted guest_wait hooked 240 rooted
	pids=$(workers | xargs)
	is hooked-listed "$(listed)" xvda
	old_domid=$domid old_pids=$pids
	guest_tell hooked reboot
	check hooked-rebooted wait_for 240 "its second life" second_life
	guest_results hooked
	knows hooked
	pids=$(workers | xargs)
	check hooked-other-domain [ "$domid" != "$old_domid" ]
	# shellcheck disable=SC2086 # a list
	check hooked-other-worker wait_for 20 "the first worker to go" not alive $old_pids
	is hooked-listed-again "$(listed)" xvda
	is hooked-pristine-twice "$(grep -c '^GUEST: pass root-pristine' "$(guest_log hooked)")" 2
}
second_life() { [ "$(tr -d '\r' <"$(guest_log hooked)" | grep -c '^GUEST: rooted$')" = 2 ]; }

# Its memory is on dom0's disk then, and the marker in it: it has one of its own, which is not searched for
saved() {
	check save virsh save hooked "$saved"
	nothing_left saved
	check restore-refused not said virsh restore "$saved"
	check restore-says-why grep -q "was suspended: the key of its volumes is gone" /run/said
	check restore-no-guest wait_for 20 "it to go" guest_absent hooked
	check restore-no-worker wait_for 20 "the worker to go" no_workers
	rm -f "$saved"
}

no_daemon() {
	check daemon-stops-early daemon_stop
	check no-daemon-refused not said create hooked
	check no-daemon-says-why grep -q "not running" /run/said
	check no-daemon-no-guest wait_for 20 "it to go" guest_absent hooked
}

mkdir -p /etc/libvirt/hooks "${disks%/*}"
install -m 755 "$BED/libvirt-hook" /etc/libvirt/hooks/libxl
echo "hooked xvda $root" >"$disks"
libvirt_config libvirt disks "$seed"
libvirt_config hooked root "$SEED-hooked"
sums_before=$(sha256sum "$root" "$data")
kernel_log_mark
channels=$(event_channels)
check libvirtd libvirtd_start
virsh version >/dev/null || exit 1
check daemon daemon_start --threads 2 --verbose
before_it_starts
while_it_runs
destroyed
hooked
saved
no_daemon
check libvirtd-ends libvirtd_stop
is bases-unchanged "$(sha256sum "$root" "$data")" "$sums_before"
rm "$disks" /etc/libvirt/hooks/libxl
check_product_gone "$channels"
