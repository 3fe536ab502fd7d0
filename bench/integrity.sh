#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What integrity costs in instructions, which a busy machine does not change: those of a request through
# volume, lane and pool (bench/requests.c), counted by valgrind, as the difference of a short and a
# long run.  valgrind has AES-NI and AVX2 and no AVX-512, so libcrypto takes the ways of such a CPU.
#
#   bench/integrity.sh         MIB=4 B=build
set -eu
shopt -s inherit_errexit
export LC_ALL=C
cd "$(dirname "$0")/.."
B=${B:-build} MIB=${MIB:-4}
OUT=$(mktemp)
trap 'rm -f "$OUT"' EXIT

instructions() { # OP BYTES COUNT on|off
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$B/bench/requests" "$@" 2>"$OUT" ||
        { tail "$OUT" >&2; return 1; }
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$OUT"
}

each() { # OP BYTES on|off
    local few many count=$(((MIB << 20) / $2))
    few=$(instructions "$1" "$2" "$count" "$3")
    many=$(instructions "$1" "$2" $((3 * count)) "$3")
    [ "$many" -gt "$few" ]
    echo $(((many - few) / (2 * count)))
}

printf '%-12s %10s %10s %7s\n' "" on off ratio
for op in read write; do
    for bytes in 4096 65536; do
        on=$(each $op $bytes on)
        off=$(each $op $bytes off)
        printf '%-12s %10d %10d %7s\n' "$op $((bytes / 1024))k" "$on" "$off" \
            "$(awk -v a="$on" -v b="$off" 'BEGIN { printf "%.2f", a / b }')"
    done
done
