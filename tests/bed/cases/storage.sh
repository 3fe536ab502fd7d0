# shellcheck shell=bash disable=SC2153,SC2154,SC2034 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
#
# storage - the backend in domains of its own: init, daemon and workers are all that runs there, dom0 has the bases, which
# they may only read, and the pools, which they write ciphertext to.
#
#   store    a storage domain that several guests share
#     alpha         one full life of a PVH guest; in the long form, alpha again sees pristine volumes
#     beta, gamma   on the same bases at once; beta is destroyed in mid-I/O
#     what must be refused: a base that is not one
#   one, two storage domains of one guest each, with the worker that tells its key; two is made by ephemctl
#     delta, epsilon at work while all of the machine's memory and disks are searched: dom0 has nothing of theirs
#   store crashes: gamma's disks are dead, delta and epsilon do not notice
#   and when all has ended nothing of any of them is left in dom0, or on a disk

. "$BED/store.sh"
tests=/usr/lib/blkback-ephem-tests
answers=$LOGS/answers
work=/var/lib/storage
seed=$SEED-storage
UNTRUSTED=
size=short
raw=320M btrfs=136M swap=256M
if [ -n "$LONG" ]; then size=long raw=1G btrfs=1G swap=512M; fi
mkdir -p "$answers" "$work"

# ---- one that is shared ----

alpha_disks=("$(stored_disk store xvda /bases/root)" "$(stored_disk store xvdb /bases/data)"
	"$(stored_disk store xvdc "blank:$swap")" "$(stored_disk store xvdd "blank:$raw")" "$(stored_disk store xvde "blank:$btrfs")")
guest_config alpha 384 pvh "bed.size=$size bed.seed=$seed bed.blkfront=max_ring_page_order=2,max_indirect_segments=256" "${alpha_disks[@]}"
guest_config alpha2 256 pristine "bed.size=$size bed.seed=$seed" "${alpha_disks[@]}"
for g in beta gamma; do
	TYPE=pv guest_config "$g" 192 writer "bed.seed=$seed-$g" "$(stored_disk store xvda /bases/root)" "$(stored_disk store xvdb /bases/data)"
done

# At least what the guest wrote has reached the pool, or the search of it has searched nothing
pool_mib() { echo $(($(stat -c %b "$work/$1.pool") / 2048)); }

one_life() {
	local domid began
	began=$(hundredths)
	check alpha-create guest_start alpha
	say "alpha: five disks, from xl create until it runs $(($(hundredths) - began)) hundredths of a virtual second"
	check alpha-writes guest_wait alpha 900 written
	domid=$(guest_domid alpha)
	sync
	is pool-without-marker "$(marker_hits "$seed" "$work/store.pool")" 0
	check pool-holds-data [ "$(pool_mib store)" -ge 64 ]
	is no-worker-in-dom0 "$(workers | xargs)" ""
	guest_tell alpha go
	check alpha-power-off guest_wait_exit alpha 300
	guest_results alpha
	check alpha-end guest_said alpha end
	check alpha-backends-gone wait_for 20 "its backends to go" forgotten store "$domid"
	is alpha-grants "$(grants "$domid")" 0
	check alpha-pool-given-back wait_for 60 "the pool to be discarded" pool_below store 16
	[ -n "$LONG" ] || return 0
	check alpha2-create guest_start alpha2
	check alpha2-power-off guest_wait_exit alpha2 300
	guest_results alpha2
	check alpha2-end guest_said alpha2 end
}
pool_below() { sync; [ "$(pool_mib "$1")" -lt "$2" ]; }

