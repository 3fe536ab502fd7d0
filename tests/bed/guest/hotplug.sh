# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hotplug.sh - in the guest of cases/hotplug.sh: xvda and xvdb are worked hard and verified all the time, while
# xvdc comes, is found blank, is written, read back, and goes; then it goes while it is in use.

load_on xvda /var/tmp/load
load_on xvdb /dev/xvdb

# appeared: waits for the next xvdc, which is another disk than the last one: disks are numbered
seen=none
appeared() {
	until [ "$(cat /sys/block/xvdc/diskseq 2>/dev/null || echo "$seen")" != "$seen" ] && [ -b /dev/xvdc ]; do
		read -r -t 0.1 _ || true
	done
	seen=$(cat /sys/block/xvdc/diskseq)
}
# By its number too: the next one may stand there already
vanished() { while [ "$(cat /sys/block/xvdc/diskseq 2>/dev/null)" = "$seen" ]; do read -r -t 0.1 _ || true; done; }

# Nothing of the round before; then this round's own text, over two blocks and at the end
use() {
	local text
	text=$(printf '%s %s' "$seed" "$1" | sha256sum | cut -c1-64)
	yes "$text" | head -c 131072 >/tmp/round
	cmp -n 262144 /dev/zero <(dd if=/dev/xvdc bs=65536 count=4 iflag=direct status=none) || return 1
	for at in 1 253; do
		dd if=/tmp/round of=/dev/xvdc bs=65536 seek="$at" oflag=direct conv=notrunc status=none &&
			cmp /tmp/round <(dd if=/dev/xvdc bs=65536 skip="$at" count=2 iflag=direct status=none) || return 1
	done
}

rounds() {
	local n
	for ((n = 1; n <= rounds; n++)); do
		appeared
		use "$n" || return 1
		say "used $n" >/dev/hvc0 # check() keeps the rest for itself
		vanished
	done
}
rounds=${size#rounds-}
until [ "$(moved xvdb)" -gt 2048 ]; do read -r -t 0.1 _ || true; done # fio is slow to start
before=$(moved xvda) before_b=$(moved xvdb)
say loaded
check every-round rounds
check loads-went-on loads_run
loads_moved() {
	echo "xvda $((($(moved xvda) - before) / 2048)) MiB, xvdb $((($(moved xvdb) - before_b) / 2048)) MiB"
	[ $(($(moved xvda) - before)) -gt $((rounds * 82)) ] && [ $(($(moved xvdb) - before_b)) -gt $((rounds * 82)) ]
}
check loads-moved loads_moved
cat /tmp/check.out
check kernel-log-of-rounds kernel_log_clean

# In use: a file system on it is mounted, and written to. What Linux makes of that is no error of ours.
use_mounted() { mkfs.ext4 -q /dev/xvdc && mount /dev/xvdc /mnt && marker_lines 1000 >/mnt/marker && sync; }
for how in asked paused; do
	say "next $how"
	appeared
	check "mounted-$how" use_mounted
	say "mounted $how"
	vanished
	say "lost $how"
	umount -l /mnt
	dmesg -C
	check "loads-after-$how" loads_run
done

# By force, in mid-I/O: the other disks do not notice
appeared
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
(fio --name=forced --filename=/dev/xvdc --rw=randwrite --bs=64k --iodepth=8 --ioengine=libaio --direct=1 --time_based \
	--runtime=36000 >/dev/null 2>&1 &)
until [ "$(moved xvdc)" -gt 4096 ]; do read -r -t 0.1 _ || true; done
hold "busy forced"
loads_move() { # SECONDS
	local n a b
	a=$(moved xvda) b=$(moved xvdb)
	for ((n = 0; n < $1 * 10; n++)); do
		[ "$(moved xvda)" -le $((a + 2048)) ] || [ "$(moved xvdb)" -le $((b + 2048)) ] || return 0
		read -r -t 0.1 _ || true
	done
	return 1
}
check loads-after-forced loads_move 60
hold detached
check loads-to-the-end loads_run
end_loads
