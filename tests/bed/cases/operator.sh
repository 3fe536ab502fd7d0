# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# operator - somebody's first hour: the package of dom0's release is installed with dpkg, and a guest of plain
# files becomes an ephemeral one by nothing but what docs/operator.md says. Each command of that page is run here by
# a line "ran NAME 'COMMAND'", and the page has to show the words that are printed.
#
# What is not as on a machine of one's own: dom0 has no systemd running, so the daemon is started by the words of the
# unit's ExecStart=; xl's own script for disks is too slow under emulation, and lib.sh's stands in for it.

seed=$SEED-operator
home=/root/operator
session=$LOGS/operator.session
# The package's
# shellcheck disable=SC2034 # of lib.sh
POOL=/var/lib/blkback-ephem
block=/etc/xen/scripts/block
programs="/usr/sbin/blkback-ephemd /usr/sbin/ephemctl /usr/libexec/blkback-ephem/blkback-ephem /etc/xen/scripts/block-ephem"
unit=/usr/lib/systemd/system/blkback-ephemd.service
: >"$session"
mkdir -p "$home" /srv/guest

# What other cases run is put back, whatever happens
put_back() {
	[ -z "$DAEMON" ] || kill "$DAEMON" || true
	xl destroy guest || true
	dpkg --purge blkback-ephem || true
	cp -r --preserve=mode "$BED/install/." /
	ldconfig
	mv "$block.xen" "$block"
	mkdir -p /var/lib/blkback-ephem/pool
	rm -rf "$home"
}
trap put_back EXIT
mv "$block" "$block.xen"
cp "$BED/bed-block" "$block"

# ran NAME STATUS COMMAND: a command of the page, run by a shell, with what it prints
ran() {
	local name=$1 status=0
	echo "# $3" >>"$session"
	(cd "$home" && eval "$3") >/run/step.out 2>&1 || status=$?
	sed 's/.*\r//' /run/step.out | tee -a "$session"
	is "$name" "$status" "$2"
}
none_of() {
	local path
	for path in "$@"; do [ ! -e "$path" ] || { echo "$path is there"; return 1; }; done
}
said() { grep -qE "$1" /run/step.out; }

# ---- nothing of ours is there but what the package brings ----

