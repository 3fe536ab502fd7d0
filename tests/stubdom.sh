#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stubdom.sh - the storage domain's image: that two builds, of copies of these sources in two folders, at two times and with
# two umasks, give the same bytes; that there is nothing in it that is not in the list below; and its size. Prints
# "ok NAME" or "not ok NAME" and the words that explain it, and last "N passed, N failed".
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
version=check
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem-stubdom.XXXXXX")
trap 'rm -rf "$work"' EXIT

# All that may be there. LIB is this machine's folder of libraries, NN a number that says the order
WANTED="bin bin/blkback-ephem bin/blkback-ephemd init sbin sbin/poweroff lib lib/modules lib/modules/NN-xen-blkfront.ko
    lib/modules/NN-xen-evtchn.ko lib/modules/NN-xen-gntdev.ko lib/LIB lib/LIB/libaio.so.1 lib/LIB/libblkid.so.1 lib/LIB/libc.so.6
    lib/LIB/libcrypto.so.3 lib/LIB/libgcc_s.so.1 lib/LIB/libinih.so.1 lib/LIB/libjansson.so.4 lib/LIB/liblz4.so.1 lib/LIB/libseccomp.so.2
    lib/LIB/libxenevtchn.so.1 lib/LIB/libxengnttab.so.1 lib/LIB/libxenstore.so.4 lib/LIB/libxentoolcore.so.1
    lib/LIB/libxentoollog.so.1 lib64 lib64/ld-linux-x86-64.so.2"
# What Debian 13's libcrypto and liblz4 are linked with, and may be there
MORE="lib/LIB/libz.so.1 lib/LIB/libzstd.so.1 lib/LIB/libxxhash.so.0"

check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "not ok $name"
        tail -n 15 <<<"$said" | sed 's/^/    /'
    fi
}

# built FOLDER UMASK
built() {
    mkdir -p "$1" &&
        (cd "$top" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1") &&
        (umask "$2" && make -C "$1" --no-print-directory -j"$(nproc)" VERSION="$version" stubdom)
}
same() { cmp "$build/stubdom/$1" "$work/else/where/build/stubdom/$1"; }

unpack() {
    mkdir "$work/root"
    zstd -qdc "$build/stubdom/initramfs" >"$work/cpio" && cpio -t --quiet <"$work/cpio" | sort >"$work/names" &&
        (cd "$work/root" && cpio -im --quiet <"$work/cpio")
}
# Debian 13 has libaio under another name
nothing_else() {
    local lib
    lib=$(basename "$(dirname "$(ldd "$build/blkback-ephemd" | grep -o '/[^ ]*libc\.so\.6')")")
    sed -E "s,$lib,LIB,; s,modules/[0-9]+-,modules/NN-,; s,libaio.so.1t64$,libaio.so.1," "$work/names" |
        grep -vxF "$(tr ' ' '\n' <<<"$MORE")" | sort >"$work/have"
    tr -s ' \n' '\n' <<<"$WANTED" | grep . | sort >"$work/wanted"
    diff "$work/wanted" "$work/have"
}
no_tools() {
    ! find "$work/root" -perm /6000 -o -name '*sh' -o -name 'busybox*' -o -name 'python*' -o -name 'perl*' | grep . &&
        ! grep -rlI '^#!' "$work/root"
}
all_of_epoch() {
    TZ=UTC cpio -tv --quiet <"$work/cpio" >"$work/times" && [ -s "$work/times" ] && ! grep -v ' root *root .* Jan  1  1970 ' "$work/times"
}
small() {
    local initramfs kernel
    initramfs=$(stat -c %s "$build/stubdom/initramfs") kernel=$(stat -c %s "$build/stubdom/vmlinuz")
    echo "initramfs $initramfs, kernel $kernel bytes"
    [ "$initramfs" -le $((6 << 20)) ] && [ $((initramfs + kernel)) -le $((20 << 20)) ]
}
# What is too large is not built: the limit is the builder's, too
too_large() {
    sed 's/^BYTES_INITRAMFS=.*/BYTES_INITRAMFS=1000000/' "$top/blkback-ephem/stubdom/build.sh" >"$work/else/where/blkback-ephem/stubdom/build.sh"
    ! make -C "$work/else/where" --no-print-directory VERSION="$version" stubdom >"$work/said" 2>&1 &&
        grep 'the initramfs has [0-9]* bytes, more than 1000000' "$work/said"
}

build=$work/here/build
check "a build" built "$work/here" 022
check "a second build" built "$work/else/where" 077
check "the same initramfs" same initramfs
check "the same kernel" same vmlinuz
check "it can be unpacked" unpack
check "nothing is in it but what is listed" nothing_else
check "no shell, no interpreter, nothing with another's rights" no_tools
check "all of it is of one time" all_of_epoch
check "it is small" small
check "what is too large is refused" too_large
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
