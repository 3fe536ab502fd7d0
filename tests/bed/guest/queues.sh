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
check fio-verify verify
used() { awk '/blkif/ { seen++; if ($2 + $3 > 100) busy++ } END { exit !(seen >= 2 && busy >= 2) }' /proc/interrupts; }
check both-interrupts used
