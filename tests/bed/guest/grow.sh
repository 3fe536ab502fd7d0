# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# grow.sh - in the guest of cases/grow.sh: xvdb is an ext4 file system in use, xvdc a raw disk; both grow
# by 64 MiB under it, xvdc again and again, and what is new is read, written and read back. All the while
# xvda and the beginning of xvdc are written and compared.

mib() { echo $(($(cat "/sys/block/$1/size") / 2048)); }
# grown DEVICE MIB: once it has that size; dom0 ends us if it never has
grown() { until [ "$(mib "$1")" = "$2" ]; do read -r -t 0.3 _ || true; done; }

check mount-xvdb mount /dev/xvdb /mnt
sums() { (cd /mnt && sha256sum --quiet -c sums); }
check xvdb-as-in-base sums
fs_before=$(mib xvdb)
raw_before=$(mib xvdc)
fs_blocks=$(stat -f -c %b /mnt)
check xvdc-write dd if=/dev/urandom of=/dev/xvdc bs=1M seek=$((raw_before - 1)) count=1 oflag=direct conv=notrunc
last=$(dd if=/dev/xvdc bs=1M skip=$((raw_before - 1)) count=1 iflag=direct status=none | sha256sum)
load_on xvda /var/tmp/load
load_on xvdc /dev/xvdc
hold ready

grown xvdb $((fs_before + 64))
pass xvdb-follows
say followed
check resize resize2fs /dev/xvdb
larger() { [ "$(stat -f -c %b /mnt)" -gt "$fs_blocks" ]; }
check file-system-larger larger
fill() { # more than there was room for
	head -c $((48 << 20)) /dev/urandom >/mnt/large && sha256sum /mnt/large >/tmp/large.sum
}
check fill fill
drop_caches
check fill-reads-back sha256sum --quiet -c /tmp/large.sum
check xvdb-still-as-in-base sums
umount /mnt
check xvdb-fsck e2fsck -fn /dev/xvdb
hold filled

for n in 1 2 3 4; do
	before=$(moved xvdc)
	grown xvdc $((raw_before + 64 * n))
	pass "xvdc-follows-$n"
	until [ $(($(moved xvdc) - before)) -gt 2048 ] || ! loads_run; do read -r -t 0.3 _ || true; done
	check "loads-after-$n" loads_run
	say "grown $n"
done
check new-range-zeros cmp -n $((64 << 20)) /dev/zero <(dd if=/dev/xvdc bs=1M skip="$raw_before" count=64 iflag=direct status=none)
# Over the old end and up to the new one
raw_io() {
	fio --name=grown --filename=/dev/xvdc --offset=$((raw_before - 2))M --size=66M --direct=1 --ioengine=libaio --iodepth=16 \
		--rw=write --bs=128k --verify=crc32c --verify_fatal=1 --do_verify=1 --minimal
}
last_reads_back() { [ "$last" = "$(dd if=/dev/xvdc bs=1M skip=$((raw_before - 1)) count=1 iflag=direct status=none | sha256sum)" ]; }
check written-before-reads-back last_reads_back
check new-range-written raw_io
check loads-to-the-end loads_run
end_loads
