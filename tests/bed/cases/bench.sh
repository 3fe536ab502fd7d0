# shellcheck shell=bash disable=SC2154 # what store.sh sets
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench - what a guest gets from its disk, by other backends and by ours; bench/xen.sh runs it and reads what it writes.
# Each backend serves the same guest, one after another, xvdb over the same base; xvda is always the kernel's blkback's.
#
#   plain     blkback on a loop device: an ordinary disk, neither encrypted nor ephemeral
#   qubes     blkback on a dm-thin snapshot, its pool on dm-crypt, as in Qubes OS; qubes4k with dm-crypt's larger sectors
#   snapshot  blkback on a dm-snapshot, its exceptions on dm-crypt
#   qcow2     qemu's qdisk on a qcow2 overlay, which is not encrypted
#   dir, block, ram, and the same with -off: ours, by pool; without integrity
#   dir-qubes ours like dir, over a base that is where qubes has it: a volume of its pool, on dm-crypt
#   stubdom   ours, in a storage domain
#
# All storage is in dom0's memory first, so that what is compared is work and no disk's pace; then, of those that keep
# something there, on its disk, as files of a directory, and the backend's name ends in +disk; then, +slow, on a disk
# whose flush takes 2 ms, as those of good solid-state disks do, and nothing else any time. Lines of $BENCH_OUT:
#
#   start BACKEND STEPS READY       ns: to make its storage; from then on until the guest has read a block of it
#   mark BACKEND NS DOMID:NS... WORDS       at each mark (guest/bench.sh): the time, what each domain had of the CPUs
#   us BACKEND GUEST STORE          domids: of the guest, and of the domain that serves xvdb
#
# BENCH_BACKENDS picks some, BENCH_STORES is "memory disk slow".  Nothing here is tuned: all are as they come.

. "$BED/store.sh"
: "${BENCH_BACKENDS:=plain qubes qubes4k snapshot qcow2 dir dir-off dir-qubes block ram ram-off stubdom}" "${BENCH_OUT:=$LOGS/bench}"
: "${BENCH_STORES:=memory disk slow}"
watch=${BENCH_WATCH:-/usr/lib/blkback-ephem-tests/xen-watch}
declare -A work_in=([memory]=/dev/shm/bench [disk]=/var/lib/bench-disk [slow]=/var/lib/bench-slow)
root_dir=/var/lib/bench
slow_file=$root_dir/slow
policies=/etc/blkback-ephem/domains
POOL_MIB=160
mkdir -p "$root_dir" "$policies"
size=short
[ -z "$LONG" ] || size=long

nanoseconds() { awk '{ printf "%d", $1 * 1e9 }' /proc/uptime; }
table() { dmsetup create --noudevsync --noudevrules "bench-$1" --table "$2" && dmsetup mknodes "bench-$1"; }
crypt() { # NAME DEVICE [OPTION]: with a key that nobody knows
	table "$1" "0 $(blockdev --getsz "$2") crypt aes-xts-plain64 $(head -c 64 /dev/urandom | od -An -tx1 | tr -d ' \n') 0 $2 0${3:+ 1 $3}"
}
scratch() { # NAME MIB: a loop device
	truncate -s "$2M" "$work/$1" && losetup -f --show "$work/$1"
}
device() { kernel_block xvdb "$1"; }
policy() { printf '[pool]\npool=%s\nintegrity=%s\n' "$1" "$2" >"$policies/bench-$backend.conf"; }

# ---- backends: each sets disk, by the steps that an operator, or Qubes OS, takes before xl ----

up_plain() {
	cp "$work/base" "$work/plain"
	disk=$(device "$work/plain")
}

# The pool and the template's volume are there for long; a qube's start takes a snapshot of it
up_qubes() {
	local loop
	loop=$(scratch pv $((POOL_MIB + 96)))
	crypt pv "$loop" "${1:-}"
	table meta "0 8192 linear /dev/mapper/bench-pv 0"
	table data "0 $(((POOL_MIB + 92) << 11)) linear /dev/mapper/bench-pv 8192"
	dd if=/dev/zero of=/dev/mapper/bench-meta bs=4096 count=1 status=none
	table pool "0 $(((POOL_MIB + 92) << 11)) thin-pool /dev/mapper/bench-meta /dev/mapper/bench-data 128 0"
	dmsetup message bench-pool 0 "create_thin 0"
	table template "0 $base_sectors thin /dev/mapper/bench-pool 0"
	dd if="$work/base" of=/dev/mapper/bench-template bs=1M oflag=direct status=none
}
steps_qubes() {
	dmsetup suspend bench-template
	dmsetup message bench-pool 0 "create_snap 1 0"
	dmsetup resume --noudevsync bench-template
	table volume "0 $base_sectors thin /dev/mapper/bench-pool 1"
	disk=$(device /dev/mapper/bench-volume)
}

up_qubes4k() { up_qubes sector_size:4096; }
steps_qubes4k() { steps_qubes; }

up_snapshot() {
	losetup -r -f --show "$work/base" >"$work/origin"
	scratch cow "$POOL_MIB" >"$work/cow.loop"
}
steps_snapshot() {
	crypt cow "$(cat "$work/cow.loop")"
	dd if=/dev/zero of=/dev/mapper/bench-cow bs=4096 count=1 status=none
	table volume "0 $base_sectors snapshot $(cat "$work/origin") /dev/mapper/bench-cow P 8"
	disk=$(device /dev/mapper/bench-volume)
}

up_qcow2() { :; }
steps_qcow2() {
	if [ -e "$BED/bench.$store_kind.qcow2" ]; then cp "$BED/bench.$store_kind.qcow2" "$work/overlay"
	else qemu-img create -q -f qcow2 -b "$work/base" -F raw "$work/overlay"; fi
	disk="backendtype=qdisk,format=qcow2,vdev=xvdb,access=rw,target=$work/overlay"
}

