# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# attach.sh - in the guest of cases/attach.sh: xvda, the root, is read-only and stays so; every other disk is one that
# dom0 attaches and detaches while we run. What Linux makes of a disk that goes while it is mounted is no error of ours.

# appeared NAME: waits for another disk than the last one of that name: disks are numbered
declare -A seen
diskseq() { cat "/sys/block/$1/diskseq" 2>/dev/null; }
appeared() {
	until [ -b "/dev/$1" ] && [ "$(diskseq "$1")" != "${seen[$1]:-}" ] && [ "$(cat "/sys/block/$1/size")" -gt 0 ]; do
		read -r -t 0.1 _ || true
	done
	seen[$1]=$(diskseq "$1")
}
vanished() { while [ "$(diskseq "$1")" = "${seen[$1]}" ]; do read -r -t 0.1 _ || true; done; }
raw() { dd if=/tmp/raw "of=/dev/$1" bs=65536 oflag=direct conv=notrunc status=none; }
raw_reads_back() { cmp /tmp/raw <(dd "if=/dev/$1" bs=65536 count=16 iflag=direct status=none); }
blank() { cmp -n $((16 << 20)) /dev/zero "/dev/$1"; }
busy() {
	fio --name="busy-$1" --filename="/dev/$1" --size=8M --rw=randwrite --bs=64k --iodepth=8 --ioengine=libaio \
		--direct=1 --time_based --runtime=36000 >/dev/null 2>&1 &
	until [ "$(moved "$1")" -gt 2048 ]; do read -r -t 0.1 _ || true; done
}
# goes_on NAME: it moves 1 MiB more, within a minute
goes_on() {
	local n from
	from=$(moved "$1")
	for ((n = 0; n < 600; n++)); do
		[ "$(moved "$1")" -le $((from + 2048)) ] || return 0
		read -r -t 0.1 _ || true
	done
	return 1
}

cd /tmp || exit
marker_lines 20000 | head -c 1048576 >/tmp/raw
dmesg -C # the root was first tried writable
check root-read-only grep -q '^/dev/xvda / ext4 ro' /proc/mounts

# xl's own, where dom0 had attached another one before: that one goes while we use xl's
appeared xvde
check taken-write raw xvde
check taken-reads-back raw_reads_back xvde
hold used-xvde
check taken-goes-on-reading raw_reads_back xvde
check taken-goes-on-writing raw xvde
say on-xvde
vanished xvde
say lost-xvde

# It was there before we were
appeared xvdc
check paused-blank blank xvdc
check paused-write raw xvdc
check paused-reads-back raw_reads_back xvdc
say used-xvdc
vanished xvdc
say lost-xvdc

# While we run; it goes mounted
appeared xvdb
check mount mount /dev/xvdb /mnt
sums() { (cd /mnt && sha256sum --quiet -c sums); }
check as-in-base sums
write_marker() { marker_lines 65536 >/mnt/marker && drop_caches; }
check write write_marker
has_marker() { [ "$(marker_lines 65536 | sha256sum)" = "$(sha256sum </mnt/marker)" ]; }
check reads-back has_marker
check kernel-log-of-use kernel_log_clean
say mounted-xvdb
vanished xvdb
umount -l /mnt
say lost-xvdb

# Again: nothing of the time before
appeared xvdb
check again-mount mount -o ro /dev/xvdb /mnt
check again-as-in-base sums
check again-pristine [ ! -e /mnt/marker ]
umount /mnt
say unmounted-xvdb
vanished xvdb
say lost-again
dmesg -C

# Two at work: one goes by force, with requests on their way; the other serves on, and then we are destroyed
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
appeared xvdb
busy xvdb
appeared xvdd
check last-write raw xvdd
busy xvdd
hold busy
check other-goes-on goes_on xvdd
say at-work
while :; do read -r -t 60 _ || true; done
