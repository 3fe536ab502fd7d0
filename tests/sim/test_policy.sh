#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The operator's files: the default one and the domains' own, honest, mistaken and unsafe. What a
# guest got is looked up in status, where it comes from what its worker was told; a mistake is one
# line with file and line number, in hotplug-error for the one guest, and nobody else notices.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

M=$((1 << 20))

# rules FILE LINE...: blkback-ephem.conf or domains/NAME.conf, with these lines.
rules() {
    rules_file=$DISK/etc/$1
    shift
    mkdir -p "$DISK/etc/domains" && rm -rf "$rules_file" && printf '%s\n' "$@" >"$rules_file"
}

no_rules() {
    rm -rf "${DISK:?}/etc"
}

guest_up() {
    sim_domain "$@" && disk "$1" 51712 "$DISK/base"
}

# has N FILTER: jq's is true for the guest's status.
has() {
    "$B/ephemctl" status "$1" --json | jq -e ".guests[0] | $2" >"$SIM/has" && return
    "$B/ephemctl" status "$1" --json | jq ".guests[0]"
    return 1
}

# unstarted WORDS [OPTION]...: a daemon with $DISK/etc does not start and says one line.
unstarted() {
    unstarted_words=$1
    shift
    sim_run timeout 20 "$B/blkback-ephemd" --worker "$B/blkback-ephem" --run-dir "$SIM/run" \
        --config-dir "$DISK/etc" --state-dir "$DISK/state" "$@" >"$SIM/words" 2>&1 && { echo "it started"; return 1; }
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -qF -e "$unstarted_words" "$SIM/words"
}

# refused N WORDS: the hotplug script says one line, the same is in hotplug-error; no worker stays.
refused() {
    refused_status=0
    attach_only "$1" 51712 "$DISK/base" || return 1
    helper "$1" 51712 2>"$SIM/words" && refused_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] || refused_status=1
    grep -qF -e "$2" "$SIM/words" || { echo "does not say $2"; refused_status=1; }
    [ "block-ephem: $(backend "$1" 51712 hotplug-error)" = "$(cat "$SIM/words")" ] || {
        echo "hotplug-error is '$(backend "$1" 51712 hotplug-error)'"
        refused_status=1
    }
    [ -z "$(worker_of "$1")" ] || { echo "it has a worker"; refused_status=1; }
    sim_detach "$1" 51712 || refused_status=1
    return $refused_status
}

at_start() {
    daemon_left || return 1
    start_status=0
    no_rules
    unstarted "no pool: write pool=" || start_status=1
    rules blkback-ephem.conf "# all" "[pool]" "pol=dir:$DISK/pool"
    unstarted "$DISK/etc/blkback-ephem.conf:3: pol: no such key" --pool "dir:$DISK/pool" ||
        start_status=1
    rules blkback-ephem.conf "[pool]" "pool=dir:$DISK/pool" "quota=1m"
    unstarted "$DISK/etc/blkback-ephem.conf:3: quota: '1m'" || start_status=1
    rules blkback-ephem.conf "[pool]" "pool=ram:64M" "ram-budget=8M"
    unstarted "$DISK/etc/blkback-ephem.conf:3: ram-budget: a ram: pool" || start_status=1
    rules blkback-ephem.conf "[pool]" "pool=dir:$DISK/pool"
    chmod 666 "$DISK/etc/blkback-ephem.conf"
    unstarted "$DISK/etc/blkback-ephem.conf: others than root" || start_status=1
    no_rules
    unstarted "pool ram:1M: write a size from 8M" --pool ram:1M || start_status=1
    unstarted "absolute path" --pool "dir:$DISK/pool" --config-dir etc || start_status=1
    daemon_start && return $start_status
}

# The default file's pool goes before the command line's, and needs none there.
default_file() {
    daemon_left || return 1
    mkdir "$DISK/other"
    rules blkback-ephem.conf "[pool]" "pool=dir:$DISK/other" "quota=64M" "low-water=1M" \
        "[limits]" "bandwidth=50M"
    daemon_start || return 1
    [ "$("$B/ephemctl" list --json | jq -r .daemon.pool)" = "dir:$DISK/other" ] || return 1
    guest_up 1 || return 1
    [ -n "$(holders "$DISK/other/")" ] || { echo "its blocks do not go there"; return 1; }
    has 1 ".pool == \"dir:$DISK/other\" and .quota == $((64 * M)) and .pool_limit == .quota and
        .low_water == $M and .iops == 0 and .bandwidth == $((50 * M)) and .ram_budget == 0"
}

# What a domain's file says it has, what it does not is the default's.
own_file() {
    rules domains/special.conf "[limits]" "iops=700" "bandwidth=0" "[pool]" "quota=32M" \
        "ram-budget=16M"
    guest_up 2 special && has 2 ".pool == \"dir:$DISK/other\" and .quota == $((32 * M)) and
        .low_water == $M and .iops == 700 and .bandwidth == 0 and .ram_budget == $((16 * M))" &&
        has 1 ".quota == $((64 * M))"
}

readable() {
    "$B/ephemctl" status special >"$SIM/words" || return 1
    cat "$SIM/words"
    grep -q "^  pool dir:$DISK/other: .* taken, .* used.*, quota 32M, warning below 1.0M" \
        "$SIM/words" && grep -q '^  memory: .* resident, .* for slots.*(budget 16M)$' "$SIM/words" &&
        grep -q '^  limits: 700 requests a second, waited for' "$SIM/words"
}

