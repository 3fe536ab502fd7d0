#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# HVM guests with a stub domain: guest G and its device model's domain S have the same disks, and both
# are doors onto one volume in one worker, in any order of arrival and departure; who only says that
# he is a stub domain gets nothing.
#
# G's frontend is a PV driver in the guest, S's the device model's: fxfront stands in for both.  One
# that stays connected and does what it is told is driven through a FIFO (talker, tell).
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3
dom=/local/domain

# As libxl does before the stub domain gets its disks: S, G.
pair() {
    xenstore-write $dom/"$2"/image/device-model-domid "$1" && xenstore-write $dom/"$1"/target "$2"
}

# Guest G and stub domain S, paired, with one disk each; the guest's first, as with libxl.
both_up() {
    sim_domain "$1" && sim_domain "$2" "guest$1-dm" && disk "$1" 51712 "$DISK/base" &&
        pair "$2" "$1" && disk "$2" 51712 "$DISK/base"
}

one_worker() {
    [ -n "$(worker_of "$1")" ] && [ "$(worker_of "$1")" = "$(worker_of "$2")" ] &&
        [ "$(workers | wc -l)" = 1 ] || { listed .; return 1; }
}

# A frontend that stays and does what it is told: N, DEVID.
talker() {
    mkfifo "$SIM/to.$1.$2" || return 1
    env LD_LIBRARY_PATH="$sim_libs" FAKEXEN_DOMID="$1" "$B/tests/fxfront" --devid "$2" \
        --queues 2 <"$SIM/to.$1.$2" >"$SIM/log/front.$1.$2" 2>&1 &
    echo $! >"$SIM/pid/front.$1.$2"
    # Somebody keeps it open, so that the end of an echo is not the end.
    sleep 1000 >"$SIM/to.$1.$2" &
    echo $! >"$SIM/pid/keep.$1.$2"
    sim_wait "$dom/$1/device/vbd/$2/state" 4 -t 20
}

# Tells it one command, and waits until it is done: `info` after it prints a line.
tell() {
    tell_log=$SIM/log/front.$1.$2
    tell_before=$(grep -c '^sectors' "$tell_log")
    tell_to=$SIM/to.$1.$2
    shift 2
    printf '%s\ninfo\n' "$*" >"$tell_to"
    sim_until 20 told || { echo "not done: $*"; cat "$tell_log"; return 1; }
}

told() {
    [ "$(grep -c '^sectors' "$tell_log")" -gt "$tell_before" ]
}

hang_up() {
    sim_end TERM "keep.$1.$2"
    rm "$SIM/to.$1.$2"
}

# Rings of both, one wrote, the other reads it at once, to and fro.
coherent() {
    both_up 1 2 && one_worker 1 2 && talker 1 51712 && talker 2 51712 || return 1
    for turn in 1 2 3 4 5 6; do
        tell 1 51712 pattern $((turn * 40))k 100k $turn && tell 2 51712 check $((turn * 40))k 100k $turn &&
            tell 2 51712 pattern $((turn * 40 + 3))k 512 9$turn &&
            tell 1 51712 check $((turn * 40 + 3))k 512 9$turn &&
            tell 1 51712 discard $((turn * 40 + 8))k 8k &&
            tell 2 51712 checkzero $((turn * 40 + 8))k 8k || return 1
    done
    [ "$(listed '[.guests[].volumes[].error // empty] | length')" = 0 ] &&
        [ "$(listed '.guests[] | select(.domid == 2) | .stubdom_of')" = 1 ] || { listed .; return 1; }
    hang_up 1 51712 && hang_up 2 51712 && front_ended 1.51712 && front_ended 2.51712 &&
        ends 1 2
}

# Both are destroyed; nothing is left of them.
ends() {
    for ends_one in "$@"; do
        sim_destroy "$ends_one" || return 1
    done
    sim_until 5 no_workers && nobody_holds "$DISK/pool/" && nobody_holds "$DISK/base"
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
check "what one ring wrote the other reads at once" coherent
case_end
