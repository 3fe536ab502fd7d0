#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - what `make demo` shows: cases/demo.sh as a story.
#
# On a Xen dom0 the case runs right here, on this Xen, in a directory of its own; else in the bed. Either
# way it is the same script and the same checks; if one fails, all is shown and the status is 1.
set -eu

bed=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$bed/../..")
export BUILD=${BUILD:-$top/build}
log=$BUILD/demo.log
line=0

# Progress of long steps and the story pass; the rest is for the log.
show() {
	local text failed=0
	while IFS= read -r text; do
		printf '%s\n' "$text" >>"$log"
		case $text in
		*"story "*)
			line=$((line + 1))
			text=${text#*story }
			printf '%2d. %s\n' "$line" "${text% \[*}"
			;;
		"bed: booting"* | "bed: ... "* | "bed: another"*) printf '    (%s)\n' "${text#bed: }" ;;
		"pass host/disks-without-marker-of-demo-guest")
			line=$((line + 1))
			printf '%2d. After power-off, every byte of the dom0 disks was searched: the marker is nowhere.\n' "$line"
			;;
		FAIL*) failed=1 ;;
		esac
		[ "$failed" = 0 ] || printf '%s\n' "$text"
	done
}

: >"$log"
echo "blkback-ephem demo: what does a guest leave behind? (log: $log)"
if grep -q control_d /proc/xen/capabilities 2>/dev/null; then
	echo "    (this host is a Xen dom0: using it)"
	status=0
	"$bed/here.sh" demo 2>&1 | show || status=$?
else
	"$bed/root.sh" >/dev/null
	status=0
	"$bed/bed.sh" demo 2>&1 | show || status=$?
fi
tail -n 1 "$log" | grep -qE '^[0-9]+ passed, 0 failed$' || { echo "The demo FAILED; see $log"; exit 1; }
exit "$status"
