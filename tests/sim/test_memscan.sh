#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# memscan, the search of the forensic case, on files where something is planted; and what tells keys
# is not in the programs that are installed.
set -u

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
VERDICT=$dir/last
# shellcheck source=tests/sim/verdict.sh
. "$(dirname "$0")/verdict.sh"

text=$(printf %s "$RANDOM$RANDOM$RANDOM" | sha256sum | cut -c1-64)
key=$(head -c 96 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
# The key of guest two is masked as mask.h says, in other words; guest one has none
masked=$(perl -e 'my @k = unpack("C*", pack("H*", shift));
    printf "%02x", $k[$_] ^ 0xa5 ^ (($_ * 37 + 11) & 255) for 0 .. 95' "$key")
raw() { perl -e 'print pack("H*", shift)' "$1"; }
put() { dd of="$1" bs=1 seek="$2" conv=notrunc status=none; } # FILE OFFSET

search() {
    printf 'marker one %s\nkey two %s\n' "$text" "$masked" | "$B/tests/memscan" "$@" >"$dir/out"
}
# sum KIND NAME COUNT
sum() { grep -qx "sum $1 $2 $3" "$dir/out" || { cat "$dir/out"; return 1; }; }

head -c 8M /dev/urandom >"$dir/noise"
truncate -s 1G "$dir/noise"
check searches-noise search "$dir/noise"
for kind in 'marker one' 'marker-piece one' 'key two' 'key-piece two' 'schedule two'; do
    # shellcheck disable=SC2086 # two words
    check "nothing-in-noise-${kind% *}" sum $kind 0
done
check no-strange-schedule not grep unknown "$dir/out"
check holes-are-skipped test "$(sed -n 's/^searched //p' "$dir/out")" -lt $((16 << 20))

printf %s "$text" | put "$dir/noise" 1048550 # across a boundary of the search
raw "$text" | put "$dir/noise" 777
printf %s "${text:10:20}" | put "$dir/noise" 700000000
raw "$key" | put "$dir/noise" 1073741728 # the last bytes
check searches search "$dir/noise"
check markers sum marker one 2
check piece sum marker-piece one 1
check parts-of-the-key sum key two 3
offsets() {
    local at
    for at in '777 32' '1048550 64' '700000000 20' '1073741728 32' '1073741760 32' '1073741792 32'; do
        grep -q "^hit .* $dir/noise $at$" "$dir/out" || return 1
    done
}
check offsets offsets
# A saved FPU state, with a piece of the key in two of its registers: FCW and, if OK is 1, MXCSR and its mask
fpu_state() { # OK
    perl -e '($ok, $key) = @ARGV; $s = "\0" x 512; substr($s, 0, 2) = pack("v", 0x37f);
        substr($s, 24, 8) = pack("VV", 0x1fa0, 0xffff) if $ok;
        substr($s, 160 + 48, 32) = "x" x 32; substr($s, 160 + 48, 16) = substr(pack("H*", $key), 16, 16);
        print "\0" x 4096, $s, "\0" x 4096' "$1" "$key" >"$dir/state"
}
in_registers() { fpu_state 1 && search "$dir/state" && sum register two 1 && sum key-piece two 0; }
check registers in_registers
no_registers() { fpu_state 0 && search "$dir/state" && not sum register two 1 && sum key-piece two 1; }
check no-registers no_registers
few() { search -n 1 "$dir/noise" && [ "$(grep -c '^hit marker ' "$dir/out")" = 1 ] && sum marker one 2; }
check few-are-told few
both() { search "$dir/noise" "$dir/noise" && sum marker one 4; }
check two-files both
short_key() { echo 'key two 1234' | "$B/tests/memscan" "$dir/noise"; }
check not-a-key not short_key
check not-a-file not search "$dir/none"
masked_key() {
    printf %s "$masked" >"$dir/masked" && raw "$masked" >>"$dir/masked" &&
        search "$dir/masked" && sum key two 0 && sum key-piece two 0
}
check the-key-is-not-in-its-masked-form masked_key

for program in blkback-ephem blkback-ephemd ephemctl block-ephem; do
    check "$program-tells-no-key" not grep -aq 'masked key\|__wrap_' "$B/$program"
done
for program in forensic leaky; do
    check "$program-worker-does" grep -aq 'masked key' "$B/tests/$program/blkback-ephem"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
