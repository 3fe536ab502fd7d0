#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deb.sh OUT - the packages of this tree, built for the bed's dom0, into OUT.
#
# dom0 is Debian of another release than this machine may be, with libraries of other names (libaio1t64), and has no
# network: so packaging/build.sh runs in a root of dom0's release, which is kept in the cache as an archive. The
# programs that the bed's other cases have are this machine's; these are what that release's users would install.
# Needs root, as root.sh does.
set -eu

SUITE=trixie
MIRROR=${BED_MIRROR:-http://deb.debian.org/debian}
PACKAGES="debhelper dh-sequence-installsysusers git libaio-dev libblkid-dev libcunit1-dev libinih-dev libjansson-dev liblz4-dev
	libseccomp-dev libssl-dev libxen-dev pkgconf systemd-dev"
# What a compiler that runs once has no use for
WITHOUT="/usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/*"

self=$(readlink -f "$0")
top=$(readlink -f "$(dirname "$self")/../..")
out=$(readlink -m "${1:?usage: deb.sh OUT}")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
root=$cache/deb-$(sha256sum "$self" | cut -c1-16).tar
PATH=$PATH:/usr/sbin:/sbin

bootstrap() {
	local opts=() path
	set -f
	for path in $WITHOUT; do opts+=("--dpkgopt=path-exclude=$path"); done
	set +f
	# shellcheck disable=SC2086 # a list
	mmdebstrap --mode=root --variant=buildd --include="$(echo $PACKAGES | tr ' ' ,)" --aptopt='Acquire::Retries "5"' \
		"${opts[@]}" "$SUITE" "$work/root.tar" "$MIRROR" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; return 1; }
	mv "$work/root.tar" "$root"
}

# The tree as git would have it, under its name, with a git of its own: build.sh asks that what belongs to it
build() {
	mkdir "$work/root"
	tar -C "$work/root" -xf "$root"
	mkdir "$work/root/tree"
	(cd "$top" && git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar -c --null -T -) | tar -C "$work/root/tree" -x --no-same-owner
	git -C "$work/root/tree" init -q
	chroot "$work/root" env -i PATH="$PATH" HOME=/root LC_ALL=C DEB_BUILD_OPTIONS=nocheck JOBS="$(nproc)" \
		/tree/packaging/build.sh deb >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; return 1; }
	mkdir -p "$out"
	cp "$work"/root/tree/build/packages/deb/*.deb "$out"
	rm -f "$out"/*-dbgsym_*
}

if [ "$(id -u)" != 0 ]; then
	exec sudo XDG_CACHE_HOME="${XDG_CACHE_HOME:-$HOME/.cache}" BED_MIRROR="$MIRROR" "$self" "$out"
fi
command -v mmdebstrap >/dev/null || { echo "deb.sh: mmdebstrap is missing: run 'make deps'" >&2; exit 1; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -e "$root" ]; then
	echo "deb.sh: making a root to build packages in (a minute or two, then cached in $root)"
	bootstrap
fi
build
