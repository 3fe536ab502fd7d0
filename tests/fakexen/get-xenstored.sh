#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints the path of a real C xenstored. It comes from Debian's xen-utils package, fetched and
# unpacked into the cache: installing that package would pull in system packages for nothing.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
package=xen-utils-4.17
dir=$cache/$package
program=$dir/usr/lib/xen-4.17/bin/xenstored

if [ ! -x "$program" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/get.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    (cd "$work" && apt-get download "$package" >&2)
    dpkg-deb -x "$work"/"$package"_*.deb "$work/root"
    # Another run may have been faster: then its copy stays.
    [ -d "$dir" ] || mv -T "$work/root" "$dir" || [ -x "$program" ]
fi
echo "$program"
