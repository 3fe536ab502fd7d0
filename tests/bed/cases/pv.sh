# shellcheck shell=bash disable=SC2153 # SEED is the run's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pv - a PV guest with two CPUs: two queues a disk, served by two threads. For BED_SMP=2.

kernel_log_mark
TYPE=pv VCPUS=2 guest_config pi 320 queues "bed.seed=$SEED-pv bed.blkfront=max_ring_page_order=2" \
	"$(ephemeral xvda "$BED/bases/root.img")" "$(ephemeral xvdd blank:64M)"
check daemon daemon_start --threads 2 --verbose
check create guest_start pi
check power-off guest_wait_exit pi 600
check multi-queue grep -q 'connecting 2 queues of 4 pages' "$DAEMON_LOG"
guest_results pi
check end guest_said pi end
check no-workers wait_for 20 "the worker to go" no_workers
check daemon-stops daemon_stop
check kernel-log kernel_log_clean