two_guests() {
	local domid start
	for g in beta gamma; do
		check "$g-create" guest_start "$g"
		check "$g-named" guest_wait "$g" 240 named
	done
	domid=$(guest_domid beta)
	for g in beta gamma; do guest_tell "$g" go; done
	for g in beta gamma; do check "$g-beats" guest_beats "$g"; done
	check both-names both_names
	guest_tell beta hard
	check beta-in-mid-io guest_wait beta 60 hard
	start=$(now)
	check destroy xl destroy beta
	check destroy-in-time [ $(($(now) - start)) -lt 10 ]
	check beta-backends-gone wait_for 20 "its backends to go" forgotten store "$domid"
	is beta-grants "$(grants "$domid")" 0
	check gamma-after-destroy guest_beats gamma
}
both_names() { guest_said beta 'pass reads-its-name' && guest_said gamma 'pass reads-its-name'; }

# bad_target NAME TARGET WORDS: no guest, and one line of why in the storage domain's log
bad_target() {
	guest_config bad 192 pristine "" "$(stored_disk store xvda "$2")"
	check "refused-$1" not guest_start_logged bad
	check "refused-$1-says-why" store_said store "$3"
	check "refused-$1-no-guest" guest_absent bad
}

# ---- one guest each, searched ----

found() { awk '$1 == "sum" && $2 == kind && $3 == name { n = $4 } END { print n + 0 }' kind="$2" name="$3" "$answers/$1"; }
remains() { awk '$1 == "sum" && $3 != "control" && $3 !~ /^unknown-/ && $4 > 0 { printf "%s of %s: %d; ", $2, $3, $4 }' "$answers/$1"; }
answered() {
	dd if="$BED_LOGS" bs=1M skip=255 count=1 iflag=direct status=none 2>/dev/null | tr -d '\0' >"$answers/$1"
	grep -q "^end $1$" "$answers/$1"
}
look() { # memory|disks LABEL
	sync
	grep -q . "$work/control"
	dd if=/proc/kpageflags of="$work/flags" bs=1M conv=notrunc status=none
	say "look $1 $2"
	check "$2-searched" wait_for 600 "the host's answer" answered "$2"
	check "$2-search-sees" [ "$(found "$2" marker control)" -ge 1 ]
}
# in_dom0 LABEL: what was found of guests in frames of dom0's, as words. A saved register's piece of a key is no key.
in_dom0() {
	awk '$1 == "hit" && $3 != "control" && $3 !~ /^unknown-/ { printf "%x %s %s\n", $5 / 4096, $2, $3 }' "$answers/$1" |
		sort >"$work/hits"
	cut -d' ' -f1 "$work/hits" | sort -u | "$tests/frames" who "$work/frames" "$work/flags" | sort >"$work/whose"
	join "$work/hits" "$work/whose" | tee "$answers/places-$1" | awk '$4 != "not-dom0" && $5 != "not-dom0"'
}

# dom0's own marker is in frames that are found to be dom0's
control_is_dom0s() {
	awk '$1 == "hit" && $3 == "control" { printf "%x\n", $5 / 4096 }' "$answers/$1" | sort -u |
		"$tests/frames" who "$work/frames" "$work/flags" | grep -v ' not-dom0$'
}

# keyed GUEST STORE: what the host has to look for
keyed() {
	local key
	key=$(store_said "$2" 'masked key' | sed -n 's/.*forensic worker: masked key \([0-9a-f]\{192\}\).*/\1/p')
	is "$1-one-key" "$(wc -w <<<"$key")" 1
	say "key $1 $key"
	say "marker $1 $SEED-$1"
}

