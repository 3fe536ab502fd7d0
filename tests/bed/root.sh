#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# root.sh - build, or find in the cache, everything the bed boots.
#
#   BED_WITH=libvirt  dom0 has Debian's libvirt, too: a root of its own, for few cases want it
#   BED_SUITE=NAME  Debian's release, and with it Xen's: trixie (the default, Xen 4.20) or bookworm (4.17)
#
# Prints the directory that holds it:
#   xen, vmlinuz     hypervisor (unpacked for QEMU's multiboot loader) and the kernel of dom0 and guests
#   dom0.img         dom0's root, a plain Debian on ext4; each run boots a copy
#   dom0.cpio        its initramfs: finds the disks by serial number, then runs /bed/dom0-init
#   dom0-libs        the sonames dom0 has, so that bed.sh knows which libraries to bring along
#   guest.img        the guests' root, also plain Debian on ext4: the base of their xvda
#   guest.cpio       their initramfs: blkfront, ext4, btrfs, then runs guest/init from the bed
#   i386.vmlinuz     a 32-bit kernel, and i386.cpio, an initramfs with a 32-bit busybox that runs
#                    guest/i386.sh: there is no 32-bit root
#   stub.cpio        an initramfs with qemu for the device model's domain of an HVM guest, which runs guest/stub.sh
#
# Design: one mmdebstrap run makes both roots. It installs the guest's packages first, a hook keeps a
# copy of that as the guest's root, then installs dom0's packages on top: half the time of two runs.
# Nothing of the product and nothing of a case is in here, so the cache key is this file and what was asked for; what
# changes between runs reaches dom0 on a second disk and guests in a second initramfs archive.
# Images are made with "mke2fs -d": no loop device, no mount. Building happens in a private directory
# that is renamed when complete, so that two builds at once are harmless.
# shellcheck disable=SC2317 # functions that run() calls
set -eu

SUITE=${BED_SUITE:-trixie}
case $SUITE in
trixie) XEN=4.20 LIBS="libaio1t64 libssl3t64" ;;
bookworm) XEN=4.17 LIBS="libaio1 libssl3" ;;
*) echo "root: BED_SUITE is trixie or bookworm, not '$SUITE'" >&2; exit 1 ;;
esac
MIRROR=${BED_MIRROR:-http://deb.debian.org/debian}
GUEST_PACKAGES="e2fsprogs btrfs-progs fio util-linux mount kmod procps kexec-tools"
DOM0_PACKAGES="xen-hypervisor-$XEN-amd64 xen-utils-$XEN xenstore-utils qemu-system-xen linux-image-amd64
	busybox-static iproute2 psmisc lsof dmsetup cryptsetup-bin grub-xen-bin grub-xen-host grub-pc-bin xz-utils
	$LIBS libblkid1 libinih1 libjansson4 libseccomp2 libcap2 libcap-ng0 liblz4-1 libsystemd0
	libxenstore4 libxenevtchn1 libxengnttab1 libxencall1 libxenforeignmemory1 libxentoollog1"
LIBVIRT_PACKAGES="libvirt-daemon-driver-xen libvirt-clients"
DOM0_MODULES="virtio_pci virtio_blk ext4"
GUEST_MODULES="xen-blkfront ext4 btrfs xen-gntalloc xen-evtchn xen-gntdev xenfs"
STUB_MODULES="xen-blkfront ext4 xen-gntalloc xen-evtchn xen-gntdev xen-privcmd xenfs"
# What a stub domain runs, and the option ROMs that its qemu gives to an HVM guest
STUB_PROGRAMS="/usr/libexec/xen-qemu-system-i386 /usr/lib/xen-$XEN/bin/vchan-socket-proxy
	/usr/bin/xenstore-read /usr/bin/xenstore-write /usr/bin/xenstore-list /usr/bin/xenstore-watch"
STUB_ROMS="/usr/share/qemu/kvmvapic.bin /usr/share/qemu/linuxboot_dma.bin /usr/share/seabios/vgabios-stdvga.bin"
# The last release with a 32-bit kernel
I386_SUITE=bookworm
I386_KERNEL=linux-image-686-pae
I386_MODULES="xen-blkfront ext4"
# Firmware-laden or physical drivers no emulated machine has: two thirds of the kernel package.
NO_DRIVERS="gpu media net/wireless net/ethernet infiniband iio staging hwmon usb input scsi mmc bluetooth"

WITH=${BED_WITH:-}
case $WITH in
"") ;;
libvirt) DOM0_PACKAGES="$DOM0_PACKAGES $LIBVIRT_PACKAGES" ;;
*) echo "root: BED_WITH is libvirt or nothing, not '$WITH'" >&2; exit 1 ;;
esac

