# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stub.sh - process 1 of the domain in which the device model of an HVM guest runs (a stub domain): qemu with the
# arguments that libxl has left in xenstore, and the other end of libxl's QMP connection. Its disks are the guest's,
# by its own blkfront. A guest's kernel and initramfs, if it is given any, are on the disk /dev/xvde.
#
# Nobody reads its console. What it says is in its xenstore node data/said, what qemu says in data/qemu. dom0
# writes "N COMMAND" to data/order and reads "N OUTPUT" of it in data/answer; see order().

export PATH=/bin:/usr/bin:/usr/libexec:/usr/lib/xen-4.20/bin
mkdir -p /tmp /run /kernel /proc/xen
me=data
say() { xenstore-write "$me/said" "$*"; }
load() { while read -r m; do insmod "/modules/$m" 2>/dev/null; done <"/modules/$1"; }
# Kernels of 2026 let a domain's programs ask Xen for nothing otherwise. First, for xenfs needs it too.
insmod /modules/xen-privcmd.ko unrestricted=1
for module in xen-evtchn xen-gntdev xen-gntalloc xenfs xen-blkfront ext4; do load "$module"; done
mount -t xenfs xenfs /proc/xen
# Or qemu dies of a reservation of 384 MiB.
echo 1 >/proc/sys/vm/overcommit_memory

# Blocks of 4096 bytes of one of our disks, past all caches: read DISK BLOCK; write DISK BLOCK WORD, the
# block is filled with the word; forge NODE VALUE; crash. What it prints is the answer.
order() {
	case $1 in
	read) dd "if=/dev/$2" bs=4096 "skip=$3" count=1 iflag=direct 2>/dev/null | sha256sum | cut -c1-16 ;;
	write)
		yes "$4" | head -c 4096 >/tmp/block
		dd if=/tmp/block "of=/dev/$2" bs=4096 "seek=$3" count=1 oflag=direct conv=notrunc 2>/dev/null
		echo "$?"
		;;
	forge) xenstore-write "$2" "$3" 2>/dev/null && echo written || echo refused ;;
	crash)
		# Without a word: a kernel that finds no room for its last ones in a console nobody reads tries for ever.
		echo 0 >/proc/sys/kernel/printk
		echo c >/proc/sysrq-trigger
		;;
	esac
}

follow_orders() {
	local n=0 number rest
	xenstore-watch "$me/order" | while read -r _; do
		read -r number rest <<-END
			$(xenstore-read "$me/order" 2>/dev/null)
		END
		[ "${number:-$n}" != "$n" ] || continue
		n=$number
		# shellcheck disable=SC2086 # words
		xenstore-write "$me/answer" "$n $(order $rest)"
	done
}

target=$(xenstore-read target)
vm=$(xenstore-read "/local/domain/$target/vm")
say "stub domain of $target"
disks() { for disk in /sys/block/xvd*; do [ ! -e "$disk/size" ] || echo "$disk"; done | wc -l; }
wanted=$(xenstore-list device/vbd | wc -l)
n=0
until [ "$(disks)" = "$wanted" ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || { say "has $(disks) disks instead of $wanted"; break; }
	sleep 0.1
done
[ ! -b /dev/xvde ] || mount -o ro /dev/xvde /kernel
set --
for n in $(xenstore-list "$vm/image/dm-argv" | sort); do
	set -- "$@" "$(xenstore-read "$vm/image/dm-argv/$n")"
done
follow_orders &
xen-qemu-system-i386 "$@" -chardev socket,id=libxl-cmd,path=/tmp/qmp,server=on,wait=off \
	-mon chardev=libxl-cmd,mode=control -display none >/tmp/qemu.log 2>&1 &
qemu=$!
until [ -S /tmp/qmp ] || ! kill -0 $qemu; do sleep 0.1; done
vchan-socket-proxy --mode=server 0 "/local/domain/$(xenstore-read domid)/device-model/$target/qmp-vchan" /tmp/qmp &
wait $qemu
say "qemu has ended with status $?"
xenstore-write "$me/qemu" "$(tail -c 2000 /tmp/qemu.log)"
sync
poweroff -f
