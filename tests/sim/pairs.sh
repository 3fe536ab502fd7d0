# shellcheck shell=sh disable=SC2034 # for whoever sources this
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pairs.sh - an HVM guest G and its stub domain S, for cases.  G's frontend is a PV driver in the guest, S's the
# device model's: fxfront stands in for both.  One that stays connected and does what it is told is driven
# through a FIFO (talker, tell).

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
        [ "$(workers | wc -l)" = 1 ] && return 0
    listed .
    return 1
}

# A frontend that stays and does what it is told: N, DEVID.
talker() {
    mkfifo "$SIM/to.$1.$2" || return 1
    env LD_LIBRARY_PATH="$B/tests/fakexen" FAKEXEN_DOMID="$1" "$B/tests/fxfront" --devid "$2" \
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

# They are destroyed one after the other; nothing is left of them.
ends() {
    for ends_one in "$@"; do
        sim_destroy "$ends_one" || return 1
    done
    all_gone
}

all_gone() {
    sim_until 5 no_workers && nobody_holds "$DISK/pool/" && nobody_holds "$DISK/base"
}

# How many event channel handles there are that may only talk to domain N.
handles() {
    "$B/tests/fxctl" gc >/dev/null
    "$B/tests/fxctl" dump | grep -c "^handle for domain $1 alone"
}

no_handles() {
    [ "$(handles "$1")" = 0 ]
}

# Both domains at work in the same blocks, up to the end of either: options and commands of the guest's.
both_busy() {
    both_up 1 2 || return 1
    sim_front_bg 2 --mine 1/2/3 verify 600s
    sim_front_bg 1 --mine 0/2/3 verify "${1:-600s}"
    busy 1 && busy 2 || return 1
    busy_worker=$(worker_of 1)
}
