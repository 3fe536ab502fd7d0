#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# build.sh deb|rpm... - packages of what git tracks or would track, in build/packages/: a copy there is
# built, so that nothing of this tree's own build is used or touched.  JOBS=N compiles N files at once.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/build/packages
version=$(sed -n '1s/^[^(]*(\([^)]*\)).*/\1/p' debian/changelog)
name=blkback-ephem-$version
jobs=${JOBS:-$(nproc)}

die()
{
    echo "build.sh: $*" >&2
    exit 1
}

need()
{
    command -v "$1" >/dev/null || die "$1 is missing: run make deps"
}

# copy DIR: this tree, as git has it or would have it
copy()
{
    rm -rf "$1"
    mkdir -p "$1"
    git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do
        [ ! -e "$file" ] || printf '%s\0' "$file"
    done | tar -c --mode=u=rwX,go=rX --null -T - | tar -x -C "$1"
}

build_deb()
{
    need dpkg-buildpackage
    need dh
    copy "$out/deb/$name"
    (cd "$out/deb/$name" && dpkg-buildpackage -us -uc -j"$jobs")
}

# Where rpm is a guest, as on Debian, its database has nothing of what is installed; its macros have nothing of
# systemd and Python, and what they do to programs and pages does not work there.
rpm_guest()
{
    local post='find %{buildroot}/usr/sbin %{buildroot}/usr/libexec -type f -exec strip {} +'

    post="$post ; find %{buildroot}%{_mandir} -type f -exec gzip -9n {} +"
    printf '%s\n' --nodeps
    printf -- '--define\n%s\n' '_unitdir /usr/lib/systemd/system' \
        '_presetdir /usr/lib/systemd/system-preset' '_sysusersdir /usr/lib/sysusers.d' \
        '_tmpfilesdir /usr/lib/tmpfiles.d' '__python3 /usr/bin/python3' \
        'python3_sitelib /usr/lib/python3/dist-packages' \
        "__os_install_post $post"
}

build_rpm()
{
    local guest=()

    need rpmbuild
    rpm -q rpm >/dev/null 2>&1 || mapfile -t guest < <(rpm_guest)
    copy "$out/rpm/$name"
    tar -czf "$out/rpm/$name.tar.gz" --owner=0 --group=0 -C "$out/rpm" "$name"
    install -m 644 "$out/rpm/$name/packaging/blkback-ephem.spec" "$out/rpm"
    rm -rf "${out:?}/rpm/$name"
    rpmbuild -ba "${guest[@]}" --define "_topdir $out/rpm/top" --define "_sourcedir $out/rpm" \
        --define "_smp_mflags -j$jobs" --define "_rpmdir $out/rpm" --define "_srcrpmdir $out/rpm" \
        "$out/rpm/blkback-ephem.spec"
}

[ $# -gt 0 ] || die "usage: build.sh deb|rpm..."
for kind; do
    case $kind in
    deb | rpm)
        rm -rf "${out:?}/$kind"
        mkdir -p "$out/$kind"
        "build_$kind" >"$out/$kind.log" 2>&1 || { tail -n 40 "$out/$kind.log"; die "$kind: see $out/$kind.log"; }
        find "$out/$kind" -maxdepth 2 -name "*.$kind" | sort
        ;;
    *) die "$kind: packages are deb and rpm" ;;
    esac
done
