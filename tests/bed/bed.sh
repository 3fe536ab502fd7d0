#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bed.sh [CASE...] - run cases in the dom0 of a real Xen under QEMU; "all" means every file in cases/.
#
#   BUILD=DIR   where the programs are (build)            LONG=1      larger sizes, longer limits
#   BED_OUT=DIR where logs and disks go (BUILD/bed), in DIR/run, or DIR/run-N of the N-th bed at once
#   BED_LIMIT=S give up after so many seconds
#   BED_SMP=2   two CPUs and the host's time, for cases where that is the point (pv)
#   BED_SUITE=bookworm  that Debian release with its Xen 4.17, instead of trixie's 4.20 (root.sh)
#   BED_KEEP=1  keep the disks of a run that passed
#
# bed.sh --places: how many beds may run at once here
#
# Design: one boot serves all cases. QEMU counts instructions (-icount): a nanosecond of the machine's
# time is an instruction, so no time-out inside can be missed because this host is slow or busy. While
# the machine is idle its clock goes with ours (sleep=on); sleep=off would skip idle time, but then a
# host that is slow to serve one disk request makes the idle machine leap ahead into its time-outs.
# Disks are virtio, which uses the DMA API that a PV dom0 needs when told of an IOMMU; with QEMU 7.2's NVMe
# requests got lost here now and then. Three disks: dom0's root (a copy of the cached image), the run's own disk
# (/bed: programs, cases, bases) and one that takes the logs as a tar archive. Verdicts come over the
# serial console as they fall, and once more with the logs (results.sh). After power-off the disks are examined from here: bases by checksum, and
# every byte for the markers that guests wrote.
set -eu

bed=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$bed/../..")
BUILD=$(readlink -m "${BUILD:-$top/build}")
OUT=$(readlink -m "${BED_OUT:-$BUILD/bed}")
LONG=${LONG:-}
PATH=$PATH:/usr/sbin:/sbin
qemu=
passed=0
failed=0

. "$bed/look.sh"
. "$bed/results.sh"

say() { echo "bed: $*"; }
die() { say "$*" >&2; exit 1; }
pass() { passed=$((passed + 1)); echo "pass $1"; }
fail() { failed=$((failed + 1)); echo "FAIL $*"; }

# ---- side by side ----

# What a bed takes of the host's memory, with some room, in MiB
memory=4096
memory_size=3568 # of the machine
# Who holds the lock of a place has a CPU: files beside the roots, which the beds of all roots share. Opened for
# reading, for root may have made them.
most_places=8

beds_of_memory() { echo $(($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) / 1024 / memory)); }

# How many may run at once on an idle machine
count_places() {
	local n
	n=$(printf '%s\n' "$(nproc)" "$(beds_of_memory)" "$most_places" | sort -n | head -n 1)
	echo $((n > 1 ? n : 1))
}

# lock_place N [FLOCK-OPTION]: kept until we end
lock_place() {
	local lock
	exec {lock}<"${roots%/*}/place-$1"
	flock ${2:+"$2"} "$lock" || { exec {lock}<&-; return 1; }
}

# The first place that nobody has. All but the first need memory for two: one may have started just now.
any_place() {
	local n
	for ((n = 0; n < $(nproc) && n < most_places; n++)); do
		[ "$n" = 0 ] || [ "$(beds_of_memory)" -ge 2 ] || return 1
		! lock_place "$n" -n || { place=$n; return; }
	done
	return 1
}

# Sets place. A machine of several CPUs has as many places, in order, so that two of them cannot lock each other out.
find_place() {
	local n
	place=0
	if [ "${BED_SMP:-1}" != 1 ]; then
		for ((n = 0; n < BED_SMP && n < most_places; n++)); do
			lock_place "$n" -n || { say "another bed runs on this machine: waiting for it"; lock_place "$n"; }
		done
	elif ! any_place; then
		say "as many beds run as this machine has room for: waiting for one of them"
		until any_place; do sleep 2; done
	fi
}

# ---- the run's own disk ----

# Programs at the paths where they are installed, and those libraries dom0 has not got
install_programs() {
	local root=$1 program path name lib
	mkdir -p "$root/usr/local/lib"
	while read -r program path; do
		[ -e "$BUILD/$program" ] || continue
		install -D -m 755 "$BUILD/$program" "$root/$path"
		ldd "$BUILD/$program" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' |
		while read -r name lib; do
			grep -qxF "$name" "$roots/dom0-libs" || install -m 755 "$lib" "$root/usr/local/lib/$name"
		done
	done <<-END
		blkback-ephem usr/libexec/blkback-ephem/blkback-ephem
		blkback-ephemd usr/sbin/blkback-ephemd
		ephemctl usr/sbin/ephemctl
		block-ephem etc/xen/scripts/block-ephem
		tests/conformance usr/lib/blkback-ephem-tests/conformance
		tests/inject usr/lib/blkback-ephem-tests/inject
		tests/frames usr/lib/blkback-ephem-tests/frames
		tests/forensic/blkback-ephem usr/lib/blkback-ephem-tests/forensic/blkback-ephem
		tests/leaky/blkback-ephem usr/lib/blkback-ephem-tests/leaky/blkback-ephem
	END
}

