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
# whose flush takes 2 ms, as those of good solid-state disks do, and nothing else any time: there volumes are parts of
# that disk, as a logical volume is, and files are on a file system of it. Lines of $BENCH_OUT:
#
#   start BACKEND STEPS READY       ns: to make its storage; from then on until the guest has read a block of it
#   mark BACKEND NS DOMID:NS... WORDS       at each mark (guest/bench.sh): the time, what each domain had of the CPUs
#   us BACKEND GUEST STORE          domids: of the guest, and of the domain that serves xvdb
#
# BENCH_BACKENDS picks some, BENCH_STORES is "memory disk slow"; BENCH_SCALE makes volumes and loads larger. Nothing here
# is tuned: all are as they come. Whatever it makes on this machine has a name that was drawn, and goes when it ends.

. "$BED/store.sh"
: "${BENCH_BACKENDS:=plain qubes qubes4k snapshot qcow2 dir dir-off dir-qubes block ram ram-off stubdom}" "${BENCH_OUT:=$LOGS/bench}"
: "${BENCH_STORES:=memory disk slow}" "${BENCH_SCALE:=1}" "${BENCH_WATCH:=/usr/lib/blkback-ephem-tests/xen-watch}"
tag=bench-$(head -c 6 /dev/urandom | od -An -tx1 | tr -d ' \n')
root_dir=/var/lib/$tag
declare -A work_in=([memory]=/dev/shm/$tag [disk]=$root_dir/disk [slow]=$root_dir/slow)
slow_file=$root_dir/slow.img
policies=$CONFIG/domains
POOL_MIB=$((160 * BENCH_SCALE)) BASE_MIB=$((64 * BENCH_SCALE))
base_sectors=$((BASE_MIB << 11))
backend='' guest='' store=0
size=short
[ -z "$LONG" ] || size=long

nanoseconds() { "$BENCH_WATCH"; }
table() { dmsetup create --noudevsync --noudevrules "$tag-$1" --table "$2" && dmsetup mknodes "$tag-$1"; }
mapped() { echo "/dev/mapper/$tag-$1"; }
crypt() { # NAME DEVICE [OPTION]: with a key that nobody knows
	table "$1" "0 $(blockdev --getsz "$2") crypt aes-xts-plain64 $(head -c 64 /dev/urandom | od -An -tx1 | tr -d ' \n') 0 $2 0${3:+ 1 $3}"
}
# scratch NAME MIB: a device, its path in $scratch; on the slow disk a part of that, elsewhere a loop device
scratch() {
	if [ "$store_kind" = slow ]; then
		scratch=$(mapped "$1")
		table "$1" "0 $(($2 << 11)) linear $(mapped slow) $((files_mib << 11))"
	else
		truncate -s "$2M" "$work/$1" && scratch=$(losetup -f --show "$work/$1")
	fi
}
filled() { dd if="$work/base" of="$1" bs=1M oflag=direct status=none; }
device() { kernel_block xvdb "$1"; }
policy() { printf '[pool]\npool=%s\nintegrity=%s\n' "$1" "$2" >"$policies/$tag-$backend.conf"; }

# ---- backends: each sets disk, by the steps that an operator, or Qubes OS, takes before xl; can_: or why not here ----

up_plain() {
	scratch plain "$BASE_MIB" && filled "$scratch" && disk=$(device "$scratch")
}

# The pool and the template's volume are there for long; a qube's start takes a snapshot of it
up_qubes() { # [OPTION]
	local room=$((POOL_MIB + 92 * BENCH_SCALE))
	scratch pv $((room + 4)) &&
		crypt pv-clear "$scratch" "${1:-}" &&
		table meta "0 8192 linear $(mapped pv-clear) 0" &&
		table data "0 $((room << 11)) linear $(mapped pv-clear) 8192" &&
		dd if=/dev/zero of="$(mapped meta)" bs=4096 count=1 status=none &&
		table pool "0 $((room << 11)) thin-pool $(mapped meta) $(mapped data) 128 0" &&
		dmsetup message "$tag-pool" 0 "create_thin 0" &&
		table template "0 $base_sectors thin $(mapped pool) 0" &&
		filled "$(mapped template)"
}
steps_qubes() {
	dmsetup suspend "$tag-template" &&
		dmsetup message "$tag-pool" 0 "create_snap 1 0" &&
		dmsetup resume --noudevsync "$tag-template" &&
		table volume "0 $base_sectors thin $(mapped pool) 1" &&
		disk=$(device "$(mapped volume)")
}

