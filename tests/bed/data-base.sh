#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# data-base.sh FILE - makes the base of xvdb: an ext4 file system with some files and their checksums.
set -eu
PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/files"
for i in 1 2 3 4 5 6 7 8; do
	head -c $((i * 500000)) /dev/urandom >"$dir/files/$i"
done
(cd "$dir" && sha256sum files/* >sums)
truncate -s 64M "$1"
mke2fs -q -t ext4 -m 0 -L data -d "$dir" "$1"