# The guard is bound to a release of Xen: it is built for the bed's, where a case wants it
install_guard() {
	local made=$BUILD/bed-guard
	[[ " $CASES " = *" guard "* ]] || return 0
	make -C "$top" B="$made" SANITIZE= XEN_DEV="$("$bed/xen-dev.sh")" "$made/ephem-guard" >"$run/guard.log" 2>&1 ||
		{ cat "$run/guard.log"; die "the guard cannot be built for the bed's Xen"; }
	install -D -m 755 "$made/ephem-guard" "$1/usr/sbin/ephem-guard"
}

# What tells the CPU time of domains is bound to a release of Xen, too; and dom0 has nothing that makes an overlay
install_bench() {
	local made=$BUILD/bed-guard
	[[ " $CASES " =~ " bench "|" here " ]] || return 0
	make -C "$top" B="$made" SANITIZE= XEN_DEV="$("$bed/xen-dev.sh")" "$made/bench/xen-watch" >"$run/bench.log" 2>&1 ||
		{ cat "$run/bench.log"; die "xen-watch cannot be built for the bed's Xen"; }
	install -D -m 755 "$made/bench/xen-watch" "$1/install/usr/lib/blkback-ephem-tests/xen-watch"
	qemu-img create -q -u -f qcow2 -b base -F raw "$1/bench.qcow2" 64M
}

# What a user of dom0's release would install, with the page that says how
install_packages() {
	[[ " $CASES " = *" operator "* ]] || return 0
	say "building packages for dom0's release"
	"$bed/deb.sh" "$1/debs"
	cp "$top/tests/transcript.sh" "$top/docs/operator.md" "$1"
}

# The storage domain's image, and the one whose worker tells its key
install_stubdom() {
	[[ " $CASES " =~ " storage"|" bench " ]] || return 0
	mkdir -p "$1/stubdom/telling"
	cp "$BUILD"/stubdom/{vmlinuz,initramfs} "$1/stubdom"
	cp "$BUILD/tests/stubdom/initramfs" "$1/stubdom/forensic"
	ln -s ../vmlinuz ../forensic "$1/stubdom/telling"
	mv "$1/stubdom/telling/forensic" "$1/stubdom/telling/initramfs"
}

# The hostile frontend for a guest's initramfs, with the libraries of Xen, which guests have not got
install_hostile() {
	local to=$1 lib
	[ -e "$BUILD/tests/hostile" ] || return 0
	mkdir -p "$to/lib"
	cp "$BUILD/tests/hostile" "$top/tests/hostile.tbl" "$to"
	ldd "$BUILD/tests/hostile" | awk '$1 ~ /^libxen/ && $3 ~ /^\// { print $3 }' |
	while read -r lib; do cp -L "$lib" "$to/lib"; done
}

