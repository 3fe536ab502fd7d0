# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# queues.sh - in the guest: one disk with a queue for each of two CPUs, both in use at once.

queues() { [ "$(find /sys/block/xvdd/mq -mindepth 1 -maxdepth 1 | wc -l)" = 2 ]; }
check two-queues queues
# Jobs on a CPU each, on parts of their own, so that both rings are full at the same time
verify() {
	fio --filename=/dev/xvdd --size=16M --offset_increment=16M --numjobs=2 --cpus_allowed=0,1 \
		--cpus_allowed_policy=split --direct=1 --ioengine=libaio --iodepth=32 --rw=randrw --name=queues \
		--bssplit=512/10:4k/50:64k/30:1M/10 --verify=crc32c --verify_fatal=1 --do_verify=1 \
		--serialize_overlap=1 --minimal
}
interrupts() { awk '/blkif/ { print $1, $2 + $3 }' /proc/interrupts; }
fio --version >/tmp/version
before=$(interrupts)
check fio-verify verify
# Each of its queues has told us more than once; how often it must depends on how much is done between two
told() { join <(sort <<<"$before") <(interrupts | sort) | awk '{ print } $3 - $2 > 10 { n++ } END { exit n < 2 }'; }
check both-interrupts told
