#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# transcript.sh DOCUMENT [SESSION] - does a document show what a session printed? Of DOCUMENT, a Markdown file, all
# that stands in blocks of "```console": commands behind "# ", and what they print. SESSION has the same of a run.
#
# Numbers, sizes, UUIDs, sums and the width of columns are another matter each time; every other word counts, and so
# do the order and the number of lines. A number is N, a UUID is UUID, a sum or a seed is HEX. Without SESSION it
# prints what stands in the blocks, as it is. Exit 1 when they differ, with what does: "<" the document's.
# Runs in the bed's dom0, too: only what Debian's essential packages have.
set -eu

blocks() { awk '/^```console$/ { on = 1; next } /^```$/ { on = 0 } on' "$1"; }

plain() {
	sed -E 's/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/UUID/g
		s/\b[0-9a-f]{32,}\b/HEX/g
		s/\b[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?[BKMGTPE]?\b/N/g
		s/[ 	]+/ /g
		s/ $//'
}

[ -n "$(blocks "$1")" ] || { echo "$1: shows no session" >&2; exit 1; }
if [ $# = 1 ]; then
	blocks "$1"
else
	[ -s "$2" ] || { echo "$2: no session" >&2; exit 1; }
	diff <(blocks "$1" | plain) <(plain <"$2")
fi