# After a restart all that comes from the worker.
remembered() {
    rules domains/special.conf "[pool]" "quota=8M"
    daemon_left && daemon_start || return 1
    has 2 ".pool == \"dir:$DISK/other\" and .quota == $((32 * M)) and .iops == 700 and
        .ram_budget == $((16 * M)) and .low_water == $M"
}

# A guest that starts anew is under the new rules; one that runs stays under its own.
new_life() {
    sim_destroy 2 && guest_up 2 special && has 2 ".quota == $((8 * M))" &&
        has 1 ".quota == $((64 * M))"
}

# One guest's mistake: neither those that run nor those that start notice.
one_is_wrong() {
    sim_domain 3 wrong
    rules domains/wrong.conf "" "[pool]" "quota=lots"
    wrong_status=0
    refused 3 "$DISK/etc/domains/wrong.conf:3: quota: 'lots'" || wrong_status=1
    rules domains/wrong.conf "[pool]" "pool=ram:64M"
    refused 3 "$DISK/etc/domains/wrong.conf:2: quota: a ram: pool" || wrong_status=1
    rules domains/wrong.conf "[pool]" "pool=dir:$DISK/none"
    refused 3 "pool dir:$DISK/none: no such directory" || wrong_status=1
    rules domains/wrong.conf "[pool]" "pool=block:/dev/null" "quota=0"
    refused 3 "pool block:/dev/null: not a block device" || wrong_status=1
    rules domains/wrong.conf "[pool]" "pool=dir:$DISK/pool"
    chmod 622 "$DISK/etc/domains/wrong.conf"
    refused 3 "$DISK/etc/domains/wrong.conf: others than root" || wrong_status=1
    rm "$DISK/etc/domains/wrong.conf"
    ln -s special.conf "$DISK/etc/domains/wrong.conf"
    refused 3 "$DISK/etc/domains/wrong.conf: a symbolic link" || wrong_status=1
    has 1 ".quota == $((64 * M))" && guest_up 4 && sim_front 4 verify 50 || wrong_status=1
    rules domains/wrong.conf "[pool]" "pool=dir:$DISK/pool"
    disk 3 51712 "$DISK/base" && has 3 ".pool == \"dir:$DISK/pool\"" && return $wrong_status
}

# The default file breaks while the daemon runs: no guest starts, those that run go on.
default_breaks() {
    sim_domain 5
    rules blkback-ephem.conf "[pool]" "pool=dir:$DISK/other" "[limits]" "iops=many"
    breaks_status=0
    refused 5 "$DISK/etc/blkback-ephem.conf:4: iops: 'many'" || breaks_status=1
    sim_front 1 verify 50 || breaks_status=1
    rules blkback-ephem.conf "[pool]" "pool=dir:$DISK/other"
    disk 5 51712 "$DISK/base" && has 5 ".iops == 0 and .quota == 0" && return $breaks_status
}

# A name that leads out of the directory is no file's.
names() {
    rules domains/.hidden.conf "[pool]" "quota=8M"
    rules way.conf "[pool]" "quota=8M"
    mkdir "$DISK/etc/domains/x"
    guest_up 6 x/../../way && has 6 ".quota == 0" && guest_up 7 .hidden && has 7 ".quota == 0"
}

# No descriptor goes with it.
memory() {
    rules domains/memory.conf "[pool]" "pool=ram:64M,lz4" "low-water=8M"
    guest_up 8 memory && has 8 ".pool == \"ram:64M,lz4\" and .pool_limit == $((64 * M)) and
        .quota == 0 and .low_water == $((8 * M))" && sim_destroy 8
}

# Its size is its bound, one guest has it, and another only when that one is gone.
device() {
    rules domains/first.conf "[pool]" "pool=block:$1"
    rules domains/second.conf "[pool]" "pool=block:$1,force"
    device_status=0
    sim_domain 11 second
    guest_up 10 first && has 10 ".pool == \"block:$1\" and .pool_limit == $((16 * M)) and
        .quota == 0" || device_status=1
    refused 11 "pool block:$1: another guest" || device_status=1
    sim_destroy 10 && disk 11 51712 "$DISK/base" && has 11 ".pool_limit == $((16 * M))" &&
        sim_destroy 11 && return $device_status
}

devices() {
    truncate -s 16M "$DISK/device"
    if [ "$(id -u)" != 0 ] || ! devices_loop=$(losetup -f --show "$DISK/device" 2>/dev/null); then
        skip "a device has one guest" "needs root and loop devices"
        return
    fi
    check "a device has one guest" device "$devices_loop"
    mkfs.ext4 -q "$devices_loop" 2>/dev/null && check "a device with something on it" formatted "$devices_loop"
    losetup -d "$devices_loop"
}

formatted() {
    rules domains/formatted.conf "[pool]" "pool=block:$1"
    sim_domain 12 formatted && refused 12 "pool block:$1: has ext4 on it: wipe it"
}

case_begin
make_base "$DISK/base" $((8 << 20))
check "what is wrong at the start keeps the daemon from starting" at_start
check "the default file goes before the command line" default_file
check "a domain's file overrides it key by key" own_file
check "status for humans says it" readable
check "after a restart the rules of running guests are known" remembered
check "changed rules hold from the next life on" new_life
check "mistakes in a domain's file are that guest's alone" one_is_wrong
check "mistakes in the default file keep guests from starting" default_breaks
check "names that can be no file's have the defaults" names
check "a pool in memory" memory
devices
case_end
