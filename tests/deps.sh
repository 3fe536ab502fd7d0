#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# deps.sh PACKAGE...: installs those Debian packages that are missing, saying first which.  Does
# nothing, quickly, when all are there.  As root, else through sudo.
set -euo pipefail

die()
{
    echo "deps: $*" >&2
    exit 1
}

# Names that are real packages only with a release's version in them: "virtual pattern".
versioned='libclang-rt-dev libclang-rt-[0-9]+-dev'

installed()
{
    # One call for all names; prints those that are installed.
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
        awk '$1 == "ii" { print $2 }' | sort -u
}

# The names on stdin that are not in the list of installed ones.
missing()
{
    local have name pattern
    have=$(installed)
    while read -r name; do
        pattern=$(awk -v n="$name" '$1 == n { print $2 }' <<<"$versioned")
        grep -qxF "$name" <<<"$have" && continue
        [ -n "$pattern" ] && grep -qxE "$pattern" <<<"$have" && continue
        echo "$name"
    done
}

# True for a real package; apt-cache show succeeds, with nothing, for a virtual one.
exists()
{
    [ -n "$(apt-cache show "$1" 2>/dev/null)" ]
}

# Turns a name apt does not know into the one this release has for it.
resolve()
{
    local name=$1 pattern real
    if exists "$name"; then
        echo "$name"
        return
    fi
    pattern=$(awk -v n="$name" '$1 == n { print $2 }' <<<"$versioned")
    [ -n "$pattern" ] || die "$name: no such package here: is this Debian 12 or later?"
    real=$(apt-cache pkgnames "${name%-dev}" | grep -xE "$pattern" | sort -V | tail -n 1) || true
    [ -n "$real" ] || die "$name: no such package here, nor one like $pattern"
    # The one that fits the default clang, where that can be told.
    local major
    major=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    if [ -n "$major" ] && exists "${name%-dev}-$major-dev"; then
        real=${name%-dev}-$major-dev
    fi
    echo "$real"
}

[ $# -gt 0 ] || die "usage: deps.sh PACKAGE..."
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "not a Debian system (no dpkg, no apt-get): install the counterparts of: $*"
fi

mapfile -t want < <(printf '%s\n' "$@" | missing)
[ ${#want[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "missing: ${want[*]}: run as root, or install sudo"
    as_root=(sudo)
fi

export DEBIAN_FRONTEND=noninteractive
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q)

echo "deps: missing: ${want[*]}"
echo "deps: apt-get update"
"${apt[@]}" update >/dev/null || die "apt-get update failed: check the network and /etc/apt"
names=()
for name in "${want[@]}"; do
    names+=("$(resolve "$name")") || exit 1
done
echo "deps: installing ${names[*]}"
"${apt[@]}" install -y --no-install-recommends "${names[@]}" ||
    die "apt-get could not install: ${names[*]}"
