# shellcheck shell=bash disable=SC2154,SC2034 # of and for bed.sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# look.sh - what bed.sh does for a case that wants the whole machine searched. What dom0 asks for by a line:
#
#   BED: key NAME HEX       a guest's key, masked as the forensic worker tells it: searched for from now on
#   BED: marker NAME SEED   likewise the marker sha256(SEED), which is computed here and nowhere in the machine
#   BED: look memory LABEL  the machine stops, all its memory is searched, and it goes on
#   BED: look disks LABEL   every byte of its disks is searched
#   BED: cut LABEL WORDS    the power goes; the disks are searched; it boots again, with WORDS for dom0's kernel
#
# The answer, what memscan says and a line "end LABEL", is written to the end of the logs' disk, where dom0 reads it.
# The machine's memory is a file without a name, which we open by way of /proc: what a dump of it would hold, byte
# for byte (tests/sim/test_look.sh), but keys and markers of guests come to no disk of ours, and it takes no time.

answer_at=255 # MiB into the logs' disk

# Adds that to machine, what QEMU is told of it
open_memory() {
	machine+=(-object "memory-backend-memfd,id=ram,size=${memory_size}M,share=on" -machine memory-backend=ram)
}
# The process of QEMU, not the one that guards its time
machine_pid() { pgrep -P "$qemu"; }
machine_memory() { find "/proc/$(machine_pid)/fd" -lname '/memfd:*'; }

monitor() { perl "$bed/monitor.pl" "$run/monitor" "$@"; }

scan() {
	local label=$1
	shift
	while read -r verb name secret; do
		[ "$verb" != marker ] || secret=$(printf %s "$secret" | sha256sum | cut -c1-64)
		echo "$verb $name $secret"
	done <"$run/known" | "$BUILD/tests/memscan" -n 1000 "$@" >"$run/looks/$label" 2>"$run/looks/$label.err" ||
		{ say "memscan: $(cat "$run/looks/$label.err")"; echo "failed" >"$run/looks/$label"; }
	sed -n 's/^\(sum [^ ]* [^ ]* [1-9].*\|searched .*\|failed\)/    \1/p' "$run/looks/$label"
}

answer() {
	{ cat "$run/looks/$1"; echo "end $1"; } | head -c 1M |
		dd of="$run/logs.img" bs=1M seek="$answer_at" conv=notrunc,sync iflag=fullblock status=none
}

look_memory() {
	local label=$1 start=$SECONDS
	monitor stop
	scan "$label" "$(machine_memory)"
	answer "$label"
	monitor cont
	say "memory for '$label': searched in $((SECONDS - start)) s"
}

look_disks() {
	local label=$1 start=$SECONDS
	scan "$label" "$run"/{dom0,bed,logs}.img
	answer "$label"
	say "disks for '$label': searched in $((SECONDS - start)) s"
}

# As hard as it can
cut_power() {
	local label=$1
	kill -KILL "$(machine_pid)"
	{ wait "$qemu" || true; } 2>/dev/null
	rm -f "$run/monitor" # or it would be taken for the next machine's
	dom0_words=$2
	say "the power is cut"
	look_disks "$label"
	power_on
}

# look_line LINE: true if that was for us
look_line() {
	local verb what rest
	read -r _ verb what rest <<<"$1"
	case $verb-$what in
	key-* | marker-*) echo "$verb $what $rest" >>"$run/known" ;;
	look-memory) look_memory "$rest" ;;
	look-disks) look_disks "$rest" ;;
	cut-*) cut_power "$what" "$rest" ;;
	*) return 1 ;;
	esac
}

# What the machine is for such a case: one whose memory is open to us; and dom0's kernel is told something at its
# first boot
looked_at() { [[ " $CASES " = *" forensics "* || " $CASES " = *" storage "* ]]; }
first_words() { ! looked_at || echo init_on_free=1; }
