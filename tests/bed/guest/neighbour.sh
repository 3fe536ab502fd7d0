# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# neighbour.sh - in the guest, by its role:
#   worker  does the same piece of verified disk work on xvdb for every "go", and says how long it took
#   hammer  keeps its CPU busy as the word from dom0 says, until the next line: spin, or a play without end
#           of tests/hostile on each of its disks, which no driver of the kernel's has

disks="51728 51744"

work() {
	fio --name=work --filename=/dev/xvdb --size=2M --rw=randrw --bssplit=4k/60:16k/30:64k/10 --iodepth=8 \
		--ioengine=libaio --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 --serialize_overlap=1 \
		--randseed=7 --minimal >/tmp/work.out 2>&1
}
hundredths() { tr -d . </proc/uptime | cut -d' ' -f1; }

begin() {
	local id
	if [ "$1" = spin ]; then
		nice /run/bed/busybox sh -c 'echo busy; while :; do :; done' >/tmp/spin &
		jobs=("$!")
		return
	fi
	for id in $disks; do
		LD_LIBRARY_PATH=/run/bed/hostile/lib nice /run/bed/hostile/hostile --where xen --disk "$id" \
			--table /run/bed/hostile/hostile.tbl "endless-$1" >"/tmp/play.$id" 2>&1 &
		jobs+=("$!")
	done
}
are_busy() { [ "$(cat /tmp/spin /tmp/play.* 2>/dev/null | grep -cx busy)" = ${#jobs[@]} ]; }

# What each play says it got done, and how the table judges it
finish() {
	local id
	kill "${jobs[@]}"
	wait "${jobs[@]}"
	for id in $disks; do
		[ ! -e "/tmp/play.$id" ] ||
			sed "s/^\(pass\|fail\) [^ ]*/&-of-$id/; /^busy\|passed,/d; s/^/GUEST: /" "/tmp/play.$id"
	done
	rm -f /tmp/spin /tmp/play.*
}

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
	for id in $disks; do echo "vbd-$id" >/sys/bus/xen/drivers/vbd/unbind; done
	while say rest && read -r word && [ "$word" != stop ]; do
		jobs=()
		begin "$word"
		for _ in $(seq 200); do ! are_busy || break; sleep 0.1; done
		check "began-$word" are_busy
		hold "at $word"
		check "busy-with-$word" alive "${jobs[@]}"
		finish
	done
	;;
esac
