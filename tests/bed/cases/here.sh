# shellcheck shell=bash disable=SC2154 # case
# SPDX-License-Identifier: GPL-2.0-or-later
#
# here - what `make demo` does on a machine that is itself a Xen dom0: ../here.sh runs the demo case in a
# directory of its own, with programs that are not installed. So does a case that reads the logs of kernel and Xen, which are
# this host's, and stay whole. So does `bench`, beside names that it once took for its own, and when it is told to end.

mkdir -p /tmp/here/roots /tmp/here/bin /tmp/here/programs
ln -s /bin/busybox /tmp/here/bin/cpio
ln -s "$BED/vmlinuz" "$BED/guest.cpio" /tmp/here/roots
ln -s "$BED/bases/root.img" /tmp/here/roots/guest.img
cp /usr/sbin/blkback-ephemd /usr/sbin/ephemctl /etc/xen/scripts/block-ephem \
	/usr/libexec/blkback-ephem/blkback-ephem /tmp/here/programs
here() { # CASE [VARIABLE=VALUE...]
	local name=$1
	shift
	env -u BED -u BED_LOGS "$@" PATH="$PATH:/tmp/here/bin" BED_ROOTS=/tmp/here/roots BUILD=/tmp/here/programs "$BED/here/here.sh" "$name"
}
check demo here demo
lines=$(dmesg | wc -l)
check smoke here smoke
check kernel-log-kept [ "$(dmesg | wc -l)" -ge "$lines" ]

figures=/tmp/here/figures
bench() { here bench BENCH_BACKENDS="$1" BENCH_STORES="$2" BENCH_OUT="$figures"; }
loads_of() { awk -v backend="$1" '$1 == "mark" && $2 == backend { for (i = 4; i < NF; i++) if ($i == "end" && $(i + 2) > 0) n++ } END { print n + 0 }' "$figures"; }
left_over() {
	xl list | tail -n +3
	dmsetup ls | grep -v '^bench-volume'
	losetup -l -n -O BACK-FILE | grep -F bench-
	ls -d /var/lib/bench-* /dev/shm/bench-* /var/tmp/ephem-here.* /etc/blkback-ephem/domains/bench-*
} 2>/dev/null
nothing_left() { left_over; [ -z "$(left_over)" ]; }
strangers() { [ "$(cat /var/lib/bench/file)" = mine ] && dmsetup info bench-volume && [ "$(cat /etc/blkback-ephem/blkback-ephem.conf)" = "no such line" ]; }
mkdir -p /var/lib/bench /etc/blkback-ephem
echo mine >/var/lib/bench/file
echo "no such line" >/etc/blkback-ephem/blkback-ephem.conf
modprobe dm-mod
dmsetup create --noudevsync --noudevrules bench-volume --table "0 8 zero"
check bench bench "plain qubes qcow2 dir" memory
for backend in plain qubes dir; do check "bench-$backend" [ "$(loads_of "$backend")" = 25 ]; done
is bench-without-qemu-img "$(loads_of qcow2)" 0
check bench-leaves-nothing nothing_left
check bench-leaves-others strangers

# In the middle of a load, on the slow disk
loads_now() { grep -qs "begin base-read" /var/lib/bench-*/marks; }
domain_named() { xl list | grep -q "^bench-[0-9a-f]*-$1 "; }
bench "qubes" slow >/tmp/here/ended.out 2>&1 &
check bench-again wait_for 300 "a guest" domain_named qubes
check bench-loads wait_for 300 "a load" loads_now
pkill -TERM -f '^/bin/bash .*/here.sh bench'
ended=0
wait $! || ended=$?
check bench-ends-failed [ "$ended" != 0 ]
cat /tmp/here/ended.out
check ended-leaves-nothing nothing_left
check ended-leaves-others strangers
check goes dmsetup remove --noudevsync --retry bench-volume
rm -r /var/lib/bench /etc/blkback-ephem/blkback-ephem.conf # the next case's daemon would refuse it
check no-domain-left [ "$(xl list | tail -n +3 | wc -l)" = 0 ]
