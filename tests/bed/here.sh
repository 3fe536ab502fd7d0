#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# here.sh CASE - runs a case on the Xen this machine is the dom0 of.
#
# The same case scripts and lib.sh as in the bed, with their files in a temporary directory and our
# programs where they were built: the daemon runs beside one that may be installed, on a run directory
# of its own, and serves only what names its own helper. Guests and daemon are ended at the end.
set -eu

bed=$(dirname "$(readlink -f "$0")")
BUILD=$(readlink -m "${BUILD:-$bed/../../build}")
[ "$(id -u)" = 0 ] || exec sudo -E BUILD="$BUILD" "$0" "$@"
case=$1
roots=${BED_ROOTS:-$("$bed/root.sh")}
BED=$(mktemp -d /var/tmp/ephem-here.XXXXXX)
export BED
trap 'rm -rf "$BED"' EXIT

mkdir "$BED/bases" "$BED/cases" "$BED/pool" "$BED/initrd"
cp "$bed"/cases/*.sh "$BED/cases"
cp "$bed/search.pl" "$bed/bed-block" "$bed"/{lib,pair,store}.sh "$BED"
cp -r "$bed/guest" "$BED/initrd/bed"
cp "$roots/vmlinuz" "$roots/guest.cpio" "$BED"
(cd "$BED/initrd" && find bed | cpio --quiet -o -H newc) >>"$BED/guest.cpio"
cp --sparse=always "$roots/guest.img" "$BED/bases/root.img"
"$bed/data-base.sh" "$BED/bases/data.img"
cat >"$BED/run.env" <<-END
	CASES="$case"
	LONG=${LONG:-}
	SEED=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
	CASE_LIMIT=1800
	BED_CONSOLE=/dev/stdout
	POOL=$BED/pool
	RUN=$BED/run
	STATE=$BED/state
	LOGS=$BED/log
	PROGRAMS=$BUILD
	WORKER=$BUILD/blkback-ephem
	SCRIPT=$BUILD/block-ephem
END
. "$BED/lib.sh"
run_case "$case" | sed -u 's/^BED: [0-9]* \(pass\|fail\) /\1 /; s/^BED: /bed: /; s/^fail /FAIL /'
echo "$(grep -c ^pass "$RESULTS" || true) passed, $(grep -c ^fail "$RESULTS" || true) failed"
! grep -q ^fail "$RESULTS"
