# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hvm - an HVM guest with qemu in dom0, on two ephemeral disks: SeaBIOS boots from the first, as it is
# emulated by qemu over our NBD socket; GRUB in its boot block finds the second, writes to the first, and
# loads Linux, whose PV driver takes both over and finds what GRUB wrote. Nobody else gets in at the sockets.
#
# GRUB lies in the base as anywhere: its first sector in the boot block that ext4 leaves free, the rest
# in a file, found by sector numbers (grub-install does it so where there is no gap before a partition).
#
# By AHCI, which SeaBIOS reads by DMA: of IDE each sector costs it several instructions that qemu executes, some ten
# minutes for the kernel here. So IDE, libxl's default, is for the long form.

seed=$SEED-hvm
dir=/var/lib/hvm-base
base=$dir/base.img
data=/bed/bases/data.img
grub=/usr/lib/grub/i386-pc
mkdir -p "$dir"

# put FILE OFFSET NUMBER: 8 bytes
put() { perl -e 'print pack("Q<", $ARGV[0])' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# The sector of the N-th block of a file in the base; blocks are of 4096 bytes
sector_of() { echo $(($(debugfs -R "bmap $1 $2" "$base" 2>/dev/null) * 8)); }

install_grub() {
	local more first last
	more=$((($(stat -c %s "$dir/core.img") - 1) / 4096))
	first=$(sector_of /boot/core.img 0)
	last=$(sector_of /boot/core.img "$more")
	[ "$first" -gt 0 ] && [ "$last" = $((first + more * 8)) ] || return 1
	cp "$grub/boot.img" "$dir/boot.img"
	put "$dir/boot.img" $((0x5c)) "$first"
	dd if="$dir/boot.img" of="$base" conv=notrunc status=none
	put "$base" $((first * 512 + 0x1f4)) $((first + 1))
}

make_base() {
	{ echo "# GRUB Environment Block"; head -c 999 /dev/zero | tr '\0' '#'; } >"$dir/grubenv"
	cat >"$dir/grub.cfg" <<-END
		bed_written=by-grub-$seed
		search --no-floppy --label data --set=bed_second
		save_env -f /boot/grub.env bed_written bed_second
		linux /boot/vmlinuz console=hvc0 quiet panic=5 mitigations=off iommu=off agp=off tsc=reliable bed.name=hvm bed.run=hvm bed.seed=$seed
		initrd /boot/guest.cpio
		boot
	END
	grub-mkimage -O i386-pc -o "$dir/core.img" -p '(hd0)/boot/grub' biosdisk ext2 normal linux loadenv search search_label &&
		boot_base "$base" "$dir/grub.cfg" grub.cfg "$dir/grubenv" grub.env "$dir/core.img" core.img &&
		debugfs -w -f - "$base" <<-END && install_grub
			mkdir /boot/grub
			ln /boot/grub.cfg /boot/grub/grub.cfg
		END
}

hvm_config() {
	TYPE=hvm guest_config hvm 384 hvm "" "$(ephemeral xvda "$base")" "$(ephemeral xvdb "$data")"
	sed -i -e '/^kernel\|^ramdisk\|^cmdline/d' "$GUESTS/hvm.cfg"
	cat >>"$GUESTS/hvm.cfg" <<-END
		boot = "c"
		vga = "stdvga"
		vnc = 0
		device_model_version = "qemu-xen"
		hdtype = "$([ -n "$LONG" ] && echo ide || echo ahci)"
	END
}

node() { xenstore-read "/local/domain/$domid/$1"; }
socket_of() { xenstore-read "/local/domain/0/backend/vbd3/$domid/$1/physical-device-path"; }
let_in() { grep -q "vbd $domid/$1: the device model, process $(node image/device-model-pid), is connected" "$DAEMON_LOG"; }

# Turned away: the connection ends without a word
turned_away() {
	perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 2; exit !!sysread($s, $b, 18)' "$1"
}

kernel_log_mark
channels=$(event_channels)
check base make_base
# Compared, not summed: emulated, that is several times faster
check base-kept cp --sparse=always "$base" "$dir/kept"
hvm_config
check daemon daemon_start --threads 2 --verbose
check create guest_start hvm
domid=$(guest_domid hvm)
pids=$(workers | xargs)
is one-worker "$(main_worker "$pids" | wc -w)" 1
is first-socket "$(socket_of 51712)" "$RUN/$domid/xvda.sock"
is second-socket "$(socket_of 51728)" "$RUN/$domid/xvdb.sock"
for disk in 51712 51728; do
	check "let-in-$disk" wait_for 60 "qemu to connect" let_in "$disk"
done
check stranger turned_away "$(socket_of 51712)"
check boots guest_wait hvm 900 written
is same-worker "$(workers | xargs)" "$pids"
# shellcheck disable=SC2086 # lists
files=$(pool_files $pids)
check pool-file-found [ -n "$files" ]
# shellcheck disable=SC2086
is pool-without-marker "$(marker_hits "$seed" $files)" 0
guest_tell hvm go
check power-off guest_wait_exit hvm 300
guest_results hvm
check end guest_said hvm end
check_gone hvm "$domid" "$pids"
check no-socket [ ! -e "$RUN/$domid" ]
check base-unchanged cmp "$base" "$dir/kept"
# Where a raw disk names no script qemu opens its target itself: then the guest gets none of its disks
sed -i "s|,script=$SCRIPT||2" "$GUESTS/hvm.cfg"
is one-script-left "$(grep -o "script=$SCRIPT" "$GUESTS/hvm.cfg" | wc -l)" 1
check without-script-no-guest not guest_start hvm
check without-script-told grep -q "disk xvdb of this HVM guest .* without script=block-ephem" "$DAEMON_LOG"
check nothing-started guest_absent hvm
check no-workers wait_for 20 "the worker to go" no_workers
check daemon-stops daemon_stop
check base-closed closed "$base"
is event-channels "$(event_channels)" "$channels"
check kernel-log kernel_log_clean
rm -r "$dir"
sync
report "absent hvm $seed"
