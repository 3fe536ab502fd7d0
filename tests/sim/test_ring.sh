#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a well-behaved guest sees: every way to negotiate a ring carries the right data, a volume
# begins as its base and never writes it, and what the toolstack configured is offered and enforced.
#
# One guest renegotiates the same volume again and again; each connection checks a pattern the one
# before it wrote, so data outlives connections of any shape. Every fxfront command that moves data
# compares it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

base_bytes=$((16 << 20))

# The wished shape is really negotiated, data is right, and outlives a close and a new connection.
ring() {
    ring_protocol=$1 ring_order=$2 ring_queues=$3 ring_segs=$4 ring_seed=$5
    sim_front 1 --protocol "$ring_protocol-abi" --ring-order "$ring_order" \
        --queues "$ring_queues" --indirect "$ring_segs" --depth 8 --seed "$ring_seed" info \
        check 1m 256k $((ring_seed - 1)) verify 500 flush pattern 1m 256k "$ring_seed" flush \
        reopen check 1m 256k "$ring_seed" verify 300 flush \
        pattern 1m 256k "$ring_seed" close >"$SIM/ring" || return 1
    cat "$SIM/ring"
    grep -q "^queues $ring_queues order $ring_order segments $ring_segs .*$ring_protocol-abi" \
        "$SIM/ring"
}

reads_as() {
    sim_front "$1" --devid "$2" readsha 0 "$3" >"$SIM/read" && cat "$SIM/read" &&
        grep -q "^$4 " "$SIM/read"
}

unchanged() {
    [ "$(sha "$DISK/base")" = "$base_sha" ]
}

# A volume for one check: the guest's xvdp.
scratch() {
    disk 1 51952 "$@"
}

unscratch() {
    sim_detach 1 51952
}

second_life() {
    sim_destroy 1 && sim_domain 1 && disk 1 51712 "$DISK/base" &&
        reads_as 1 51712 $base_bytes "$base_sha"
}

two_guests() {
    sim_domain 2 && disk 2 51712 "$DISK/base" || return 1
    sim_front_bg 1 --queues 2 --seed 3 pattern 4m 4m 31 verify 1s pattern 4m 4m 31 check 4m 4m 31
    two_pid=$sim_pid
    sim_front 2 --queues 2 --seed 4 pattern 4m 4m 32 verify 1s pattern 4m 4m 32 check 4m 4m 32 ||
        return 1
    wait "$two_pid" || { cat "$SIM/log/front.1"; return 1; }
    rm "$SIM/pid/front.1"
    sim_front 1 check 4m 4m 31 && sim_front 2 check 4m 4m 32
}

read_only() {
    scratch "$DISK/base" mode=r && reads_as 1 51952 $base_bytes "$base_sha" &&
        sim_front 1 --devid 51952 --indirect 64 info expect-error pattern 0 4k 1 \
            expect-error pattern 1m 256k 1 expect-error discard 0 64k verify 200 flush \
            >"$SIM/read" && grep -q 'info 4 .*discard 0' "$SIM/read" &&
        reads_as 1 51952 $base_bytes "$base_sha" && unscratch
}

no_discard() {
    scratch "$DISK/base" discard-enable=0 &&
        sim_front 1 --devid 51952 info expect-error discard 0 64k pattern 0 64k 5 \
            expect-error discard 0 64k check 0 64k 5 verify 200 >"$SIM/read" &&
        grep -q 'discard 0' "$SIM/read" && unscratch
}

discard() {
    scratch "$DISK/base" && sim_front 1 --devid 51952 info discard 1m 1m checkzero 1m 1m \
        pattern 1m 512k 6 discard 1m 256k checkzero 1m 256k check 1310720 256k 6 \
        discard 0 $base_bytes checkzero 0 $base_bytes >"$SIM/read" &&
        grep -q 'discard 1' "$SIM/read" && unscratch
}

longer() {
    scratch "cow:$DISK/base,size=24M" && reads_as 1 51952 $base_bytes "$base_sha" &&
        sim_front 1 --devid 51952 checkzero 16m 8m pattern 16380k 8k 8 check 16380k 8k 8 \
            verify 400 expect-error pattern 24m 4k 1 && unscratch
}

shorter() {
    scratch "$DISK/base,size=8M" &&
        reads_as 1 51952 $((8 << 20)) "$(head -c 8M "$DISK/base" | sha256sum | cut -d' ' -f1)" &&
        sim_front 1 --devid 51952 verify 200 expect-error check 8m 4k 1 && unscratch
}

blank() {
    scratch blank:16M && sim_front 1 --devid 51952 --indirect 64 checkzero 0 16m verify 400 \
        reopen verify 100 && unscratch
}

# The last block of the volume is not a whole one.
odd_size() {
    odd_bytes=$(((10 << 20) + 512))
    make_base "$DISK/odd" $odd_bytes && scratch "$DISK/odd" &&
        reads_as 1 51952 $odd_bytes "$(sha "$DISK/odd")" &&
        sim_front 1 --devid 51952 pattern 10m 512 9 check 10m 512 9 pattern 10484736 1536 10 \
            check 10484736 1536 10 expect-error pattern 10m 1k 1 expect-error check 10486272 512 1 \
            check 10484736 1536 10 discard 10m 512 verify 400 flush reopen verify 200 &&
        unscratch
}

odd_longer() {
    scratch "$DISK/odd,size=12M" && sim_front 1 --devid 51952 \
        checkzero 10486272 $(((2 << 20) - 512)) pattern 10486272 3584 11 check 10486272 3584 11 \
        verify 400 && unscratch
}

counters() {
    sim_front 1 pattern 0 64k 1 check 0 64k 1 flush || return 1
    "$B/ephemctl" status --json >"$SIM/status" && cat "$SIM/status" &&
        jq -e '.guests[0].volumes[0] | .reads > 0 and .writes > 0 and .flushes > 0' "$SIM/status"
}

case_begin --queues 4
make_base "$DISK/base" $base_bytes
base_sha=$(sha "$DISK/base")
sim_domain 1
check "a disk is attached" disk 1 51712 "$DISK/base"
check "a new volume reads as its base" reads_as 1 51712 $base_bytes "$base_sha"
sim_front 1 pattern 1m 256k 100 >"$SIM/last" 2>&1 || cat "$SIM/last"
seed=100
while read -r protocol order queues segs; do
    seed=$((seed + 1))
    check "$protocol, order $order, $queues queues, $segs indirect" \
        ring "$protocol" "$order" "$queues" "$segs" $seed
done <<END
x86_64 0 1 0
x86_32 0 1 0
x86_64 0 1 64
x86_32 2 1 64
x86_64 2 2 64
x86_32 0 4 0
x86_64 2 4 0
x86_64 0 2 256
x86_32 2 2 256
x86_64 4 1 256
x86_32 4 4 256
x86_64 4 4 256
END
check "the base is unchanged" unchanged
check "the figures count every kind of request" counters
check "discarded blocks read as zeros" discard
check "a read-only volume refuses writes and discards" read_only
check "discard-enable=0 is kept" no_discard
check "size= beyond the base reads zeros" longer
check "size= below the base cuts it" shorter
check "a blank volume" blank
check "a base that does not end with a block" odd_size
check "and one made longer" odd_longer
check "a second life is pristine" second_life
check "two guests on one base do not see each other" two_guests
check "the base is still unchanged" unchanged
case_end