self=$(readlink -f "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
key=$(cat "$self" - <<<"$SUITE $WITH" | sha256sum | cut -c1-16)
out=$cache/bed-$key

say() { echo "root: $*" >&2; }

# run TEXT COMMAND...: with a line every ten seconds that shows it is alive, and its log if it fails
run() {
	local what=$1 log=$work/log pid start=$SECONDS
	shift
	say "$what"
	"$@" >>"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if [ $(((SECONDS - start) % 10)) = 9 ]; then
			say "  ... $((SECONDS - start)) s: $(tail -n 1 "$log" | tr -d '\r' | cut -c1-70)"
			sleep 1
		fi
	done
	wait "$pid" || { tail -n 30 "$log" >&2; say "failed: $what"; exit 1; }
}

# Called by mmdebstrap when the guest's packages are in: keep a copy, then install the rest.
hook() {
	local root=$1
	mkdir "$BED_WORK/guest"
	tar -C "$root" --one-file-system --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/*' \
		--exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -c . | tar -C "$BED_WORK/guest" -x
	# shellcheck disable=SC2086 # a list
	INITRD=No DEBIAN_FRONTEND=noninteractive chroot "$root" \
		apt-get -y --no-install-recommends install $DOM0_PACKAGES
	foreign "$root" "$BED_WORK/i386"
}

# foreign ROOT OUT: the 32-bit kernel and busybox, unpacked in OUT. The new root's own apt fetches and checks
# them, told of another suite and architecture; nothing of that stays in ROOT.
foreign() {
	local root=$1 out=$2 dir kernel deb apt
	dir=$(mktemp -d "$root/var/tmp/foreign.XXXXXX")
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$out"
	echo "deb $MIRROR $I386_SUITE main" >"$dir/sources.list"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-END
		Dir::Etc::SourceList "${dir#"$root"}/sources.list";
		Dir::Etc::SourceParts "-";
		Dir::State "${dir#"$root"}/state";
		Dir::State::Status "${dir#"$root"}/status";
		Dir::Cache "${dir#"$root"}/cache";
		APT::Architecture "i386";
		APT::Architectures "i386";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
	END
	apt=(chroot "$root" env -C "${dir#"$root"}" "APT_CONFIG=${dir#"$root"}/apt.conf")
	"${apt[@]}" apt-get update
	kernel=$("${apt[@]}" apt-cache depends "$I386_KERNEL" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
	"${apt[@]}" apt-get download "$kernel" busybox-static
	for deb in "$dir"/*.deb; do
		chroot "$root" dpkg-deb --fsys-tarfile "${deb#"$root"}" | tar -C "$out" -x
	done
	rm -rf "$dir"
}

kernel_version() { basename "$(echo "$1"/lib/modules/*)"; }

bootstrap() {
	local opts=() d
	for d in $NO_DRIVERS; do
		opts+=("--dpkgopt=path-exclude=/usr/lib/modules/*/kernel/drivers/$d/*")
	done
	for d in doc man locale info; do
		opts+=("--dpkgopt=path-exclude=/usr/share/$d/*")
	done
	BED_WORK=$work mmdebstrap --mode=root --variant=minbase --include="${GUEST_PACKAGES// /,}" \
		--aptopt='Acquire::Retries "5"' "${opts[@]}" \
		--customize-hook="$self --hook \"\$1\"" "$SUITE" "$work/dom0" "$MIRROR"
}

# initramfs OUT ROOT INIT MODULE...: busybox of ROOT, the modules of its kernel in loading order, and INIT
initramfs() {
	local cpio=$1 root=$2 init=$3 dir=$1.d ko m name version
	version=$(kernel_version "$root")
	shift 3
	mkdir -p "$dir/bin" "$dir/modules" "$dir/proc" "$dir/sys" "$dir/dev" "$dir/root"
	cp "$root/bin/busybox" "$dir/bin/busybox"
	printf '%s\n' "$init" >"$dir/init"
	chmod 755 "$dir/init"
	for m in "$@"; do
		modprobe -d "$root" -S "$version" --show-depends "$m" | sed -n 's/^insmod //p' | tr -d ' ' |
		while read -r ko; do
			name=$(basename "$ko" .xz)
			grep -qxF "$name" "$dir/modules/$m" 2>/dev/null || echo "$name" >>"$dir/modules/$m"
			[ -e "$dir/modules/$name" ] && continue
			case $ko in
			*.xz) xz -dc "$ko" >"$dir/modules/$name" ;;
			*) cp "$ko" "$dir/modules/$name" ;;
			esac
		done
		[ -e "$dir/modules/$m" ] || modprobe -d "$root" -S "$version" --show-depends "$m" | grep -q '^builtin' ||
			{ say "no module $m"; return 1; }
		touch "$dir/modules/$m"
	done
	(cd "$dir" && find . | cpio --quiet -o -H newc) >"$cpio"
	rm -rf "$dir"
}

# Both initramfs start alike. /modules/NAME lists what to insert, in order, for module NAME.
# shellcheck disable=SC2016 # expanded in the VM
INIT_HEAD='#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
load() { for m in $(cat /modules/$1); do insmod /modules/$m 2>/dev/null; done; }
die() { echo "BED: fatal $*"; sleep 1; poweroff -f; }
'
# shellcheck disable=SC2016 # expanded in the VM
DOM0_INIT=$INIT_HEAD'
load virtio_pci; load virtio_blk; load ext4
find_disk() { for b in /sys/block/vd*; do
	[ "$(cat $b/serial 2>/dev/null)" = "$1" ] && echo /dev/${b##*/}; done; }
