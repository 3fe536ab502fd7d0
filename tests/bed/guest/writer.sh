# shellcheck shell=bash disable=SC2154 # variables of guest/init
# SPDX-License-Identifier: GPL-2.0-or-later
#
# writer.sh - in the guest: first write our own name on xvdb and see that it stays ours while another
# guest on the same base does the same; then write, and read back from the disk, until told to "stop".
# Told "hard", keep 32 more writes in flight from then on. In the role of "calm" a beat comes seldom: whoever else runs
# on the bed's one CPU has more of it.

write_name() { mount /dev/xvdb /mnt && yes "$name" | head -n 100000 >/mnt/name && drop_caches; }
check writes-its-name write_name
hold named
drop_caches
my_name() { [ "$(yes "$name" | head -n 100000 | sha256sum)" = "$(sha256sum </mnt/name)" ]; }
check reads-its-name my_name
umount /mnt

# beat N: block N differs from all others; it goes to the raw volume, past any cache, and comes back.
beat() {
	marker_lines 1000 | sed "s/$/ $1/" | head -c 65536 >/tmp/block
	dd if=/tmp/block of=/dev/xvdb bs=65536 seek=$(($1 % 900 + 64)) oflag=direct conv=notrunc status=none &&
		dd if=/dev/xvdb bs=65536 skip=$(($1 % 900 + 64)) count=1 iflag=direct status=none | cmp - /tmp/block
}
hard() {
	fio --name=hard --filename=/dev/xvdb --size=4M --rw=randwrite --bs=4k --iodepth=32 --ioengine=libaio \
		--direct=1 --time_based --runtime=36000 >/dev/null 2>&1 &
	say hard
}
pause=0.3
[ "$role" != calm ] || pause=1
n=0
word=
say beating
until [ "$word" = stop ]; do
	n=$((n + 1))
	beat "$n" || { fail "beat-$n" "block $n was not served"; break; }
	say "beat $n"
	read -r -t "$pause" word || true
	[ "$word" != hard ] || { hard; word=; }
done
[ "$word" != stop ] || pass served-to-the-end