up_qubes4k() { up_qubes sector_size:4096; }
steps_qubes4k() { steps_qubes; }

up_snapshot() {
	origin=$(losetup -r -f --show "$work/base") && scratch cow "$POOL_MIB"
}
steps_snapshot() {
	crypt cow-clear "$scratch" &&
		dd if=/dev/zero of="$(mapped cow-clear)" bs=4096 count=1 status=none &&
		table volume "0 $base_sectors snapshot $origin $(mapped cow-clear) P 8" &&
		disk=$(device "$(mapped volume)")
}

# Where qemu-img is not there somebody else may have made one, over a base beside it
can_qcow2() { command -v qemu-img || [ -e "$BED/bench.qcow2" ] || { why="qemu-img is not there" && false; }; }
up_qcow2() { :; }
steps_qcow2() {
	if [ -e "$BED/bench.qcow2" ]; then cp "$BED/bench.qcow2" "$work/overlay"
	else qemu-img create -q -f qcow2 -b base -F raw "$work/overlay"; fi &&
		disk="backendtype=qdisk,format=qcow2,vdev=xvdb,access=rw,target=$work/overlay"
}

# Ours: all that an operator does is a line in the guest's configuration, and here one for the pool
up_ours() { # POOL INTEGRITY
	[ -n "$DAEMON" ] || check daemon daemon_start
	policy "$1" "$2" && disk=$(ephemeral xvdb "$work/base")
}
up_dir() { up_ours "dir:$POOL" on; }
up_dir-qubes() {
	up_qubes && up_ours "dir:$POOL" on && disk=$(ephemeral xvdb "$(mapped template)")
}
up_dir-off() { up_ours "dir:$POOL" off; }
up_block() { scratch blocks "$POOL_MIB" && up_ours "block:$scratch" on; }
up_block-off() { scratch blocks "$POOL_MIB" && up_ours "block:$scratch" off; }
up_ram() { up_ours "ram:${POOL_MIB}M" on; }
up_ram-off() { up_ours "ram:${POOL_MIB}M" off; }

can_stubdom() { [ -e "$BED/stubdom/initramfs" ] || { why="there is no image, see 'make stubdom'" && false; }; }
up_stubdom() {
	local name=$tag-store
	store_config "$name" initramfs shared &&
		scratch blocks "$POOL_MIB" &&
		sed -i "s|'format=raw,backendtype=phy,vdev=xvda[^']*'|'$(kernel_block xvda "$scratch")'|
			s|'format=raw,backendtype=phy,vdev=xvdc[^']*'|'$(kernel_block xvdc "$work/base" ro)'|" "$GUESTS/$name.cfg" &&
		store_start "$name" && store=$(guest_domid "$name") &&
		disk=$(UNTRUSTED='' stored_disk "$name" xvdb /bases/data)
}

# ---- and away ----

ended() { # NAME
	[ ! -e "$GUESTS/$1.cfg" ] || { { guest_absent "$1" || xl destroy "$1"; } && rm -f "$GUESTS/$1.cfg"; }
}
unmapped() { # NAME
	! dmsetup info "$tag-$1" || dmsetup remove --noudevsync --retry "$tag-$1" || return 1
	rm -f "$(mapped "$1")" # where there is no udev to do it
}
# A loop device of a file that is not there any more goes by itself when the last who has it open does
unlooped() { # DIRECTORY
	losetup -l -n -O NAME,BACK-FILE | awk -v work="$1/" 'index($2, work) == 1 && $NF != "(deleted)" { print $1 }' | xargs -r losetup -d
}
down() {
	local name
	{ [ -z "$guest" ] || ended "$guest"; } && ended "$tag-store" || return 1
	for name in volume template pool data meta pv-clear cow-clear plain pv cow blocks; do unmapped "$name" || return 1; done
	unlooped "$work" && rm -f "$work"/{plain,pv,cow,overlay,blocks,"$tag-store.pool"} "$policies/$tag-$backend.conf"
}