per_guest() {
	local g store
	for g in delta:one epsilon:two; do
		store=${g#*:} g=${g%:*}
		if [ "$store" = one ]; then
			store_config one forensic per-guest
			store_start one
		else
			check two-made store_made two "$BED/stubdom/telling"
			check two-listed store_listed two
			check two-logs two_logs
		fi
		TYPE=pv guest_config "$g" 192 forensics "bed.seed=$SEED-$g" "$(stored_disk "$store" xvda /bases/root)" \
			"$(stored_disk "$store" xvdb /bases/data)" "$(stored_disk "$store" xvdc blank:64M)" "$(stored_disk "$store" xvdd blank:64M)"
		check "$g-create" guest_start "$g"
		check "$g-written" guest_wait "$g" 400 written
		check "$g-pool-has-it" [ "$(pool_mib "$store")" -ge 6 ]
		keyed "$g" "$store"
	done
	check keys-differ [ "$(store_said one 'masked key')" != "$(store_said two 'masked key')" ]
	for g in delta epsilon; do guest_tell "$g" hard; done
	for g in delta epsilon; do check "$g-in-mid-io" wait_for 120 "$g to be at work" guest_beats_beyond "$g" 2; done
	look memory while-they-run
	for g in delta epsilon; do
		for kind in key schedule marker; do check "$g-$kind-is-somewhere" [ "$(found while-they-run "$kind" "$g")" -ge 1 ]; done
	done
	check control-is-dom0s control_is_dom0s while-they-run
	is dom0-has-nothing-while-they-run "$(in_dom0 while-they-run | xargs)" ""
	look disks disks-while-they-run
	is disks-have-nothing-while-they-run "$(remains disks-while-they-run)" ""
}

two_logs() { ephemctl stubdom logs two | grep 'serv'; }

# ---- the end of a storage domain ----

crashed() {
	local domid last
	domid=$(guest_domid store)
	check gamma-before-the-crash guest_beats gamma
	check crash xl sysrq store c
	check store-is-gone guest_wait_exit store 60
	check crash-is-told grep -rq "domain.*crash\|crashed\|reason code 3" /var/log/xen/ --include='xl-store.log*'
	last=$(guest_last_beat gamma)
	for g in delta epsilon; do check "$g-does-not-notice" guest_beats "$g"; done
	is gamma-disk-is-dead "$(guest_last_beat gamma)" "$last"
	check gamma-destroy xl destroy gamma
	check gamma-gone wait_for 30 "gamma to go" guest_gone gamma
	check no-zombie wait_for 30 "domains to go" no_zombies
	is store-grants "$(grants "$domid")" 0
}

all_end() {
	local g
	guest_tell delta go
	check delta-power-off guest_wait_exit delta 120
	check two-is-needed not ephemctl stubdom destroy two
	check epsilon-destroy xl destroy epsilon
	check one-shutdown xl shutdown one
	check one-off guest_wait_exit one 60
	check two-unmade store_unmade two
	for g in delta epsilon one two; do check "$g-gone" wait_for 30 "$g to go" guest_gone "$g"; done
	check no-zombies wait_for 30 "domains to go" no_zombies
	check xen-has-scrubbed wait_for 120 "Xen to scrub" scrubbed
	look memory all-ended
	is all-ended-nothing "$(remains all-ended)" ""
	look disks all-ended-disks
	is all-ended-disks-nothing "$(remains all-ended-disks)" ""
}
scrubbed() {
	xl dmesg -c >>"$LOGS/xen.log"
	xl debug-keys H
	xl dmesg -c | tee -a "$LOGS/xen.log" >"$work/heap"
	grep -q 'heap\[node=' "$work/heap" && ! grep 'unscrubbed pages' "$work/heap"
}

kernel_log_mark
printf %s "$SEED-control" | sha256sum >"$work/control"
say "marker control $SEED-control"
check frames-known "$tests/frames" save "$work/frames"
say "image: kernel $(stat -c %s "$BED/stubdom/vmlinuz"), initramfs $(stat -c %s "$BED/stubdom/initramfs") bytes"
store_config store initramfs shared sysrq_always_enabled
store_start store
one_life
bad_target missing /bases/none '/bases/none'
bad_target outside /dev/xvda 'not a base of this storage domain'
two_guests
per_guest
crashed
all_end
check kernel-log kernel_log_clean
report "absent storage $seed"
for g in beta gamma; do report "absent storage-$g $seed-$g"; done