assemble() {
	local stage=$run/stage
	mkdir -p "$stage/bases" "$stage/cases" "$run/initrd"
	cp -r "$bed/dom0-init" "$bed"/{lib,pair,store}.sh "$bed"/{search.pl,bed-block,guest/rows.awk} "$stage"
	cp "$bed"/cases/*.sh "$stage/cases"
	cp "$top/tests/hostile.tbl" "$top/tests/account.sh" "$top/docs/service-qube.cfg" "$top/docs/libvirt-hook" "$stage"
	mkdir "$stage/here"
	cp -r "$bed"/*.sh "$bed/search.pl" "$bed/bed-block" "$bed/cases" "$bed/guest" "$stage/here"
	install_programs "$stage/install"
	install_guard "$stage/install"
	install_bench "$stage"
	install_packages "$stage"
	install_stubdom "$stage"
	cp -r "$bed/guest" "$run/initrd/bed"
	install_hostile "$run/initrd/bed/hostile"
	cp "$roots/guest.cpio" "$roots/i386.cpio" "$roots/stub.cpio" "$stage"
	(cd "$run/initrd" && find bed | cpio --quiet -o -H newc) |
		tee -a "$stage/i386.cpio" "$stage/stub.cpio" >>"$stage/guest.cpio"
	cp "$roots/vmlinuz" "$roots/i386.vmlinuz" "$stage"
	cp --sparse=always "$roots/guest.img" "$stage/bases/root.img"
	"$bed/data-base.sh" "$stage/bases/data.img"
	(cd "$stage/bases" && sha256sum ./*) >"$run/bases.sha256"
	cat >"$stage/run.env" <<-END
		CASES="$CASES"
		LONG=$LONG
		SEED=$seed
		CASE_LIMIT=$((LONG ? 7200 : 1800))
		BENCH_BACKENDS="${BENCH_BACKENDS:-}"
		BENCH_STORES="${BENCH_STORES:-}"

	END
	truncate -s 3G "$run/bed.img"
	mke2fs -q -t ext4 -L bed -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard -d "$stage" "$run/bed.img"
	rm -rf "$stage" "$run/initrd"
	cp --sparse=always "$roots/dom0.img" "$run/dom0.img"
	truncate -s 256M "$run/logs.img"
}

# ---- the machine ----

# QEMU (7.2 at least) sets the accessed bit in a 32-bit guest's top page table, which processors never do, and
# Xen then takes the table for broken: a guest with PAE would hang at its first trapped instruction. So, where a
# case needs such a guest and nowhere else, one bit goes from the constant of reserved bits that Xen looks for there.
make_xen() {
	cp "$roots/xen" "$run/xen"
	[[ " $CASES " = *" i386 "* ]] || return 0
	say "for 32-bit guests under QEMU one bit of Xen is changed"
	perl -0777 -i -pe '$n = s/\xe6(?=\x01\0\0\0\0\xf0\xff)/\xc6/g; END { exit($n != 1) }' "$run/xen" ||
		die "this Xen's mask of reserved bits was not found: a 32-bit guest would hang"
}

# HVM guests have no console at first: Xen logs what hvmloader, SeaBIOS and earlyprintk=xen say
guests_level() { case " $CASES " in *" hvm "* | *" stubdom "* | *" softreset "* | *" storage-hvm "*) echo all ;; *) echo warning ;; esac; }

power_on() {
	local disk args=() machine=(-accel "tcg,thread=single" -icount "shift=0,sleep=on" -smp 1)
	# Two CPUs for guests with two: on one, each of their IPIs waits for a turn of the scheduler.
	[ "${BED_SMP:-1}" = 1 ] || machine=(-accel "tcg,thread=multi" -smp "$BED_SMP")
	! looked_at || open_memory
	for disk in dom0 bed logs; do
		args+=(-drive "file=$run/$disk.img,if=none,id=$disk,format=raw,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=$disk,serial=$disk,iommu_platform=on,disable-legacy=on")
	done
	# TCG by name: a /dev/kvm may exist and still be unable to run Xen.
	# With less than 3584 MiB all of it is below 4 GiB: QEMU 7.2 cuts off addresses beyond while a 32-bit guest runs.
	timeout -k 10 $((limit + booted - SECONDS)) qemu-system-x86_64 "${machine[@]}" \
		-cpu qemu64,+svm,+npt,+aes,+ssse3,+sse4.1,+sse4.2,+pclmulqdq -m "$memory_size" \
		-nographic -no-reboot -nodefaults -monitor "unix:$run/monitor,server=on,wait=off" \
		-chardev "file,id=console,path=$run/serial.log,append=on" -serial chardev:console \
		-kernel "$run/xen" \
		-append "console=com1 com1=115200,8n1 dom0_mem=1200M,max:1200M loglvl=warning guest_loglvl=$(guests_level) noreboot=1" \
		-initrd "$roots/vmlinuz console=hvc0 quiet panic=5 mitigations=off loglevel=4 $dom0_words,$roots/dom0.cpio" \
		"${args[@]}" </dev/null >"$run/qemu.log" 2>&1 &
	qemu=$!
}

power_off() {
	[ -z "$qemu" ] || ! kill "$qemu" 2>/dev/null || wait "$qemu" || true
	qemu=
}

# Show new lines until QEMU ends; also a line every half a minute in which nothing happened
follow() {
	local shown=0 line quiet=$SECONDS dead=0
	while [ "$dead" -lt 2 ]; do
		kill -0 "$qemu" 2>/dev/null || dead=$((dead + 1))
		while read -r line; do
			shown=$((shown + 1))
			quiet=$SECONDS
			case $line in
			"BED| "*) echo "    ${line#BED| }" ;;
			*) arrives "$line" || look_line "$line" || say "${line#BED: } [$((SECONDS - started)) s]" ;;
			esac
		done < <(bed_lines | tail -n "+$((shown + 1))")
		if [ $((SECONDS - quiet)) -ge 30 ]; then
			say "... $((SECONDS - started)) s of at most $limit"
			quiet=$SECONDS
		fi
		if [ "$dead" = 0 ] && grep -aq 'Panic on CPU\|Kernel panic\|BED: fatal' "$run/serial.log"; then
			sleep 5
			power_off
		fi
		if [ "$dead" = 0 ] && [ "${BED_SMP:-1}" != 1 ] && [ $((SECONDS - booted)) -gt 400 ] && ! is_up; then
			say "it has not come up in 400 s"
			power_off
		fi
		sleep 1
	done
	[ -z "$qemu" ] || wait "$qemu" || say "QEMU ended with status $? (124: the limit of $limit s)"
	qemu=
}

is_up() { bed_lines | grep -q '^BED: up '; }

# QEMU with two threads for two CPUs is no two runs the same, and Xen or dom0's kernel does not always start in it.
# That is before anything of ours runs, and is tried once more.
once_more() {
	[ "${BED_SMP:-1}" != 1 ] && ! is_up || return 0
	say "the machine has not come up with $BED_SMP CPUs: once more"
	show_tail
	mv "$run/serial.log" "$run/serial-first.log"
	: >"$run/serial.log"
	cp --sparse=always "$roots/dom0.img" "$run/dom0.img"
	booted=$SECONDS
	power_on
	follow
}

# ---- afterwards ----

unpack_logs() {
	mkdir -p "$run/logs"
	tar -C "$run/logs" -xf "$run/logs.img" 2>/dev/null || say "no logs on the log disk"
}

check_bases() {
	local sum file
	while read -r sum file; do
		if [ "$(debugfs -R "cat /bases/${file#./}" "$run/bed.img" 2>/dev/null | sha256sum | cut -c1-64)" = "$sum" ]; then
			pass "host/base-unchanged-${file#./}"
		else
			fail "host/base-unchanged-${file#./}"
		fi
	done <"$run/bases.sha256"
}

# The markers of all guests must be nowhere on any disk, those of the controls must be found.
check_markers() {
	local verb name s hits
	while read -r verb name s; do
		hits=$(printf %s "$s" | sha256sum | perl "$bed/search.pl" "$run"/*.img "$run/serial.log")
		case $verb-$hits in
		absent-0) pass "host/disks-without-marker-of-$name" ;;
		absent-*) fail "host/disks-without-marker-of-$name found $hits times" ;;
		present-0) fail "host/marker-found-of-$name the search is blind" ;;
		present-*) pass "host/marker-found-of-$name" ;;
		esac
	done < <(reported | grep '^\(absent\|present\) ')
}

show_tail() {
	echo "---- last lines of the serial console ($run/serial.log) ----"
	tail -n 25 "$run/serial.log" | tr -d '\r'
	[ ! -s "$run/qemu.log" ] || { echo "---- QEMU ----"; tail -n 5 "$run/qemu.log"; }
}

main() {
	[ $# -gt 0 ] || set -- smoke
	[ "$1" != --places ] || { count_places; exit; }
	[ "$1" != all ] || { cd "$bed/cases" && set -- *.sh; }
	CASES=$(for c in "$@"; do echo "${c%.sh}"; done | xargs)
	limit=${BED_LIMIT:-$((300 + 1200 * $# * (LONG ? 4 : 1)))}
	seed=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	for tool in qemu-system-x86_64 mke2fs debugfs cpio flock; do
		command -v "$tool" >/dev/null || die "$tool is missing: run 'make deps'"
	done

	# A root with more in it, where a case wants that
	[[ " $CASES " != *" libvirt "* ]] || export BED_WITH=libvirt
	roots=$("$bed/root.sh")
	mkdir -p "$OUT"
	find_place
	run=$OUT/run
	[ "$place" = 0 ] || run=$OUT/run-$((place + 1))
	rm -rf "$run"
	mkdir -p "$run"
	trap power_off EXIT
	trap 'exit 130' INT TERM

	started=$SECONDS
	say "cases: $CASES"
	assemble
	make_xen
	say "booting Xen, at most $limit s [$((SECONDS - started)) s]"
	: >"$run/serial.log"
	: >"$run/known"
	mkdir "$run/looks"
	dom0_words=$(first_words)
	booted=$SECONDS
	power_on
	follow
	once_more
	unpack_logs
	check_complete
	check_bases
	check_markers
	if [ "$failed" != 0 ]; then
		show_tail
		say "logs are in $run/logs, disks in $run"
	elif [ -z "${BED_KEEP:-}" ]; then
		rm -f "$run"/*.img
	fi
	say "$((SECONDS - started)) s"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}

# One word for the shell to read before anything runs: this file may be edited meanwhile.
main "$@"; exit
