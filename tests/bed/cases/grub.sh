# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# grub - GRUB's own blkfront, which owes nothing to Linux': it finds its configuration on the guest's disk,
# writes a block of it, reads kernel and initramfs, lets the disk go, and Linux takes it over in the same
# life: same process, same key, and GRUB's write is there. As PVH and as PV guest, of one base.

seed=$SEED-grub
dir=/var/lib/grub-base
base=$dir/base.img
mkdir -p "$dir"

# The configuration boots the same script in both guests; who it is, GRUB is told by nobody.
make_base() {
	cp --sparse=always "$BED/bases/root.img" "$base"
	{ echo "# GRUB Environment Block"; head -c 999 /dev/zero | tr '\0' '#'; } >"$dir/grubenv"
	cat >"$dir/grub.cfg" <<-END
		bed_written=by-grub-$seed
		save_env -f /boot/grub/grubenv bed_written
		linux /boot/vmlinuz console=hvc0 quiet panic=5 mitigations=off bed.name=grub bed.run=grub bed.seed=$seed
		initrd /boot/guest.cpio
		boot
	END
	(cd "$BED" && sha256sum vmlinuz guest.cpio | sed 's|  |  /boot/|') >"$dir/sums"
	debugfs -w -f - "$base" <<-END
		mkdir /boot/grub
		write $dir/grub.cfg /boot/grub/grub.cfg
		write $dir/grubenv /boot/grub/grubenv
		write $BED/vmlinuz /boot/vmlinuz
		write $BED/guest.cpio /boot/guest.cpio
		write $dir/sums /boot/sums
	END
}

# xl loads GRUB and nothing else: no ramdisk, no command line
grub_config() { # NAME TYPE GRUB
	guest_config "$1" 384 grub "" "$(ephemeral xvda "$base")"
	sed -i -e "s|^type = .*|type = \"$2\"|" -e "s|^kernel = .*|kernel = \"$3\"|" -e '/^ramdisk\|^cmdline/d' "$GUESTS/$1.cfg"
}

times_logged() { tail -n "+$((log_mark + 1))" "$DAEMON_LOG" | grep -c "$1" || true; }

boots() { # NAME
	local name=$1 domid pids files
	log_mark=$(wc -l <"$DAEMON_LOG")
	check "$name-create" guest_start "$name"
	domid=$(guest_domid "$name")
	pids=$(workers | xargs)
	check "$name-boots" guest_wait "$name" 400 written
	is "$name-same-worker" "$(workers | xargs)" "$pids"
	is "$name-connected-twice" "$(times_logged 'connecting')" 2
	# shellcheck disable=SC2086 # a list
	files=$(pool_files $pids)
	# shellcheck disable=SC2086
	is "$name-pool-without-marker" "$(marker_hits "$seed" $files)" 0
	guest_tell "$name" go
	check "$name-power-off" guest_wait_exit "$name" 120
	guest_results "$name"
	check "$name-end" guest_said "$name" end
	check_gone "$name" "$domid" "$pids"
}

kernel_log_mark
channels=$(event_channels)
check base make_base
sum=$(sha256sum <"$base")
grub_config grub-pvh pvh /usr/lib/grub-xen/grub-i386-xen_pvh.bin
grub_config grub-pv pv /usr/lib/grub-xen/grub-x86_64-xen.bin
check daemon daemon_start --threads 2 --verbose
boots grub-pvh
boots grub-pv
is base-unchanged "$(sha256sum <"$base")" "$sum"
check daemon-stops daemon_stop
check base-closed closed "$base"
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm -r "$dir"
sync
say "absent grub $seed"