# shellcheck disable=SC2086 # lists
rm -f $programs /usr/local/lib/*.so* /usr/sbin/ephem-guard
rm -rf /usr/lib/blkback-ephem-tests /var/lib/blkback-ephem
ldconfig
# shellcheck disable=SC2086
check nothing-before none_of $programs
cp "$BED"/debs/blkback-ephem_*.deb "$home"
ran install 0 "dpkg -i blkback-ephem_*.deb"
ran installed 0 "dpkg -s blkback-ephem | grep Status"
check installed-all said "^Status: install ok installed$"
# The bed's dom0 is told to leave documents out
is unchanged "$(dpkg -V blkback-ephem | grep -vE ' /usr/share/(doc|man)/' || true)" ""
of_package() {
	local path
	for path in $programs; do dpkg -S "$path" | grep '^blkback-ephem: ' || return 1; done
	! ldd /usr/sbin/blkback-ephemd /usr/sbin/ephemctl "$WORKER" /usr/libexec/blkback-ephem/block-ephem |
		grep -E 'not found|/usr/local'
}
check programs-are-the-packages of_package
check account getent passwd blkback-ephem

# ---- a guest as it was ----

cp --sparse=always "$BED/bases/root.img" "$BED/bases/data.img" /srv/guest
config() { # SEED
	cat >"$home/guest.cfg" <<-END
		name = "guest"
		type = "pvh"
		memory = 256
		kernel = "$BED/vmlinuz"
		ramdisk = "$BED/guest.cpio"
		cmdline = "console=hvc0 quiet panic=5 mitigations=off bed.name=guest bed.run=operator bed.seed=$1"
		on_crash = "destroy"
		on_reboot = "destroy"
		disk = [ '/srv/guest/root.img,raw,xvda,rw',
		         '/srv/guest/data.img,raw,xvdb,rw' ]
	END
	cp "$home/guest.cfg" "$GUESTS/guest.cfg"
}
started() {
	xl domid guest >"$GUESTS/guest.domid" && guest_wait guest 400 written
}
config "$seed-plain"
: >"$(guest_log guest)"
ran plain-disks 0 "grep -A1 '^disk' guest.cfg"
ran plain-create 0 "xl create guest.cfg"
check plain-runs started
ran plain-scan 0 "ephemctl scan"
is plain-is-plain "$(grep -c ' plain ' /run/step.out)" 2
guest_tell guest go
check plain-power-off guest_wait_exit guest 120
config "$seed"
(cd /srv/guest && sha256sum ./*.img) >"$home/sums"

# ---- and as its twin ----

# What the unit says, word for word
pool=$(sed -n 's/^Environment=POOL=//p' "$unit")
start=$(sed -n 's/^ExecStart=//p' "$unit" | sed "s|\${POOL}|$pool|")
ran no-daemon 1 "ephemctl list"
echo "# $start 2>/var/log/blkback-ephemd.log &" >>"$session"
# shellcheck disable=SC2086 # words
$start </dev/null 2>/var/log/blkback-ephemd.log &
DAEMON=$!
check daemon wait_for 20 "the daemon" daemon_up
is daemon-is-the-packages "$(dpkg -S "$(readlink "/proc/$DAEMON/exe")")" "blkback-ephem: /usr/sbin/blkback-ephemd"

ran convert 0 "ephemctl convert guest.cfg"
ran twin 1 "diff guest.cfg guest.ephemeral.cfg"
: >"$(guest_log guest)"
ran create 0 "xl create guest.ephemeral.cfg"
check runs started
is worker-is-the-packages "$(for pid in $(workers); do dpkg -S "$(readlink "/proc/$pid/exe")"; done | sort -u)" "blkback-ephem: $WORKER"
ran list 0 "ephemctl list"
ran status 0 "ephemctl status guest"
check status-no-failure not said "[1-9][0-9]* failed"
ran scan 0 "ephemctl scan"
is all-ephemeral "$(awk '/^  xvd/ { print $2 }' /run/step.out | xargs)" "ephemeral ephemeral"
ran audit 3 "ephemctl audit guest"
check audit-no-fail said ", 0 unknown, 0 FAIL$"
ran top 0 "ephemctl top --batch --count 2 --delay 5"
# The second table: bytes written a second, and requests
check top-shows-writes [ "$(awk '$2 == "guest" && $4 ~ /^[1-9]/ && $5 > 0' /run/step.out | wc -l)" = 1 ]
ran pool 0 "ephemctl pool"
ran metrics 0 "ephemctl metrics | grep -E '^blkback_ephem_(guests|guest_pool_used|volume_written_bytes)'"
check metrics-writes said '^blkback_ephem_volume_written_bytes_total.*xvdb.* [1-9]'
# shellcheck disable=SC2046 # a list
mapfile -t files < <(pool_files $(workers))
check pool-found [ "${#files[@]}" -ge 1 ]
is pool-without-marker "$(marker_hits "$seed" "${files[@]}")" 0
cp "$(guest_log guest)" "$LOGS/operator.console"
guest_results guest
ran destroy 0 "xl destroy guest"
check worker-gone wait_for 20 "the worker to go" no_workers
ran list-after 0 "ephemctl list"
ran bases-unchanged 0 "cd /srv/guest && sha256sum -c $home/sums"

# ---- what the page says is what was printed ----

check page "$BED/transcript.sh" "$BED/operator.md" "$session"
kill "$DAEMON"
wait "$DAEMON" || true
DAEMON=
check remove dpkg -r blkback-ephem
# shellcheck disable=SC2086
check nothing-after none_of $programs
sync
report "present operator-plain $seed-plain"
report "absent operator $seed"
