#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Pictures of what bench/ring.sh, bench/serve.sh and bench/xen.sh have measured, as SVG beside their figures:
#
#   ring-cpu.svg      CPU of the worker a request by its size, each store, with integrity and without
#   ring-depth.svg    4 KiB requests: rate by how many are under way
#   serve-STORE.svg   CPU of the server a request, ours and our peers', by load
#   xen-STORE.svg     what a guest gets, as a multiple of the kernel's blkback on a plain loop device
#
#   bench/pictures.sh [DIR]    DIR is build/bench
set -eu
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
dir=${1:-build/bench}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
figures='include "figures";'

draw() { # NAME COMMANDS
    { echo "set terminal svg size 860,480 font 'sans,12'; set output '$dir/$1.svg'; set key outside right"; cat; } | gnuplot
    echo "$dir/$1.svg"
}

# points FILE FILTER X Y: a block for each store and integrity, with its name on top
points() {
    jq -L bench -rs "$figures"' map(select(.bench == "ring" and ('"$2"'))) | group_by([.store, .integrity, .op])[] |
        "\"\(.[0].op), \(.[0].store), integrity \(.[0].integrity)\"",
        (group_by('"$3"')[] | "\(.[0]'"$3"') \(map('"$4"') | median)"), "", ""' "$1"
}

# Who was not measured has no column: one without a single figure would be no picture
columns() { head -n 1 "$1" | wc -w; }

# The number of the last block, from 0
last() { echo $(($(grep -c '^"' "$1") - 1)); }

ring() {
    points "$dir/ring.json" '.queues == 1 and .guests == 1 and .touch == "over" and (.op == "read" or .op == "write") and
        (if .bytes <= 16384 then .depth == 32 and .pattern == "random" else .pattern == "sequential" end)' .bytes .cpu_us >"$work/cpu"
    draw ring-cpu <<END
set title "CPU of the worker a request"; set logscale xy; set xlabel "bytes a request"; set ylabel "microseconds"
plot for [i=0:$(last "$work/cpu")] '$work/cpu' index i using 1:2 with linespoints title columnheader(1)
END
    points "$dir/ring.json" '.queues == 1 and .guests == 1 and .touch == "over" and .bytes == 4096 and .pattern == "random" and
        (.op == "read" or .op == "write")' .depth .per_second >"$work/depth"
    draw ring-depth <<END
set title "4 KiB requests at random"; set logscale x 2; set xlabel "requests under way"; set ylabel "a second"; set yrange [0:*]
plot for [i=0:$(last "$work/depth")] '$work/depth' index i using 1:2 with linespoints title columnheader(1)
END
}

serve() { # STORE
    jq -L bench -rs --arg store "$1" "$figures"' map(select(.store == $store)) |
        (group_by([.load, .touch, .server]) | map({key: "\(.[0].load) \(.[0].touch) \(.[0].server)", value: (map(.cpu_us) | median)}) |
            from_entries) as $us |
        (["ring", "ephem", "raw", "luks", "qsd", "nbdkit"] | measured($us)) as $servers | "load \($servers | join(" "))",
        (map([.touch, .load]) | unique[] | . as [$touch, $load] |
            "\"\($load)\(if $touch == "first" then ", first" else "" end)\" \($servers | map($us["\($load) \($touch) \(.)"] // "NaN" | tostring) | join(" "))")' \
        "$dir/serve.json" >"$work/serve"
    [ "$(wc -l <"$work/serve")" -gt 1 ] || return 0
    draw "serve-$1" <<END
set title "CPU of the server a request ($1)"; set style data histogram; set style fill solid 0.8
set ylabel "microseconds"; set logscale y; set yrange [1:*]; set xtics rotate by -30; set grid y
plot for [i=2:$(columns "$work/serve")] '$work/serve' using i:xtic(1) title columnheader(i)
END
}

# xen STORE SUFFIX
xen() {
    jq -L bench -rs --arg suffix "$2" "$figures"' ["base-read", "first-write", "write-fsync", "write-qd1", "read-qd1", "write-qd32", "read-qd32",
            "write-sequential", "read-sequential"] as $loads |
        map(select(.requests > 0)) | group_by([.backend, .load]) |
        map({key: "\(.[0].load) \(.[0].backend)", value: (map(.requests / .ms) | median)}) | from_entries as $rate |
        (["plain", "qubes", "snapshot", "qcow2", "dir", "block", "ram", "stubdom"] | map(. + $suffix) | measured($rate)) as $backends |
        "load \($backends | join(" "))",
        ($loads[] | . as $load | $rate["\($load) plain\($suffix)"] as $one | select($one) |
            "\($load) \($backends | map($rate["\($load) \(.)"] // null | if . then . / $one * 1000 | round / 1000 else "NaN" end | tostring) |
                join(" "))")' "$dir/xen.json" >"$work/xen"
    [ "$(wc -l <"$work/xen")" -gt 1 ] || return 0
    draw "xen-$1" <<END
set title "What a guest gets, beside blkback on a loop device ($1)"; set style data histogram; set style fill solid 0.8
set ylabel "requests a second, plain = 1"; set xtics rotate by -30; set yrange [0:*]; set grid y
plot for [i=2:$(columns "$work/xen")] '$work/xen' using i:xtic(1) title columnheader(i)
END
}

command -v gnuplot >/dev/null || { echo "gnuplot is missing: run 'make deps'" >&2; exit 1; }
[ ! -s "$dir/ring.json" ] || ring
if [ -s "$dir/serve.json" ]; then
    serve tmpfs
    serve disk
fi
if [ -s "$dir/xen.json" ]; then
    xen memory ""
    xen disk +disk
    xen slow +slow
fi
