#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# here.sh CASE - runs a case on the Xen this machine is the dom0 of.
#
# The same case scripts and lib.sh as in the bed, with their files in a temporary directory and our
# programs where they were built: the daemon runs beside one that may be installed, on a run directory
# and a configuration of its own, and serves only what names its own helper. Guests and daemon are ended
# at the end, also if that is an interrupt: then the case has two minutes to put away what it has made.
set -eu

bed=$(dirname "$(readlink -f "$0")")
BUILD=$(readlink -m "${BUILD:-$bed/../../build}")
[ "$(id -u)" = 0 ] || exec sudo -E BUILD="$BUILD" "$0" "$@"
case=$1
tr '\0' ' ' <"/proc/$(pgrep -o -x xenconsoled)/cmdline" | grep -Eq -- '--log[= ](guest|all)' || {
	echo "here.sh: xenconsoled keeps no guest's console, which is where guests say what they see: start it with --log=guest (XENCONSOLED_TRACE=guest in /etc/default/xencommons)" >&2
	exit 1
}
roots=${BED_ROOTS:-$("$bed/root.sh")}
BED=$(mktemp -d /var/tmp/ephem-here.XXXXXX)
export BED
runner='' stopped=''
trap 'rm -rf "$BED"' EXIT
trap 'stopped=1; [ -z "$runner" ] || pkill -TERM -x -P "$runner" timeout' INT TERM HUP

mkdir "$BED/bases" "$BED/cases" "$BED/pool" "$BED/initrd"
cp "$bed"/cases/*.sh "$BED/cases"
cp "$bed/search.pl" "$bed/bed-block" "$bed"/{lib,pair,store}.sh "$BED"
cp -r "$bed/guest" "$BED/initrd/bed"
cp "$roots/vmlinuz" "$roots/guest.cpio" "$BED"
(cd "$BED/initrd" && find bed | cpio --quiet -o -H newc) >>"$BED/guest.cpio"
cp --sparse=always "$roots/guest.img" "$BED/bases/root.img"
"$bed/data-base.sh" "$BED/bases/data.img"
[ ! -e "$BUILD/stubdom/initramfs" ] || cp -r "$BUILD/stubdom" "$BED"
cat >"$BED/run.env" <<-END
	CASES="$case"
	LONG=${LONG:-}
	SEED=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	CASE_LIMIT=1800
	BED_CONSOLE=$BED/console
	POOL=$BED/pool
	RUN=$BED/run
	STATE=$BED/state
	CONFIG=$BED/etc
	LOGS=$BED/log
	PROGRAMS=$BUILD
	WORKER=$BUILD/blkback-ephem
	SCRIPT=$BUILD/block-ephem
END
. "$BED/lib.sh"
[ -z "$stopped" ] || exit 1
mkfifo "$BED/console"
(trap '' INT TERM HUP && exec sed -u 's/^BED: [0-9]* \(pass\|fail\) /\1 /; s/^BED: /bed: /; s/^fail /FAIL /') <"$BED/console" &
shown=$!
exec 3<>"$BED/console"
# It stays until the case has put all away, whoever of us is told to end
{ trap : INT TERM HUP && run_case "$case"; } 3>&- &
runner=$!
while kill -0 "$runner" 2>/dev/null; do wait "$runner" || true; done
exec 3>&-
wait "$shown" || true
echo "$(grep -c ^pass "$RESULTS" || true) passed, $(grep -c ^fail "$RESULTS" || true) failed"
[ -z "$stopped" ] && ! grep -q ^fail "$RESULTS"