n=0
until [ -n "$(find_disk dom0)" ] && [ -n "$(find_disk bed)" ] && [ -n "$(find_disk logs)" ]; do
	n=$((n + 1)); [ $n -gt 300 ] && die "disks not found"; sleep 0.1
done
mount -t ext4 -o noatime $(find_disk dom0) /root || die "cannot mount dom0.img"
mkdir -p /root/bed
mount -t ext4 -o noatime $(find_disk bed) /root/bed || die "cannot mount bed.img"
export BED_LOGS=$(find_disk logs)
mount --move /dev /root/dev; umount /sys /proc
exec switch_root /root /bed/dom0-init'
# shellcheck disable=SC2016 # expanded in the guest
GUEST_INIT=$INIT_HEAD'
mkdir -p /run; mount -t tmpfs -o mode=755 run /run
cp -a /bed /modules /run/; cp /bin/busybox /run/bed/
insmod /modules/xen-blkfront.ko $(sed -n "s/.*bed\.blkfront=\([^ ]*\).*/\1/p" /proc/cmdline | tr , " ")
load ext4
n=0
until [ -b /dev/xvda ]; do n=$((n + 1)); [ $n -gt 600 ] && die "no xvda"; sleep 0.1; done
mount -t ext4 -o noatime /dev/xvda /root || die "cannot mount xvda"
mount --move /dev /root/dev; mount --move /run /root/run; umount /sys /proc
exec switch_root /root /run/bed/init'
# shellcheck disable=SC2016 # expanded in the guest
I386_INIT=$INIT_HEAD'
insmod /modules/xen-blkfront.ko $(sed -n "s/.*bed\.blkfront=\([^ ]*\).*/\1/p" /proc/cmdline | tr , " ")
load ext4
exec sh /bed/i386.sh </dev/hvc0 >/dev/hvc0 2>&1'
STUB_INIT=$INIT_HEAD'
exec sh /bed/stub.sh'