# Ours: all that an operator does is a line in the guest's configuration, and here one for the pool
up_ours() { # POOL INTEGRITY
	[ -n "$DAEMON" ] || check daemon daemon_start
	policy "$1" "$2"
	disk=$(ephemeral xvdb "$work/base")
}
up_dir() { up_ours "dir:$POOL" on; }
up_dir-qubes() {
	up_qubes && up_ours "dir:$POOL" on
	disk=$(ephemeral xvdb /dev/mapper/bench-template)
}
up_dir-off() { up_ours "dir:$POOL" off; }
up_block() { up_ours "block:$(scratch blocks "$POOL_MIB")" on; }
up_ram() { up_ours "ram:${POOL_MIB}M" on; }
up_ram-off() { up_ours "ram:${POOL_MIB}M" off; }

up_stubdom() {
	truncate -s "${POOL_MIB}M" "$work/store.pool"
	store_config store initramfs shared
	sed -i "s|'format=raw,backendtype=phy,vdev=xvdc[^']*'|'$(kernel_block xvdc "$work/base" ro)'|" "$GUESTS/store.cfg"
	store_start store
	store=$(guest_domid store)
	disk=$(UNTRUSTED='' stored_disk store xvdb /bases/data)
}

# A loop device of a file that is not there any more goes by itself when the last who has it open does
down() {
	local name
	[ ! -e "$GUESTS/store.cfg" ] || { xl destroy store && rm -f "$GUESTS/store.cfg"; }
	for name in volume template pool data meta pv cow; do
		! dmsetup info "bench-$name" || dmsetup remove --noudevsync --retry "bench-$name" || return 1
		rm -f "/dev/mapper/bench-$name" # there is no udev to do it
	done
	losetup -l -n -O NAME,BACK-FILE | awk -v work="$work/" 'index($2, work) == 1 && $NF != "(deleted)" { print $1 }' | xargs -r losetup -d
	rm -f "$work"/{plain,pv,cow,cow.loop,origin,overlay,blocks,store.pool}
}

slow_up() {
	local loop
	truncate -s 768M "$slow_file" && loop=$(losetup --direct-io=on -f --show "$slow_file") || return 1
	table slow "0 $(blockdev --getsz "$loop") delay $loop 0 0 $loop 0 0 $loop 0 2" &&
		mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 /dev/mapper/bench-slow && mkdir -p "${work_in[slow]}" &&
		mount /dev/mapper/bench-slow "${work_in[slow]}"
}
slow_down() {
	! mountpoint -q "${work_in[slow]}" || umount "${work_in[slow]}" || return 1
	! dmsetup info bench-slow || dmsetup remove --noudevsync --retry bench-slow || return 1
	rm -f /dev/mapper/bench-slow
	losetup -j "$slow_file" -n -O NAME | xargs -r losetup -d
	rm -f "$slow_file"
}
trap 'down >/dev/null 2>&1 || true; slow_down >/dev/null 2>&1 || true
	rm -rf "${work_in[@]}" "$root_dir" "$policies"/bench-*.conf' EXIT

# ---- the guest ----

one() { # LABEL
	local label=$1 guest=bench-$backend began created status=0
	store=0
	"up_$backend" || return 1
	began=$(nanoseconds)
	! declare -F "steps_$backend" >/dev/null || "steps_$backend" || return 1
	created=$(nanoseconds)
	guest_config "$guest" 256 bench "bed.size=$size" "$(kernel_block xvda "$root_dir/root")" "$disk"
	guest_start "$guest" || return 1
	echo "us $label $(guest_domid "$guest") $store" >>"$BENCH_OUT"
	timeout 900 "$watch" "$(guest_domid "$guest")" "$(xenstore-read "/local/domain/$(guest_domid "$guest")/console/tty")" \
		>"$work/marks" || status=$?
	sed "s/^/mark $label /" "$work/marks" >>"$BENCH_OUT"
	echo "start $label $((created - began)) $(($(awk '$NF == "ready" { print $1 }' "$work/marks") - created))" >>"$BENCH_OUT"
	guest_wait_exit "$guest" 60 && [ "$status" = 0 ] && guest_said "$guest" 'pass loads' && ! guest_said "$guest" fail
}

kernel_log_mark
check aes grep -qw aes /proc/cpuinfo # without these instructions figures mean nothing, so none are taken
grep -qw aes /proc/cpuinfo || BENCH_BACKENDS=
for module in dm-mod dm-crypt dm-thin-pool dm-snapshot dm-delay; do modprobe -q "$module"; done
: >"$BENCH_OUT"
cp --sparse=always "$BED/bases/root.img" "$root_dir/root"
base_sectors=$((64 << 11))
for store_kind in $BENCH_STORES; do
	suffix=
	[ "$store_kind" = memory ] || suffix=+$store_kind
	work=${work_in[$store_kind]}
	if [ "$store_kind" = slow ]; then
		check slow-disk slow_up
		mountpoint -q "$work" || continue # or its figures would be another disk's
	fi
	POOL=$work/pool
	mkdir -p "$POOL"
	head -c 64M /dev/urandom >"$work/base"
	for backend in $BENCH_BACKENDS; do
		case $suffix$backend in +*-off | +*ram) continue ;; esac
		sync
		check "$backend$suffix" one "$backend$suffix"
		check "$backend$suffix-goes" wait_for 30 "its storage to be free" down
	done
	[ -z "$DAEMON" ] || check "daemon-stops$suffix" daemon_stop
	[ "$store_kind" != slow ] || check slow-disk-goes wait_for 30 "the slow disk to be free" slow_down
	rm -rf "$work"
done
check kernel-log kernel_log_clean
