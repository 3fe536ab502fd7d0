# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# grub - GRUB's own blkfront, which owes nothing to Linux': it finds its configuration on the guest's disk,
# writes a block of it, reads kernel and initramfs, lets the disk go, and Linux takes it over in the same
# life: same process, same key, and GRUB's write is there. The PV kind of GRUB cannot unpack Debian's
# kernel: it reads and writes as much, and then powers the guest off.

seed=$SEED-grub
dir=/var/lib/grub-base
base=$dir/base.img
mkdir -p "$dir"

# What GRUB says by itself begins with escape sequences, hence the empty lines.
make_base() {
	{ echo "# GRUB Environment Block"; head -c 999 /dev/zero | tr '\0' '#'; } >"$dir/grubenv"
	cat >"$dir/grub.cfg" <<-END
		bed_written=by-grub-$seed
		save_env -f /boot/grub.env bed_written
		if [ "\$grub_platform" = xen ]; then
			bed_written=
			load_env -f /boot/grub.env bed_written
			echo
			if [ "\$bed_written" = by-grub-$seed ]; then echo "GUEST: pass reads-what-it-wrote"; fi
			if hashsum --hash sha256 --check /boot/sums; then echo; echo "GUEST: pass sums"; fi
			halt
		fi
		linux /boot/vmlinuz console=hvc0 quiet panic=5 mitigations=off bed.name=grub bed.run=grub bed.seed=$seed
		initrd /boot/guest.cpio
		boot
	END
	boot_base "$base" "$dir/grub.cfg" grub.cfg "$dir/grubenv" grub.env && debugfs -w -f - "$base" <<-END
		mkdir /boot/grub
		ln /boot/grub.cfg /boot/grub/grub.cfg
	END
}

# xl loads GRUB and nothing else: no ramdisk, no command line
grub_config() { # NAME TYPE GRUB
	guest_config "$1" 384 grub "" "$(ephemeral xvda "$base")"
	sed -i -e "s|^type = .*|type = \"$2\"|" -e "s|^kernel = .*|kernel = \"$3\"|" -e '/^ramdisk\|^cmdline/d' "$GUESTS/$1.cfg"
}

times_logged() { tail -n "+$((log_mark + 1))" "$DAEMON_LOG" | grep -c "$1" || true; }

# As a frontend says which ABI its rings are in: GRUB's PVH kind is a 32-bit program
speaks() { [ "$(xenstore-read "/local/domain/$domid/device/vbd/51712/protocol")" = "$1" ]; }

# start NAME: sets domid and pids
start() {
	log_mark=$(wc -l <"$DAEMON_LOG")
	check "$1-create" guest_start "$1"
	domid=$(guest_domid "$1")
	pids=$(workers | xargs)
}

boots_linux() {
	local files
	start grub-pvh
	check grub-pvh-speaks-32 wait_for 60 "GRUB to connect" speaks x86_32-abi
	check grub-pvh-boots guest_wait grub-pvh 400 written
	is grub-pvh-same-worker "$(workers | xargs)" "$pids"
	is grub-pvh-connected-twice "$(times_logged 'connecting')" 2
	# shellcheck disable=SC2086 # a list
	files=$(pool_files $pids)
	# shellcheck disable=SC2086
	is grub-pvh-pool-without-marker "$(marker_hits "$seed" $files)" 0
	guest_tell grub-pvh go
	check grub-pvh-power-off guest_wait_exit grub-pvh 120
	guest_results grub-pvh
	check grub-pvh-end guest_said grub-pvh end
	check_gone grub-pvh "$domid" "$pids"
}

reads_and_writes() {
	start grub-pv
	check grub-pv-speaks-64 wait_for 60 "GRUB to connect" speaks x86_64-abi
	check grub-pv-power-off guest_wait_exit grub-pv 120
	for what in reads-what-it-wrote sums; do
		check "grub-pv-$what" guest_said grub-pv "pass $what"
	done
	is grub-pv-connected-once "$(times_logged 'connecting')" 1
	check_gone grub-pv "$domid" "$pids"
}

kernel_log_mark
channels=$(event_channels)
check base make_base
sum=$(sha256sum <"$base")
grub_config grub-pvh pvh /usr/lib/grub-xen/grub-i386-xen_pvh.bin
grub_config grub-pv pv /usr/lib/grub-xen/grub-x86_64-xen.bin
check daemon daemon_start --threads 2 --verbose
boots_linux
reads_and_writes
is base-unchanged "$(sha256sum <"$base")" "$sum"
check daemon-stops daemon_stop
check base-closed closed "$base"
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm -r "$dir"
sync
report "absent grub $seed"