# stub_files DIR ROOT: the programs and option ROMs of a stub domain, with the libraries that the programs need.
# Not compressed: the guest's creation waits for it, and unpacking would take the emulated machine longer than reading.
stub_files() {
	local dir=$1 root=$2 file
	for file in $STUB_PROGRAMS $(
		# shellcheck disable=SC2086 # a list
		chroot "$root" ldd $STUB_PROGRAMS | awk '$2 == "=>" { print $3 } $1 ~ /^\// && NF == 2 { print $1 }' | sort -u
	); do
		install -D -m 755 "$root/$file" "$dir$file"
	done
	for file in $STUB_ROMS; do install -D -m 644 "$root/$file" "$dir$file"; done
}

image() { # OUT DIR SIZE LABEL
	truncate -s "$3" "$1"
	mke2fs -q -t ext4 -L "$4" -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d "$2" "$1"
}

build() {
	local tool
	for tool in mmdebstrap mke2fs cpio modprobe depmod xz; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || { say "$tool is missing: run 'make deps'"; exit 1; }
	done
	touch "$cache"/place-{0..7} # of beds, which lock them (bed.sh)
	work=$(mktemp -d "$cache/build.XXXXXX")
	chmod 755 "$work"
	trap 'rm -rf "$work"' EXIT
	run "building the Debian roots (one to three minutes, then cached in $out)" bootstrap
	depmod -b "$work/i386" "$(kernel_version "$work/i386")"
	mkdir "$work/out"
	cp "$work"/dom0/boot/vmlinuz-* "$work/out/vmlinuz"
	cp "$work"/i386/boot/vmlinuz-* "$work/out/i386.vmlinuz"
	gzip -dc "$work/dom0/boot/xen-$XEN-amd64.gz" >"$work/out/xen"
	(cd "$work/dom0" && find usr/lib lib -name '*.so*' -printf '%f\n' | sort -u) >"$work/out/dom0-libs"
	# shellcheck disable=SC2086 # lists
	run "initramfs of dom0" initramfs "$work/out/dom0.cpio" "$work/dom0" "$DOM0_INIT" $DOM0_MODULES
	# shellcheck disable=SC2086
	run "initramfs of the guests" initramfs "$work/out/guest.cpio" "$work/dom0" "$GUEST_INIT" $GUEST_MODULES
	# shellcheck disable=SC2086
	run "initramfs of 32-bit guests" initramfs "$work/out/i386.cpio" "$work/i386" "$I386_INIT" $I386_MODULES
	stub_files "$work/out/stub.cpio.d" "$work/dom0"
	# shellcheck disable=SC2086
	run "initramfs of stub domains" initramfs "$work/out/stub.cpio" "$work/dom0" "$STUB_INIT" $STUB_MODULES
	run "image of dom0's root" image "$work/out/dom0.img" "$work/dom0" 8G dom0
	run "image of the guests' root" image "$work/out/guest.img" "$work/guest" 768M guest
	chmod -R a+rX "$work/out"
	mv -T "$work/out" "$out" 2>/dev/null || [ -e "$out/guest.img" ]
}

main() {
	case ${1:-} in
	--hook) hook "$2"; exit ;;
	esac
	PATH=$PATH:/usr/sbin:/sbin
	if [ ! -e "$out/guest.img" ]; then
		mkdir -p "$cache"
		if [ "$(id -u)" = 0 ]; then
			build
		elif command -v sudo >/dev/null; then
			say "building the roots needs root: using sudo"
			sudo XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" BED_MIRROR="$MIRROR" BED_SUITE="$SUITE" BED_WITH="$WITH" "$self" >/dev/null
		else
			say "building the roots needs root, and there is no sudo: run '$self' once as root with"
			say "XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}"
			exit 1
		fi
	fi
	echo "$out"
}

main "$@"; exit
