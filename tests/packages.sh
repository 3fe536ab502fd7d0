#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# packages.sh [DIR] - looks at the packages of packaging/build.sh (build/packages), then has them installed,
# upgraded, removed and purged in a copy of this machine's root, by tests/packages-root.sh: an overlay in
# memory, with its own processes and without a network.  As root.
# shellcheck disable=SC2016 # others evaluate
set -u
cd "$(dirname "$0")/.." || exit 1
top=$PWD
built=$(realpath "${1:-build/packages}")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() {
    local name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "ok packages/$name"
        passed=$((passed + 1))
    else
        echo "not ok packages/$name"
        sed 's/^/    /' "$work/out"
        failed=$((failed + 1))
    fi
}

mapfile -t debs < <(find "$built/deb" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' | sort)
mapfile -t rpms < <(find "$built/rpm" -maxdepth 2 -name '*.rpm' ! -name '*.src.rpm' | sort)
of_kind() { printf '%s\n' "$@" | sed 's,.*/,,; s/[-_][0-9].*//' | sort | xargs; }
all_built() {
    [ "$(of_kind "${debs[@]}")" = "blkback-ephem blkback-ephem-guard" ] || { of_kind "${debs[@]}"; return 1; }
    [ "$(of_kind "${rpms[@]}")" = "blkback-ephem blkback-ephem-guard blkback-ephem-qubes" ] ||
        { of_kind "${rpms[@]}"; return 1; }
}
check all-built all_built
[ "$failed" = 0 ] || { echo "$passed passed, $failed failed"; exit 1; }

# Findings and what is listed as an exception but does not occur any more.
lintian_clean() { lintian --allow-root -I --fail-on error,warning,info "$built"/deb/*.changes; }
check lintian lintian_clean
rpmlint_clean() {
    find "$built/rpm" -name '*.rpm' -exec rpmlint --strict -c packaging/rpmlint.toml packaging/blkback-ephem.spec {} + |
        tee "$work/rpmlint"
    grep -qE ' 0 errors, 0 warnings' "$work/rpmlint"
}
check rpmlint rpmlint_clean
# An exception has its reason above it.
reasons() {
    awk 'FNR == 1 || /^ *$/ { reason = 0 } /^ *#/ { reason = 1; next }
        /^blkback/ && !reason { print FILENAME ": " $0; bad = 1 } END { exit bad }' debian/*.lintian-overrides &&
        awk "/^ *#/ { reason = 1; next } /^    '/ && !reason { print; bad = 1 } { reason = 0 } END { exit bad }" packaging/rpmlint.toml
}
check exceptions-have-reasons reasons

versions() {
    local deb rpm python
    deb=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
    rpm=$(sed -n 's/^Version: *//p' packaging/blkback-ephem.spec)
    python=$(sed -n 's/^ *version="\(.*\)",/\1/p' dom0-tools/qubes/setup.py)
    echo "$deb $rpm $python"
    [ "$deb" = "$rpm" ] && [ "$deb" = "$python" ]
}
check versions versions

# What a set of packages has, as a root.
mkdir "$work/deb" "$work/rpm"
for one in "${debs[@]}"; do dpkg-deb -x "$one" "$work/deb"; done
for one in "${rpms[@]}"; do rpm2cpio "$one" | (cd "$work/rpm" && cpio -idm --quiet); done
programs() {
    (cd "$1" && find usr/sbin usr/bin usr/libexec etc/xen/scripts ! -type d 2>/dev/null) | sed 's,.*/,,' | sort -u
}
pages() {
    local program
    programs "$1"
    [ "$(programs "$1" | wc -l)" -ge 5 ] || return 1
    for program in $(programs "$1"); do
        compgen -G "$1/usr/share/man/man[18]/$program.[18].gz" >/dev/null || { echo "$program has no page"; return 1; }
    done
}
check deb-pages pages "$work/deb"
check rpm-pages pages "$work/rpm"
conffile() {
    dpkg-deb --ctrl-tarfile "$(printf '%s\n' "${debs[@]}" | grep '/blkback-ephem_')" | tar -xO ./conffiles |
        grep -xF /etc/blkback-ephem/blkback-ephem.conf
}
check deb-conffile conffile
config() {
    rpm -qp --configfiles "$(printf '%s\n' "${rpms[@]}" | grep '/blkback-ephem-[0-9]')" |
        grep -xF /etc/blkback-ephem/blkback-ephem.conf
}
check rpm-config config
# libxenctrl's soname belongs to one release of Xen.
only_guard() {
    find "$1/usr/sbin" "$1/usr/libexec" -type f -exec grep -lF libxenctrl.so {} + | sed 's,.*/,,' | tee "$work/bound"
    [ "$(cat "$work/bound")" = ephem-guard ]
}
check deb-only-the-guard-is-bound only_guard "$work/deb"
check rpm-only-the-guard-is-bound only_guard "$work/rpm"

# Another prefix: nothing names a program that is not there.
elsewhere() {
    local path
    make --no-print-directory -o all install DESTDIR="$work/local" PREFIX=/usr/local B="$work/nothing" >/dev/null || return 1
    grep -rhoE '/usr/[a-z/-]*/(blkback-ephemd?|ephem-guard)( |$)' "$work/local/usr/local/lib/systemd" | sort -u >"$work/named"
    [ "$(wc -l <"$work/named")" = 3 ] || { cat "$work/named"; return 1; }
    while read -r path; do
        echo "$path"
        [ -x "$work/local$path" ] || return 1
    done <"$work/named"
    [ -x "$work/local$(readlink "$work/local/etc/xen/scripts/block-ephem")" ]
}
mkdir "$work/nothing"
cp "$work"/deb/usr/sbin/* "$work"/deb/usr/libexec/blkback-ephem/* "$work/nothing"
check another-prefix elsewhere

# --- the root -----------------------------------------------------------------------------------------
inside() {
    unshare --mount --pid --fork --kill-child --net --ipc --uts bash -c '
        set -e
        mount --make-rprivate /
        mount -t tmpfs none "$1/root"
        cd "$1/root"
        mkdir upper work merged
        mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work merged
        mount -t proc none merged/proc
        mount --rbind /dev merged/dev
        mount -t tmpfs none merged/run
        mount -t tmpfs none merged/tmp
        mkdir merged/tmp/debs merged/tmp/rpms merged/tmp/upper
        mount --bind upper merged/tmp/upper
        debs=$2
        rpms=$3
        cp $debs merged/tmp/debs
        cp $rpms merged/tmp/rpms
        cp "$4/tests/packages-root.sh" merged/tmp
        exec chroot merged env TOP="$4" bash /tmp/packages-root.sh
        ' inside "$work" "${debs[*]}" "${rpms[*]}" "$top"
}
mkdir "$work/root"
# What the worker's test needs besides, while there is a network
check xenstored tests/fakexen/get-xenstored.sh
if unshare --mount bash -c 'mount --make-rprivate / && mount -t tmpfs none "$1" && mkdir "$1"/{u,w,m} &&
        mount -t overlay none -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" "$1/m"' - "$work/root" 2>"$work/out"; then
    inside 2>&1 | tee "$work/inside"
    sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/inside" | tail -n 1)
    [ -n "$sum" ] || sum="0 passed, 1 failed"
    passed=$((passed + ${sum%% passed*}))
    sum=${sum#*, }
    failed=$((failed + ${sum%% failed*}))
else
    echo "skip packages in a root of their own: no overlay of /: $(cat "$work/out")"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
