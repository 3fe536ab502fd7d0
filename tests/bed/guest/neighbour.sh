# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# neighbour.sh - in the guest, by its role:
#   worker  does the same piece of verified disk work on xvdb for every "go", and says how long it took
#   hammer  keeps its CPU busy as the word from dom0 says: spin, or a play without end of tests/hostile on
#           xvdb, which no driver of the kernel's has

work() {
	fio --name=work --filename=/dev/xvdb --size=4M --rw=randrw --bssplit=4k/60:16k/30:64k/10 --iodepth=8 \
		--ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --serialize_overlap=1 \
		--randseed=7 --minimal >/tmp/work.out 2>&1
}
hundredths() { tr -d . </proc/uptime | cut -d' ' -f1; }

case $role in
worker)
	work # once for the caches
	while say rest && read -r word && [ "$word" = go ]; do
		began=$(hundredths)
		if work; then say "took $(($(hundredths) - began))"; else fail work "$(tail -n 3 /tmp/work.out)"; fi
	done
	;;
hammer)
	for m in xen-gntalloc xen-evtchn; do load "$m"; done
	echo 0 >/sys/bus/xen/drivers_autoprobe
	echo vbd-51728 >/sys/bus/xen/drivers/vbd/unbind
	job=
	say rest
	while read -r word && [ "$word" != stop ]; do
		[ -z "$job" ] || kill -9 "$job"
		if [ "$word" = spin ]; then
			/run/bed/busybox sh -c 'while :; do :; done' &
		else
			LD_LIBRARY_PATH=/run/bed/hostile/lib /run/bed/hostile/hostile --where xen --disk 51728 \
				--table /run/bed/hostile/hostile.tbl "endless-$word" &
		fi
		job=$!
		sleep 1
		check "busy-with-$word" kill -0 "$job"
		say "at $word"
	done
	kill -9 "$job"
	;;
esac
