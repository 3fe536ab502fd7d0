# shellcheck shell=bash disable=SC2154 # for cases, which set dir, domid, stub, guest, orders and asked
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pair.sh - for cases with an HVM guest whose device model runs in a stub domain (guest/stub.sh, guest/stubdom.sh).

# The disk of kernels: what the stub domain's qemu is told to load. libxl cannot emulate a read-only disk among the
# first four; the fifth is there by PV drivers alone.
make_kernels() {
	mkdir -p "$dir/kernels"
	cp "$BED/vmlinuz" "$BED/guest.cpio" "$dir/kernels"
	truncate -s 64M "$dir/kernels.img"
	mke2fs -q -t ext4 -m 0 -O ^has_journal -E lazy_itable_init=0,nodiscard -d "$dir/kernels" "$dir/kernels.img"
}

node() { xenstore-read "/local/domain/$1/$2"; }
stub_of() { node "$1" image/device-model-domid; }

# order COMMAND...: to the stub domain, see guest/stub.sh; what it answers is in $answer. give waits for no answer.
answered() { [ "$(node "$stub" data/answer | cut -d' ' -f1)" = "$orders" ]; }
give() {
	orders=$((orders + 1))
	xenstore-write "/local/domain/$stub/data/order" "$orders $*"
}
order() {
	give "$@"
	wait_for 60 "the stub domain to $*" answered || return 1
	answer=$(node "$stub" data/answer | cut -d' ' -f2-)
}

# ask COMMAND...: the same to the guest, see guest/stubdom.sh
ask() {
	asked=$((asked + 1))
	guest_tell "$guest" "$asked $*"
	wait_for 60 "the guest to $*" guest_said "$guest" "did $asked " || return 1
	answer=$(tr -d '\r' <"$(guest_log "$guest")" | sed -n "s/^GUEST: did $asked //p")
}
gets() {
	local wanted=$1
	shift
	"$@" || return 1
	[ "$answer" = "$wanted" ] || { echo "$*: got '$answer', expected '$wanted'"; return 1; }
}

# Both ways, a block of a disk: what one has written the other reads at once. WORD fills a block.
sum_of() { yes "$1" | head -c 4096 | sha256sum | cut -c1-16; }
to_and_fro() {
	local disk=$1 block=$2 round
	for round in 1 2 3 4 5 6; do
		gets 0 ask write "$disk" "$block" "guest$round" &&
			gets "$(sum_of "guest$round")" order read "$disk" "$block" &&
			gets 0 order write "$disk" "$block" "stub$round" &&
			gets "$(sum_of "stub$round")" ask read "$disk" "$block" || return 1
	done
}
