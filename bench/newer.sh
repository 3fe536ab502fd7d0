#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a newer libcrypto is worth: the same sources built in a root of Debian trixie (OpenSSL 3.5), its figures beside
# those of this machine's own.
#
#   bench/newer.sh             REPS=5  B=build  OUT=build/bench/newer.json  SUITE=trixie
#
# CPU a request of bench/ring_path.c, a pool file on tmpfs, as the difference of a short and a long run; both take turns, so
# that a slow spell of the machine hits both.  Its guest, in the ring's own thread, is in it.  The root is kept in the
# cache, keyed by what it is made of; it is used in a mount namespace of its own, which leaves nothing mounted.
# Needs root.
set -eu
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
B=${B:-build} REPS=${REPS:-5} SUITE=${SUITE:-trixie} OUT=${OUT:-$B/bench/newer.json}
PACKAGES=gcc,make,pkg-config,libxen-dev,libssl-dev,libaio-dev,liblz4-dev,libjansson-dev,libinih-dev,libblkid-dev,libseccomp-dev
cache=${XDG_CACHE_HOME:-$HOME/.cache}/blkback-ephem
root=$cache/newer-$(echo "$SUITE $PACKAGES" | sha256sum | cut -c1-16)
work=/var/tmp/newer
# OP BYTES INTEGRITY REQUESTS
ROWS="read 4096 on 200000
write 4096 on 200000
read 4096 off 200000
write 4096 off 200000
read 65536 on 20000
write 65536 on 20000
read 65536 off 20000
write 65536 off 20000"

make_root() {
    [ ! -e "$root" ] || return 0
    local dir
    dir=$(mktemp -d "$cache/build.XXXXXX")
    echo "newer: building a root of $SUITE" >&2
    if ! mmdebstrap --mode=root --variant=minbase --include="$PACKAGES" "$SUITE" "$dir/root" \
        "${BED_MIRROR:-http://deb.debian.org/debian}" >"$dir/log" 2>&1; then
        tail -n 20 "$dir/log" >&2
        rm -rf "$dir"
        exit 1
    fi
    mv -T "$dir/root" "$root"
    rm -rf "$dir"
}

there() { # COMMAND: in that root
    # shellcheck disable=SC2016 # expanded there
    unshare --mount --propagation private sh -euc 'mount --rbind /dev "$0/dev"; mount --rbind /proc "$0/proc"; exec chroot "$0" sh -euc "$1"' \
        "$root" "$1"
}
here() { sh -euc "$1"; }

# cpu here|there PROGRAM OP BYTES INTEGRITY REQUESTS: microseconds of CPU
cpu() {
    local where=$1
    shift
    { TIMEFORMAT='%U %S'; time "$where" "$1 $2 $3 $5 $4 /dev/shm" >/dev/null 2>&1; } 2>&1 |
        awk '{ printf "%d", ($1 + $2) * 1e6 }'
}

# request here|there PROGRAM ROW: one line of JSON
request() {
    local where=$1 program=$2 key op=$3 bytes=$4 integrity=$5 count=$6 few many
    few=$(cpu "$where" "$program" "$op" "$bytes" "$integrity" $((count / 10)))
    many=$(cpu "$where" "$program" "$op" "$bytes" "$integrity" "$count")
    key=$("$where" "$program --key")
    jq -nc --arg where "$where" --arg key "$key" --arg op "$op" --arg integrity "$integrity" --argjson bytes "$bytes" \
        --argjson us "$(awk -v d=$((many - few)) -v n=$((count - count / 10)) 'BEGIN { printf "%.3f", d / n }')" \
        '{where: $where, key: $key, op: $op, bytes: $bytes, integrity: $integrity, cpu_us: $us}'
}

make --no-print-directory "$B/bench/ring-path" >/dev/null
make_root
rm -rf "$root$work"
mkdir -p "$root$work" "$(dirname "$OUT")"
git ls-files Makefile blkback-ephem common xenstore-glue dom0-tools bench tests | cpio --quiet -pdm "$root$work"
there "make -C $work -j2 B=build build/bench/ring-path >/tmp/newer.log 2>&1 || { tail -n 20 /tmp/newer.log; exit 1; }" >&2
: >"$OUT"
for ((rep = 1; rep <= REPS; rep++)); do
    while read -ra row; do
        request here "$PWD/$B/bench/ring-path" "${row[@]}" >>"$OUT"
        request there "$work/build/bench/ring-path" "${row[@]}" >>"$OUT"
    done <<<"$ROWS"
done
jq -L bench -rs 'include "figures";
    (map({(.where): .key}) | add | "here: \(.here)\nthere: \(.there)"),
    "op bytes integrity here-us there-us ratio",
    (group_by([.op, .bytes, .integrity])[] | (map(select(.where == "here").cpu_us) | median) as $a |
        (map(select(.where == "there").cpu_us) | median) as $b |
        "\(.[0].op) \(.[0].bytes) \(.[0].integrity) \($a) \($b) \($b / $a * 100 | round / 100)")' "$OUT"
