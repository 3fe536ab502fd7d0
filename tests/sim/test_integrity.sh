#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests with rings on a pool that somebody else writes to: root, by way of the worker's descriptor.
# With integrity the guest is answered with an error where it reads what was changed, its log line and
# `ephemctl status` say so, and neither its other blocks nor its neighbour notice; without, it is given
# what nobody wrote. And what a guest's rules say about it is what its worker does, also for the next
# daemon.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=1048576

rules() {
    rules_file=$DISK/etc/$1
    shift
    mkdir -p "$DISK/etc/domains" && printf '%s\n' "$@" >"$rules_file"
}

guest_up() { # N NAME
    sim_domain "$1" "$2" && disk "$1" 51712 blank:64M
}

is() {
    is_now=$("$B/ephemctl" status "$1" --json | jq -r ".guests[0] | $2")
    [ "$is_now" = "$3" ] || { echo "$2 of guest $1 is $is_now, not $3"; return 1; }
}

# One bit of each block from 4 MiB to 5 MiB of the file, which belong to the first 12 the guest wrote.
tamper() {
    python3 - "$(pool_fd_of "$1")" <<'PY'
import os, sys
f = os.open(sys.argv[1], os.O_RDWR)
for at in range(4 << 20, 5 << 20, 4096):
    os.pwrite(f, bytes([os.pread(f, 1, at + 77)[0] ^ 0x10]), at + 77)
os.fsync(f)
PY
}

# The part of the disk that lies there: the guest wrote its blocks in their order, but not alone.
whole() {
    sim_front "$1" check 0 $((12 * MIB)) 7
}

by_default() {
    guest_up 1 first && guest_up 2 second && is 1 .integrity true && is 1 .tampered 0 &&
        sim_front 1 pattern 0 $((12 * MIB)) 7 check 0 $((12 * MIB)) 7 &&
        sim_front 2 pattern 0 $((12 * MIB)) 7
}

noticed() {
    noticed_log=$(log_end)
    tamper 1 && sim_front 1 expect-error readsha 0 $((12 * MIB)) &&
        sim_front 1 check 0 $((2 * MIB)) 7 && sim_front 1 check $((10 * MIB)) $((2 * MIB)) 7 &&
        whole 2 && is 2 .tampered 0 || return 1
    [ "$("$B/ephemctl" status 1 --json | jq '.guests[0].tampered')" -ge 1 ] || return 1
    log_since "$noticed_log" >"$SIM/words"
    grep -c 'guest 1: xvda: block [0-9]*: the pool does not hold' "$SIM/words" &&
        not grep -q 'guest 2: xvda' "$SIM/words" &&
        [ "$(grep -c 'guest 1: xvda' "$SIM/words")" -le 40 ]
}

in_words() {
    "$B/ephemctl" status 1 >"$SIM/words" && "$B/ephemctl" status 2 >>"$SIM/words" || return 1
    cat "$SIM/words"
    [ "$(grep -c '^  TAMPERED: [0-9]* times a block' "$SIM/words")" = 1 ] &&
        [ "$(grep -c '^  pool .*, integrity on' "$SIM/words")" = 2 ]
}

# What the next daemon knows is from the worker.
remembered() {
    daemon_left && daemon_start && is 1 .integrity true &&
        [ "$("$B/ephemctl" status 1 --json | jq '.guests[0].tampered')" -ge 1 ] &&
        sim_front 1 expect-error readsha 0 $((12 * MIB))
}

mended() {
    sim_front 1 discard 0 $((6 * MIB)) checkzero 0 $((6 * MIB)) &&
        sim_front 1 pattern 0 $((12 * MIB)) 7 && whole 1 && sim_front 1 verify 100
}

# The same attack on a guest that has no integrity: it reads what nobody wrote.
switched_off() {
    rules domains/plain.conf "[pool]" "integrity=off"
    guest_up 3 plain && is 3 .integrity false && sim_front 3 pattern 0 $((12 * MIB)) 7 &&
        whole 3 && tamper 3 && sim_front 3 readsha 0 $((12 * MIB)) && not whole 3 &&
        is 3 .tampered 0 && "$B/ephemctl" status 3 | grep -q '^  pool .*, integrity off'
}

# A domain's file goes before the defaults.
key_by_key() {
    rules blkback-ephem.conf "[pool]" "integrity=off"
    rules domains/careful.conf "[pool]" "integrity=on"
    guest_up 4 careful && guest_up 5 another && is 4 .integrity true && is 5 .integrity false
}

# On a device that is shared it cannot be switched off.
shared() {
    rules domains/shared.conf "[pool]" "pool=block:/dev/null,shared"
    sim_domain 6 shared && attach_only 6 51712 blank:64M || return 1
    not helper 6 51712 2>"$SIM/words" || return 1
    cat "$SIM/words"
    grep -qF "$DISK/etc/domains/shared.conf:2: integrity: a shared device needs it" "$SIM/words" &&
        [ -z "$(worker_of 6)" ]
}

# shellcheck disable=SC2119 # no options
case_begin
check "integrity is on unless said otherwise" by_default
check "what is changed in the pool is an error for its guest alone" noticed
check "status says it first" in_words
check "the next daemon knows" remembered
check "discarded and overwritten it is whole again" mended
check "without integrity the guest reads what nobody wrote" switched_off
check "a domain's file goes before the defaults" key_by_key
check "a shared device needs it" shared
case_end
