#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What ordinary NBD clients see: nbdinfo, qemu-img, qemu-io, nbdcopy.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

BASE=$WORK/base
head -c 48M /dev/urandom >"$BASE"
head -c 1536 /dev/urandom >>"$BASE" # not a multiple of a block
BYTES=$(stat -c %s "$BASE")
SUM=$(sha256sum "$BASE")
serve --volume "xvda=cow:$BASE" --volume xvdc=blank:1G --volume "xvdd=cow:$BASE,size=64M"

exports_listed() {
    nbdinfo --list --json "$(uri)" >"$WORK/list"
    [ "$(jq -r '.exports[]."export-name"' "$WORK/list" | xargs)" = "xvda xvdc xvdd" ]
    [ "$(jq -r '.exports[]."export-size"' "$WORK/list" | xargs)" = "$BYTES 1073741824 67108864" ]
    [ "$(jq -r '.exports[].block_size_minimum' "$WORK/list" | sort -u)" = 512 ]
    [ "$(jq -r '.exports[].block_size_preferred' "$WORK/list" | sort -u)" = 4096 ]
    [ "$(jq -r '.exports[].block_size_maximum' "$WORK/list" | sort -u)" = 1048576 ]
    local flag
    for flag in can_multi_conn can_trim can_zero can_fua can_flush; do
        [ "$(jq -r ".exports[].$flag" "$WORK/list" | sort -u)" = true ]
    done
}

default_export() {
    [ "$(nbdinfo --size "$(uri)")" = "$BYTES" ]
    ! nbdinfo --size "$(uri nosuch)"
}

equals_base() {
    qemu-img compare -f raw -F raw "$BASE" "$(uri xvda)"
}

# Compared in the shorter length: the rest must be zeros, which is qemu-img's rule without -s.
beyond_the_base() {
    qemu-img compare -f raw -F raw "$BASE" "$(uri xvdd)"
}

patterns() {
    qio xvda "write -P 0xaa 512 1536" "read -P 0xaa 512 1536" \
        "write -P 0xbb 4096 4096" "read -P 0xbb 4096 4096" \
        "write -P 0xcc 3584 1024" "read -P 0xcc 3584 1024" "read -P 0xbb 4608 3584" \
        "read -P 0xaa 512 1536" "write -P 0xdd 1M 1M" "read -P 0xdd 1M 1M" \
        "write -f -P 0xee 1049088 512" "read -P 0xdd 1M 512" "read -P 0xee 1049088 512" \
        "read -P 0xdd 1049600 1024000" "flush"
}

last_sectors() {
    qio xvda "write -P 0x5a $((BYTES - 512)) 512" "read -P 0x5a $((BYTES - 512)) 512" \
        "write -P 0x5b $((BYTES - 5120)) 4096" "read -P 0x5b $((BYTES - 5120)) 4096" \
        "read -P 0x5a $((BYTES - 512)) 512"
}

zeroes_and_discards() {
    qio xvdc "write -P 0x11 0 4M" "discard 1M 1M" "read -P 0 1M 1M" "read -P 0x11 0 1M" \
        "read -P 0x11 2M 2M" "write -z 512 1024" "read -P 0 512 1024" "read -P 0x11 0 512" \
        "read -P 0x11 1536 2560" "write -zu 3585K 12800" "read -P 0 3585K 12800" \
        "read -P 0x11 3584K 1024" "read -P 0x11 3683840 1024" "discard 2049K 1K" \
        "read -P 0x11 2M 1024" "write -z 2M 1M" "read -P 0 2M 1M" "write -P 0x12 1M 512" \
        "read -P 0x12 1M 512" "read -P 0 1049088 1047K"
    qio xvda "write -P 0x21 8M 64K" "discard 8M 64K" "read -P 0 8M 64K" "write -z -u 9M 3M" \
        "read -P 0 9M 3M" "discard 16M 16M" "read -P 0 16M 16M"
}

copy_in_and_out() {
    head -c 1G /dev/urandom >"$WORK/in"
    nbdcopy "$WORK/in" "$(uri xvdc)"
    nbdcopy "$(uri xvdc)" - | cmp - "$WORK/in"
    rm "$WORK/in"
}

base_untouched() {
    [ "$(sha256sum "$BASE")" = "$SUM" ]
}

stays_small() {
    local kib
    kib=$(awk '/^VmRSS:/ {print $2}' "/proc/$PID/status")
    echo "VmRSS $kib KiB"
    [ "$kib" -le 32768 ]
}

command -v jq >/dev/null && try "exports are listed with sizes and block sizes" exports_listed
command -v jq >/dev/null || skip "exports are listed with sizes and block sizes" "jq is missing"
try "the first volume is the default export" default_export
try "a fresh volume equals its base" equals_base
try "size= beyond the base reads as zeros" beyond_the_base
try "patterns, aligned and not" patterns
try "the last sectors of an odd size" last_sectors
try "zeroes and discards" zeroes_and_discards
try "1 GiB in and out" copy_in_and_out
case ${B##*/} in
build-*) skip "memory stays bounded" "a sanitizer's build" ;;
*) try "memory stays bounded" stays_small ;;
esac
try "SIGTERM ends it, nothing is left" serve_end
try "the base is unchanged" base_untouched
