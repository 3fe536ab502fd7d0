#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh BUILD_DIR OUT - the storage domain's image: OUT/vmlinuz, Debian's kernel as it is, and OUT/initramfs: init,
# daemon and worker, the libraries they are linked with, the modules named in `modules`, and nothing else.
#
#   STUBDOM_KERNEL=FILE     a kernel at hand, and
#   STUBDOM_MODULES=DIR     its modules, as /lib/modules/VERSION; else this release's Debian kernel is fetched by apt-get
#                           into ${XDG_CACHE_HOME:-~/.cache}/blkback-ephem; it is not installed
#   SOURCE_DATE_EPOCH=S     the time of everything in it (0)
#
# The same programs, libraries and kernel give the same bytes, wherever and whenever. Larger than BYTES_* allow is an error.
set -eu
shopt -s nullglob

BYTES_INITRAMFS=$((6 << 20))
BYTES_BOTH=$((20 << 20))
export LC_ALL=C TZ=UTC
PATH=$PATH:/usr/sbin:/sbin
umask 022

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: build.sh BUILD_DIR OUT}" && pwd)
out=$(readlink -m "${2:?usage: build.sh BUILD_DIR OUT}")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
epoch=${SOURCE_DATE_EPOCH:-0}

fail() { echo "stubdom: $*" >&2; exit 1; }

[ -n "${STUBDOM_KERNEL:-}${STUBDOM_MODULES:-}" ] && fetching= || fetching="apt-get apt-cache dpkg-deb"
for tool in $fetching depmod modprobe cpio zstd xz strip ldd; do
    command -v "$tool" >/dev/null || fail "$tool is missing: run 'make deps'"
done
work=$(mktemp -d) fetched=
trap 'rm -rf "$work" ${fetched:+"$fetched"}' EXIT

# The package with this release's kernel, in the cache: sets $deb
fetch_kernel() {
    local package
    package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | tail -n 1)
    [ -n "$package" ] || fail "apt knows no linux-image-amd64: run 'apt-get update', or name STUBDOM_KERNEL and STUBDOM_MODULES"
    mkdir -p "$cache"
    deb=$(apt-get --print-uris download "$package" | sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" | tail -n 1)
    [ -n "$deb" ] || fail "apt does not say where $package is"
    deb=$cache/$deb
    [ -e "$deb" ] && return
    echo "stubdom: fetching $package" >&2
    # Beside its place: half a package must not get there, whoever is stopped or fetches it, too
    fetched=$(mktemp -d "$cache/fetched.XXXXXX")
    (cd "$fetched" && apt-get -qq download "$package") || fail "$package cannot be fetched"
    mv -T "$fetched"/*.deb "$deb"
    rmdir "$fetched"
}

# Sets $kernel and $modules, /lib/modules/VERSION of a root with modules.dep
find_kernel() {
    if [ -n "${STUBDOM_KERNEL:-}${STUBDOM_MODULES:-}" ]; then
        kernel=${STUBDOM_KERNEL:-} modules=${STUBDOM_MODULES:-}
        if [ ! -f "$kernel" ] || [ ! -d "$modules/kernel" ]; then
            fail "STUBDOM_KERNEL=$kernel STUBDOM_MODULES=$modules: name a kernel and its /lib/modules/VERSION, both"
        fi
        mkdir -p "$work/kernel/lib/modules"
        mkdir "$work/kernel/lib/modules/$(basename "$modules")"
        cp -r "$modules/kernel" "$work/kernel/lib/modules/$(basename "$modules")/"
        cp "$modules"/modules.{order,builtin,builtin.modinfo} "$work/kernel/lib/modules/$(basename "$modules")/" 2>/dev/null || :
        modules=$work/kernel/lib/modules/$(basename "$modules")
    else
        fetch_kernel
        dpkg-deb -x "$deb" "$work/kernel"
        kernel=$(echo "$work"/kernel/boot/vmlinuz-*)
        modules=$(echo "$work"/kernel/lib/modules/*)
        [ -d "$modules" ] || modules=$(echo "$work"/kernel/usr/lib/modules/*)
    fi
    depmod -b "${modules%/lib/modules/*}" "$(basename "$modules")"
}

# All that the modules need, first things first, in files whose names say the order
copy_modules() {
    local name path count=10 root=${modules%/lib/modules/*}
    mkdir -p "$work/root/lib/modules"
    while read -r name; do
        case $name in '#'* | '') continue ;; esac
        modprobe -d "$root" -S "$(basename "$modules")" --show-depends "$name" >"$work/depends" 2>/dev/null ||
            fail "the kernel has no module $name"
        while read -r insmod path _; do
            [ "$insmod" = insmod ] || continue
            name=$(basename "${path%%.ko*}").ko
            set -- "$work"/root/lib/modules/*-"$name"
            [ $# = 0 ] || continue
            case $path in
            *.xz) xz -dc "$path" ;;
            *.zst) zstd -qdc "$path" ;;
            *) cat "$path" ;;
            esac >"$work/root/lib/modules/$count-$name"
            count=$((count + 1))
        done <"$work/depends"
    done <"$here/modules"
}

# What glibc loads by itself when a thread is cancelled, as libxenstore does when it closes a connection; without it
# the daemon would end there, and with it the domain
threads() {
    local library
    library=$(ldconfig -p | sed -n 's/^\tlibgcc_s\.so\.1 (.*x86-64.*) => //p' | head -n 1)
    [ -e "$library" ] || fail "libgcc_s.so.1 is missing: run 'make deps'"
    mkdir -p "$work/root$(dirname "$library")"
    cp -L "$library" "$work/root$library"
}

# program FILE NAME: stripped, and what it is linked with; a build id tells of the folder it was built in
program() {
    local library
    strip -R .note.gnu.build-id -o "$work/root/bin/$2" "$1"
    ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$work/root$(dirname "$library")"
        [ -e "$work/root$library" ] || cp -L "$library" "$work/root$library"
    done
}

mkdir -p "$work/root/bin" "$work/root/sbin" "$out"
find_kernel
copy_modules
program "${STUBDOM_WORKER:-$build/blkback-ephem}" blkback-ephem
program "$build/blkback-ephemd" blkback-ephemd
program "$build/stubdom/init" init
threads
mv "$work/root/bin/init" "$work/root/init"
ln -s ../init "$work/root/sbin/poweroff"
chmod -R u=rwX,go=rX "$work/root"
find "$work/root" -exec touch -hd "@$epoch" {} +
(cd "$work/root" && find . -mindepth 1 -print0 | sort -z | cpio -0 -o --quiet -H newc -R 0:0 --reproducible) >"$work/cpio"
zstd -q -19 --zstd=wlog=20 -T1 -o "$work/initramfs" "$work/cpio"

size=$(stat -c %s "$work/initramfs") both=$(stat -c %s "$kernel")
both=$((size + both))
[ "$size" -le $BYTES_INITRAMFS ] || fail "the initramfs has $size bytes, more than $BYTES_INITRAMFS"
[ "$both" -le $BYTES_BOTH ] || fail "kernel and initramfs have $both bytes, more than $BYTES_BOTH"
install -m 644 "$work/initramfs" "$out/initramfs"
install -m 644 "$kernel" "$out/vmlinuz"
echo "stubdom: $out: initramfs $size bytes, with the kernel $both"
