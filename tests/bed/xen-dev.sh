#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# xen-dev.sh - find in the cache, or fetch, what the guard is built with for the bed's Xen.
#
# libxenctrl has another soname, and other structures, in each release of Xen; the host's is not the bed's. Prints
# a directory with include/ and lib/, from the packages of the release that root.sh installs, for make's
# XEN_DEV. The host's own apt fetches and checks them, told of that release; nothing is installed.
set -eu

SUITE=${BED_SUITE:-trixie}
MIRROR=${BED_MIRROR:-http://deb.debian.org/debian}
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
case $SUITE in bookworm) XEN=4.17 ;; *) XEN=4.20 ;; esac
PACKAGES="libxen-dev libxenmisc$XEN"

self=$(readlink -f "$0")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
out=$cache/xen-dev-$(cat "$self" - <<<"$SUITE" | sha256sum | cut -c1-16)

fetch() {
	local dir=$1 deb apt
	mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/root"
	echo "deb [signed-by=$KEYS] $MIRROR $SUITE main" >"$dir/sources.list"
	: >"$dir/status"
	cat >"$dir/apt.conf" <<-END
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "-";
		Dir::Etc::Parts "-";
		Dir::State "$dir/state";
		Dir::State::Status "$dir/status";
		Dir::Cache "$dir/cache";
		APT::Architecture "amd64";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::Retries "5";
	END
	apt=(env -C "$dir" "APT_CONFIG=$dir/apt.conf" apt-get -q)
	"${apt[@]}" update
	# shellcheck disable=SC2086 # a list
	"${apt[@]}" download $PACKAGES
	for deb in "$dir"/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
	mkdir "$dir/out" "$dir/out/lib"
	cp -r "$dir/root/usr/include" "$dir/out/include"
	cp -P "$dir"/root/usr/lib/x86_64-linux-gnu/libxenctrl.so* "$dir/out/lib"
	[ -e "$dir/out/lib/libxenctrl.so" ] && [ -e "$dir/out/include/xenctrl.h" ]
}

if [ ! -e "$out" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	fetch "$work" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; echo "xen-dev: cannot fetch $PACKAGES of $SUITE" >&2; exit 1; }
	mv -T "$work/out" "$out" 2>/dev/null || [ -e "$out" ]
fi
echo "$out"