# Its first part has a file system, for what is a file; the rest is for volumes, one at a time
files_mib=$((2 * (POOL_MIB + BASE_MIB)))
slow_up() {
	local loop
	truncate -s $((files_mib + 2 * POOL_MIB))M "$slow_file" && loop=$(losetup --direct-io=on -f --show "$slow_file") &&
		table slow "0 $(blockdev --getsz "$loop") delay $loop 0 0 $loop 0 0 $loop 0 2" &&
		table files "0 $((files_mib << 11)) linear $(mapped slow) 0" &&
		mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$(mapped files)" && mkdir "${work_in[slow]}" &&
		mount "$(mapped files)" "${work_in[slow]}"
}
slow_down() {
	! mountpoint -q "${work_in[slow]}" || umount "${work_in[slow]}" || return 1
	unmapped files && unmapped slow && unlooped "$root_dir" && rm -f "$slow_file"
}
all_down() {
	local status=$?
	trap '' INT TERM HUP
	if [ -n "${work:-}" ]; then wait_for 60 "its storage to be free" down || true; fi
	daemon_stop || true
	wait_for 30 "the slow disk to be free" slow_down || true
	[ -z "${began_here:-}" ] || mountpoint -q "${work_in[slow]}" || rm -rf "${work_in[@]}" "$root_dir"
	exit "$status"
}
trap all_down EXIT
trap 'exit 1' INT TERM HUP

# ---- the guest ----

one() { # LABEL
	local label=$1 began created status=0
	guest=$tag-$backend store=0
	"up_$backend" || return 1
	began=$(nanoseconds)
	! declare -F "steps_$backend" >/dev/null || "steps_$backend" || return 1
	created=$(nanoseconds)
	guest_config "$guest" 256 bench "bed.size=$size bed.scale=$BENCH_SCALE" "$(kernel_block xvda "$root_dir/root")" "$disk"
	guest_start "$guest" || return 1
	timeout --foreground 900 "$BENCH_WATCH" "$(guest_domid "$guest")" "$(xenstore-read "/local/domain/$(guest_domid "$guest")/console/tty")" \
		"$work" >"$root_dir/marks" || status=$?
	guest_wait_exit "$guest" 60 && [ "$status" = 0 ] && guest_said "$guest" 'pass loads' && ! guest_said "$guest" fail || return 1
	{
		echo "us $label $(guest_domid "$guest") $store"
		sed "s/^/mark $label /" "$root_dir/marks"
		echo "start $label $((created - began)) $(($(awk '$NF == "ready" { print $1 }' "$root_dir/marks") - created))"
	} >>"$BENCH_OUT"
}

# room DIRECTORY: for a base and what the largest of them has beside it
room() {
	local there
	there=$(df --output=avail -m "$1" | tail -n 1)
	[ "$there" -ge $((5 * BASE_MIB)) ] || { echo "$1 has $there MiB, of $((5 * BASE_MIB)) that are needed"; return 1; }
}

measure_store() {
	local suffix=
	[ "$store_kind" = memory ] || suffix=+$store_kind
	work=${work_in[$store_kind]}
	if [ "$store_kind" = slow ]; then
		check slow-disk slow_up
		mountpoint -q "$work" || return 0 # or its figures would be another disk's
	else
		mkdir "$work"
	fi
	POOL=$work/pool
	mkdir "$POOL"
	if room "$work"; then pass "room$suffix"; else
		fail "room$suffix" "$work is too small: BENCH_SCALE or BENCH_STORES can be less"
		return 0
	fi
	head -c "${BASE_MIB}M" /dev/urandom >"$work/base"
	for backend in $BENCH_BACKENDS; do
		case $store_kind$backend in memory*) ;; *ram | *ram-off) continue ;; esac
		! declare -F "can_$backend" >/dev/null || "can_$backend" ||
			{ say "$backend$suffix is not measured: $why" && continue; }
		sync
		check "$backend$suffix" one "$backend$suffix"
		check "$backend$suffix-goes" wait_for 60 "its storage to be free" down
	done
	[ -z "$DAEMON" ] || check "daemon-stops$suffix" daemon_stop
	[ "$store_kind" != slow ] || check slow-disk-goes wait_for 30 "the slow disk to be free" slow_down
	rm -rf "$work"
}

kernel_log_mark
check aes grep -qw aes /proc/cpuinfo # without these instructions figures mean nothing, so none are taken
grep -qw aes /proc/cpuinfo || BENCH_STORES=
for module in dm-mod dm-crypt dm-thin-pool dm-snapshot dm-delay; do modprobe -q "$module" || true; done
: >"$BENCH_OUT"
mkdir "$root_dir" && began_here=1
mkdir -p "$policies"
cp --sparse=always "$BED/bases/root.img" "$root_dir/root"
for store_kind in $BENCH_STORES; do measure_store; done
check kernel-log kernel_log_clean
