#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ephemctl audit: nothing to find on a sound host, and everything that is wrong is found, by its own row
# and by no other. What is wrong is real: processes that are careless (careless.c), traced or killed, files that
# are open, nodes that are there. Only what belongs to the whole machine (swap devices, the kernel's command line)
# and what it does not do on demand (swapping) are files of our own, mounted over those of /proc.
#
# All this happens in namespaces of its own: for the mounts, and so that other processes of this machine, which
# may not be looked at, do not count.
set -u

# case.sh calls this with its own path in $0.
if [ -z "${AUDIT_ALONE:-}" ]; then
    if ! unshare --mount --pid --fork --mount-proc true 2>/dev/null; then
        echo "skip audit: needs root and namespaces"
        echo "0 passed, 0 failed"
        exit 0
    fi
    AUDIT_ALONE=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"
# shellcheck source=tests/sim/pairs.sh
. "$(dirname "$0")/pairs.sh"

status=
AUDIT_UNDER=
tracer=
overs=0

# over FILE-OF-PROC TEXT: what is read there from now on; bare FILE: the kernel's again
over() {
    overs=$((overs + 1))
    over_file=$SIM/over.$overs
    printf '%s' "$2" >"$over_file"
    mount --bind "$over_file" "$1"
}
bare() {
    umount "$1"
}

# The words of $AUDIT_UNDER stand before its command.
# audit [DOMAIN]: report in $SIM/report, table in $SIM/table, $status. Both must have the same status, and neither
# anything but printable characters and short lines.
audit() {
    # shellcheck disable=SC2086 # words
    $AUDIT_UNDER "$B/ephemctl" audit "$@" --json >"$SIM/report" 2>"$SIM/words"
    status=$?
    # shellcheck disable=SC2086 # words
    $AUDIT_UNDER "$B/ephemctl" audit "$@" >"$SIM/table" 2>>"$SIM/words"
    [ $? = $status ] || { echo "table and JSON end differently"; return 1; }
    cat "$SIM/table" "$SIM/words"
    jq -e . "$SIM/report" >/dev/null || return 1
    ! LC_ALL=C grep -n '[^ -~]' "$SIM/table" || return 1
    [ "$(wc -L <"$SIM/table")" -lt 300 ] || return 1
    [ ! -s "$SIM/words" ]
}

# rows VERDICT: the names of such rows, of guests and host
rows() {
    jq -r --arg v "$1" '[.guests[].checks[], .host.checks[]] | map(select(.verdict == $v).check)[]' "$SIM/report" |
        sort | uniq | paste -sd,
}

# contains ROWS ROW,ROW...: each of the latter
contains() {
    local row
    while read -r row; do
        [[ ",$1," = *",$row,"* ]] || return 1
    done < <(tr ',' '\n' <<<"${2:-}" | sed '/^$/d')
}

# finds STATUS FAIL-ROWS UNKNOWN-ROWS WARN-ROWS [DOMAIN]: these and no other. A sanitizer needs files, memory and
# system calls that an audit rightly objects to: then these at least.
finds() {
    finds_wanted=("$1" "$2" "$3" "$4")
    shift 4
    audit "$@" || return 1
    finds_got=("$status" "$(rows FAIL)" "$(rows unknown)" "$(rows warn)")
    echo "got    ${finds_got[*]@Q}"
    echo "wanted ${finds_wanted[*]@Q}"
    if [ -n "$SANITIZED" ]; then
        contains "${finds_got[1]}" "${finds_wanted[1]}" && contains "${finds_got[2]}" "${finds_wanted[2]}" &&
            contains "${finds_got[3]}" "${finds_wanted[3]}"
        return
    fi
    [ "${finds_got[*]@Q}" = "${finds_wanted[*]@Q}" ]
}

# says CHECK TEXT: the row's detail has it
says() {
    jq -r --arg c "$1" '.guests[].checks[], .host.checks[] | select(.check == $c).detail' "$SIM/report" | grep -F -- "$2"
}

remedies() {
    [ "$(jq '[.guests[].checks[], .host.checks[]] | map(select((.verdict == "ok") != (.remedy == null))) | length' \
        "$SIM/report")" = 0 ]
}

all_well() {
    finds 0 "" "" "" && remedies || return 1
    [ "$(jq -r '.verdict, .guests[0].domid, .guests[0].name, .guests[0].worker_pid' "$SIM/report" | xargs)" = \
        "ok 1 guest1 $(worker_of 1)" ] || [ -n "$SANITIZED" ] || return 1
    jq -r '.guests[0].checks[].check, .host.checks[].check' "$SIM/report" | uniq >"$SIM/all"
    [ -n "$SANITIZED" ] || diff "$SIM/all" - <<END
disk xvda
disk xvdb
worker
key age
key memory
locked memory
swap
privileges
system calls
traced
dumps
namespaces
root
base xvda
pool
integrity
daemon
dom0 swap
hibernation
suspend to RAM
core files
init_on_free
END
}

key_is_as_old_as_its_worker() {
    sleep 2
    # The audit itself may take its time, and so may a worker until it makes its key.
    before=$(ps -o etimes= -p "$(worker_of 1)")
    audit || return 1
    age=$(jq '.guests[0].key_age' "$SIM/report") after=$(ps -o etimes= -p "$(worker_of 1)")
    echo "key: $age s, worker: from $before to $after s"
    [ "$age" -ge 2 ] && [ $((age - after)) -le 1 ] && [ $((before - age)) -le 2 ]
}

one_domain() {
    sim_domain 2 other && disk 2 51712 blank:16M || return 1
    finds 0 "" "" "" && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[1,2]' ] || return 1
    finds 0 "" "" "" other && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[2]' ] || return 1
    finds 0 "" "" "" 1 && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[1]' ] || return 1
    # A number is one even where it is a name.
    xenstore-write /local/domain/2/name 1
    finds 0 "" "" "" 1 && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[1]' ] || return 1
    xenstore-write /local/domain/2/name 77
    finds 0 "" "" "" 77 && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[2]' ] || return 1
    sim_destroy 2
}

# ---- disks ----

# vbd KIND BACKEND-DOMAIN MODE: xvdd of guest 1, as libxl writes it
vbd() {
    vbd_back=/local/domain/$2/backend/$1/1/51760
    xenstore-write "$vbd_back/mode" "$3" "$vbd_back/state" 4 "$vbd_back/params" /dev/vg/data "$vbd_back/frontend-id" 1 \
        /libxl/1/device/vbd/51760/backend "$vbd_back" /libxl/1/device/vbd/51760/mode "$3" /local/domain/1/device/vbd/51760/backend "$vbd_back"
}
no_vbd() {
    xenstore-rm "$vbd_back" /libxl/1/device/vbd/51760 /local/domain/1/device/vbd/51760 2>/dev/null
}

plain_disks() {
    for kind in vbd qdisk vbd3 newkind; do
        for from in 0 5; do
            vbd $kind $from w && finds 1 "disk xvdd" "" "" && says "disk xvdd" "$kind of domain $from, /dev/vg/data" || return 1
            vbd $kind $from r && finds 0 "" "" "" && says "disk xvdd" "read-only" || return 1
            no_vbd
        done
    done
    vbd vbd 0 '' && finds 1 "disk xvdd" "" "" && no_vbd && finds 0 "" "" ""
}

# It writes its backend's nodes as it likes: of what the toolstack gave it that takes nothing away.
driver_domain_lies() {
    note=/libxl/1/device/vbd/51760
    vbd vbd 5 w && xenstore-write "$vbd_back/mode" r && finds 1 "disk xvdd" "" "" || return 1
    xenstore-rm "$vbd_back/state" && finds 1 "" "disk xvdd" "" || return 1
    xenstore-rm "$vbd_back" && finds 1 "" "disk xvdd" "" && says "disk xvdd" "has no state" || return 1
    vbd vbd 5 r && xenstore-write "$vbd_back/mode" w && finds 0 "" "" "" || return 1
    xenstore-rm $note/mode && xenstore-write "$vbd_back/mode" r && finds 1 "disk xvdd" "" "" || return 1
    # The toolstack's word for another backend
    xenstore-write $note/mode r $note/backend /local/domain/6/backend/vbd/1/51760 \
        /local/domain/6/backend/vbd/1/51760/state 4 && finds 1 "disk xvdd" "" "" || return 1
    xenstore-rm /local/domain/6/backend && no_vbd && finds 0 "" "" ""
}

# Each of the three sides alone is enough.
one_side() {
    vbd vbd 0 w && xenstore-rm /libxl/1/device/vbd/51760 /local/domain/1/device/vbd/51760 &&
        finds 1 "disk xvdd" "" "" && no_vbd || return 1
    vbd vbd 5 w && xenstore-rm /local/domain/1/device/vbd/51760 && finds 1 "disk xvdd" "" "" || return 1
    vbd vbd 5 w && xenstore-rm /libxl/1/device/vbd/51760 && finds 1 "disk xvdd" "" "" || return 1
    # A driver domain's word alone breaks nobody's audit.
    xenstore-rm /local/domain/1/device/vbd/51760 && finds 3 "" "" "disk xvdd" && no_vbd || return 1
    # The toolstack's word, where there is nothing.
    xenstore-write /libxl/1/device/vbd/51760/backend /local/domain/9/backend/vbd/1/51760 &&
        finds 1 "" "disk xvdd" "" && no_vbd || return 1
    xenstore-write /libxl/1/device/vbd/51760/backend /local/domain/0/backend/vbd/1/51760 &&
        finds 3 "" "" "disk xvdd" && says "disk xvdd" "not there" && no_vbd
}

# Our script's name alone does not make it ours.
forged_script() {
    vbd vbd3 0 w && xenstore-write "$vbd_back/script" /etc/xen/scripts/block-ephem || return 1
    xenstore-chmod "$vbd_back/script" n0 b1
    finds 1 "disk xvdd" "" "" && says "disk xvdd" "not ours" || return 1
    xenstore-write "$vbd_back/script" /etc/xen/scripts/block && xenstore-chmod "$vbd_back/script" n0 r1
    finds 1 "disk xvdd" "" "" && says "disk xvdd" "not ours" && no_vbd || return 1
    # All as it should be, but the daemon does not have it: no state of xenbus.
    vbd vbd3 0 w && xenstore-write "$vbd_back/state" 9 "$vbd_back/script" /etc/xen/scripts/block-ephem &&
        xenstore-chmod "$vbd_back/script" n0 r1 || return 1
    finds 1 "disk xvdd" "" "" && says "disk xvdd" "does not serve it" && no_vbd
}

# Ways out that are no disks; those of a device model have no backend.
other_devices() {
    for type in vusb vtpm 9pfs pci newkind; do
        xenstore-write /libxl/1/device/$type/0/type DEVICEMODEL
        finds 3 "" "" device && says device "a $type device" || return 1
        # By a name that is not one of its own.
        xenstore-write /libxl/1/device/$type/0/backend /local/domain/0/backend/$type/2/0
        finds 3 "" "" device || return 1
        xenstore-rm /libxl/1/device/$type
    done
    for type in vusb vtpm 9pfs pci qusb; do
        xenstore-write /libxl/1/device/$type/0/backend /local/domain/0/backend/$type/1/0
        finds 3 "" "" device || return 1
        xenstore-rm /libxl/1/device/$type
    done
    for type in vif console vfb vkbd; do
        xenstore-write /libxl/1/device/$type/0/backend /local/domain/0/backend/$type/1/0 /libxl/1/device/$type/1/x y
    done
    finds 0 "" "" "" && xenstore-rm /libxl/1/device
}

no_disk_of_ours() {
    sim_domain 3 plain || return 1
    xenstore-write /local/domain/0/backend/vbd/3/51712/mode w /local/domain/0/backend/vbd/3/51712/state 4
    finds 1 "disk xvda,disks,worker" integrity "" plain || return 1
    xenstore-rm /local/domain/0/backend/vbd/3
    sim_destroy 3
}

hostile_words() {
    long=$(head -c 3000 /dev/zero | tr '\0' 'x')
    for value in $'\e[2J\e[31mok\n  ok  everything' '"},{"verdict":"ok"' $'\377\376\300\200' "$long" '%s%n%s' \
        /local/domain/0/backend/vbd/2/51712 /local/domain/0/backend/../../1 /local/domain/0/backend/vbd/1/4294967296; do
        guest_write 1 51760 backend "$value" && finds 3 "" "" frontend || return 1
    done
    # One that could be, but is not.
    guest_write 1 51760 backend /local/domain/9/backend/vbd/1/51760 && finds 3 "" "" "disk xvdd" || return 1
    guest_write 1 51760 backend "" && finds 3 "" "" frontend || return 1
    xenstore-rm /local/domain/1/device/vbd/51760
    # A driver domain's words, and a name.
    vbd vbd 5 w && xenstore-write "$vbd_back/params" $'\e]0;x\a"\n,\377' && finds 1 "disk xvdd" "" "" && no_vbd || return 1
    xenstore-write /local/domain/1/name $'\e[2Jg"\n1' && finds 0 "" "" "" || return 1
    xenstore-write /local/domain/1/name "$long" && finds 0 "" "" "" || return 1
    xenstore-write /local/domain/1/name guest1
}

# ---- files ----

base_open_elsewhere() {
    exec 9<>"$DISK/base"
    finds 1 "base xvda" "" "" && says "base xvda" "process $$ (" || return 1
    exec 9<&- 9<"$DISK/base"
    finds 0 "" "" "" || return 1
    exec 9<&-
}

base_behind_loop() {
    mkdir -p "$SIM/block/loop7/loop" && echo "$DISK/base" >"$SIM/block/loop7/loop/backing_file"
    echo 0 >"$SIM/block/loop7/ro"
    mount --bind "$SIM/block" /sys/block || return 1
    result=0
    finds 1 "base xvda" "" "" && says "base xvda" /dev/loop7 || result=1
    echo 1 >"$SIM/block/loop7/ro"
    finds 0 "" "" "" || result=1
    umount /sys/block
    return $result
}

pool_open_elsewhere() {
    exec 9<"/proc/$(worker_of 1)/fd/$(pool_fd)"
    finds 1 pool "" "" && says pool "process $$ (" || return 1
    exec 9<&-
}
pool_fd() {
    find "/proc/$(worker_of 1)/fd" -lname "$DISK/pool/*" -printf '%f'
}

base_replaced() {
    mv "$DISK/base" "$DISK/base.old" && make_base "$DISK/base" 8388608
    finds 1 "" "base xvda" "" || return 1
    rm "$DISK/base" && finds 1 "" "base xvda" "" || return 1
    mv "$DISK/base.old" "$DISK/base" && finds 0 "" "" ""
}

# one_way NAME TEXT COMMAND...: what it does is found at the base of guest 15, by these words
one_way() {
    way=$1 words=$2
    shift 2
    "$@" || { echo "$way: cannot be done"; return 1; }
    audit 15
    result=0
    # What else a worker under a sanitizer has is not this test's.
    [ $status = 1 ] && contains "$(rows FAIL)" "base xvda" && says "base xvda" "$words" || result=1
    [ -n "$SANITIZED" ] || [ "$(rows FAIL)" = "base xvda" ] || result=1
    return $result
}

disk_with_partition() {
    truncate -s 64M "$DISK/disk"
    # Not every kernel reads partition tables.
    base_dev=$(losetup -P -f --show "$DISK/disk") && base_part=${base_dev}p1 && mkdir -p "$SIM/mnt" &&
        addpart "$base_dev" 1 2048 65536 && sim_until 10 test -b "$base_part" && mkfs.ext4 -q "$base_part"
}

# A device that the kernel itself writes to, by way of its partition
base_device() {
    sim_domain 15 && disk 15 51712 "$base_dev" && finds 0 "" "" "" 15 || return 1
    one_way mounted "is mounted read-write at $SIM/mnt" mount "$base_part" "$SIM/mnt" && umount "$SIM/mnt" || return 1
    mount -o ro "$base_part" "$SIM/mnt" && finds 0 "" "" "" 15 || return 1
    # Here read-only, elsewhere not
    mount -o remount,rw "$base_part" "$SIM/mnt" && mount -o remount,bind,ro "$SIM/mnt" &&
        one_way bound "is mounted read-write" true && umount "$SIM/mnt" || return 1
    number=$(printf '%x:%x' $((0x$(stat -c %t "$base_part"))) $((0x$(stat -c %T "$base_part"))))
    given=/local/domain/0/backend/vbd/16/51728
    one_way given "is disk xvdb of domain 16, writable, by vbd" \
        xenstore-write $given/physical-device "$number" $given/mode w $given/state 4 || return 1
    xenstore-rm $given/mode && one_way "given without a mode" "writable" true || return 1
    xenstore-write $given/mode r && finds 0 "" "" "" 15 || return 1
    # A driver domain's numbers are of its own devices.
    xenstore-rm $given && xenstore-write "/local/domain/5/backend/vbd/16/51728/physical-device" "$number" \
        /local/domain/5/backend/vbd/16/51728/mode w && finds 0 "" "" "" 15 || return 1
    xenstore-rm /local/domain/5/backend
    over /proc/swaps "$(cat /proc/swaps)"$'\n'"$base_part partition 1 0 -2"$'\n'
    one_way swap "is swap" true || return 1
    bare /proc/swaps
    finds 0 "" "" "" 15
}

# However long the kernel's lines are, and what is not understood is not fine.
mounts_are_understood() {
    long=$SIM/mnt
    for _ in 1 2 3 4 5 6 7 8 9; do long=$long/$(printf 'x%.0s' {1..240}); done
    mkdir -p "$long" && mount -t tmpfs none "$long" || return 1
    one_way "behind a long line" "is mounted read-write" mount "$base_part" "$SIM/mnt" && umount "$SIM/mnt" || return 1
    umount "$long"
    long=$SIM/mnt/$(printf 'x%.0s' {1..200})/$(printf 'y%.0s' {1..200})
    mkdir -p "$long" && one_way "in a long place" "is mounted read-write" mount "$base_part" "$long" &&
        umount "$long" || return 1
    for text in "" nonsense "$(head -c 900 /proc/1/mountinfo)"; do
        over /proc/1/mountinfo "$text"
        finds 1 "" "base xvda" "" 15 || return 1
        bare /proc/1/mountinfo
    done
    finds 0 "" "" "" 15
}

# Not every kernel has a device mapper: only what sysfs would tell of one.
base_below_mapper() {
    mkdir -p "$SIM/holders/dm-77"
    for device in "$base_dev" "$base_part"; do
        holders=$(readlink -f "/sys/dev/block/$(stat -c %Hr:%Lr "$device")/holders")
        one_way mapper "is part of /dev/dm-77" mount --bind "$SIM/holders" "$holders" && umount "$holders" || return 1
    done
    finds 0 "" "" "" 15
}

# Mounted under a number of its own, and of two devices only one is told there.
base_in_btrfs() {
    sim_domain 17 || return 1
    for n in 0 1; do
        truncate -s 160M "$DISK/tree$n" && tree[n]=$(losetup -f --show "$DISK/tree$n") || return 1
    done
    mkfs.btrfs -q -d single -m single "${tree[@]}" && btrfs device scan "${tree[@]}" || return 1
    disk 17 51712 "${tree[0]}" && disk 17 51728 "${tree[1]}" && finds 0 "" "" "" 17 || return 1
    mount "${tree[0]}" "$SIM/mnt" && finds 1 "base xvda,base xvdb" "" "" 17 || return 1
    umount "$SIM/mnt"
    finds 0 "" "" "" 17
}

# ---- memory and process ----

# Two arenas, of which each has some
swapped() {
    pid=$(worker_of 1)
    over "/proc/$pid/smaps" "$(awk '/memfd:arena/ { a = 1 } a && /^Swap:/ { $2 = 12; a = 0 } 1' "/proc/$pid/smaps")"$'\n'
    finds 1 swap "" "" && says swap "24 KiB" || return 1
    bare "/proc/$pid/smaps"
    over "/proc/$pid/status" "$(sed 's/^VmSwap:.*/VmSwap: 20 kB/' "/proc/$pid/status")"$'\n'
    finds 1 swap "" "" && says swap "20 KiB" || return 1
    bare "/proc/$pid/status"
    # What cannot be understood is not fine.
    over "/proc/$pid/smaps" ""
    finds 1 "" "key memory" "" || return 1
    bare "/proc/$pid/smaps"
    over "/proc/$pid/limits" $'Limit Soft Hard\n'
    finds 1 "" dumps "" || return 1
    bare "/proc/$pid/limits"
    finds 0 "" "" ""
}

traced() {
    pid=$(worker_of 1)
    # PTRACE_SEIZE
    perl -e 'syscall(101, 0x4206, $ARGV[0] + 0, 0, 0) == 0 or exit 1; sleep 60' "$pid" &
    tracer=$!
    sim_until 10 grep -q "^TracerPid:[[:space:]]*$tracer\$" "/proc/$pid/status" || return 1
    finds 1 traced "" "" && says traced "process $tracer (perl)" || return 1
    kill "$tracer"
    wait "$tracer"
    finds 0 "" "" ""
}

undertaker_gone() {
    sim_domain 4 && disk 4 51712 blank:16M && pid=$(worker_of 4) || return 1
    finds 0 "" "" "" 4 || return 1
    lost=$(pgrep -P "$pid") && kill -9 "$lost" && sim_until 30 ended "$lost" || return 1
    finds 3 "" "" undertaker 4 && sim_destroy 4
}

no_daemon() {
    sim_kill daemon
    finds 1 daemon integrity "" && says worker "process" || return 1
    daemon_start && sim_until 20 taken_back "$1" && finds 0 "" "" ""
}

ended() {
    [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}

worker_gone() {
    sim_domain 6 && disk 6 51712 blank:16M && pid=$(worker_of 6) || return 1
    sim_freeze "$(cat "$SIM/pid/daemon")"
    kill -9 "$pid"
    sim_until 30 ended "$pid" || return 1
    sim_kill daemon
    finds 1 daemon,worker integrity "" 6 && says worker "has ended" || return 1
    # Its number given to somebody else
    note=$(echo "$SIM/run/workers/6".*.pid)
    cp -p "$note" "$SIM/note"
    sed "s/^[0-9]*/$$/" "$SIM/note" >"$note"
    finds 1 daemon,worker integrity "" 6 && says worker "has ended" || return 1
    # and what somebody else may have written
    chmod 666 "$note" && finds 1 daemon,worker integrity "" 6 && says worker "no worker is noted" || return 1
    chmod 600 "$note" && echo garbage >"$note" && finds 1 daemon,worker integrity "" 6 || return 1
    cp -p "$SIM/note" "$note"
    daemon_start && sim_destroy 6
}

# careless_is_found WHAT STATUS FAIL UNKNOWN WARN: that and nothing else, with all that is our own
careless_is_found() {
    what=$1
    shift
    daemon_left || return 1
    DAEMON_UNDER="env LD_PRELOAD=$sim_libs/careless.so CARELESS=$what"
    daemon_start || return 1
    DAEMON_UNDER=
    result=0
    sim_domain 7 && disk 7 51712 "$DISK/base7" && finds "$@" 7 || result=1
    sim_destroy 7
    daemon_left && daemon_start || return 1
    rm -f "$DISK/pool/left-behind"
    return $result
}

# Dom0's namespaces are those of its first process, and not ours.
elsewhere() {
    for space in --mount --net "--pid --fork"; do
        AUDIT_UNDER="unshare $space"
        finds 1 "" place "" && says place "of its own" || return 1
    done
    AUDIT_UNDER=
    finds 0 "" "" ""
}

# Looked at from a network of one's own, too
worker_has_net() {
    AUDIT_UNDER=
    careless_is_found net 1 namespaces "" "" && says namespaces "shared with dom0: net" || return 1
    AUDIT_UNDER="unshare --net"
    result=0
    careless_is_found net 1 namespaces place "" || result=1
    AUDIT_UNDER=
    return $result
}

# Backends that cannot be listed may have guests nobody else names.
xenstore_in_part() {
    AUDIT_UNDER="env LD_PRELOAD=$sim_libs/careless.so CARELESS=list"
    result=0
    finds 1 "" xenstore "" && says xenstore "not all of it" || result=1
    AUDIT_UNDER=
    return $result
}

# A guest's audit has its stub domain's, and both are of one worker; so has a plain disk of the latter.
stub_domain() {
    sim_domain 12 && disk 12 51712 blank:16M && both_up 10 11 && finds 0 "" "" "" guest10 && [ "$(jq -c '[.guests[] | .domid]' "$SIM/report")" = '[10,11]' ] &&
        [ "$(jq -c '[.guests[] | .worker_pid] | unique' "$SIM/report")" = "[$(worker_of 10)]" ] || return 1
    says worker "the one of its guest" || return 1
    finds 0 "" "" "" 11 && [ "$(jq -c '[.guests[] | .domid]' "$SIM/report")" = '[11]' ] || return 1
    stub_back=/local/domain/0/backend/vbd/11/51760
    xenstore-write $stub_back/mode w $stub_back/state 4 && finds 1 "disk xvdd" "" "" 10 && xenstore-rm $stub_back || return 1
    # Of two notes that name a domid the one with its UUID counts, not the newer one.
    for stub_note in "$SIM"/run/workers/10.*.pid; do sed -i 's/ 11 .*/ 12 of-another/' "$stub_note"; done
    finds 0 "" "" "" 12 && sim_destroy 12 || return 1
    sim_destroy 11 && sim_destroy 10
}

pool_has_name() {
    careless_is_found pool 1 pool "" "" && says pool left-behind
}

worker_is_dumpable() {
    careless_is_found dumps 1 dumps "" "" && says dumps "is dumpable"
}

worker_has_base() {
    careless_is_found base 1 "base xvda" "" "" && says "base xvda" "the worker has"
}

integrity_off() {
    mkdir -p "$DISK/etc/domains" && printf '[pool]\nintegrity=off\n' >"$DISK/etc/domains/guest8.conf"
    sim_domain 8 && disk 8 51712 blank:16M && finds 3 "" "" integrity 8 && sim_destroy 8
}

pool_in_memory() {
    printf '[pool]\npool=ram:32M\n' >"$DISK/etc/domains/guest9.conf"
    sim_domain 9 && disk 9 51712 blank:16M && finds 0 "" "" "" 9 && says pool "memory only" && sim_destroy 9
}

# A device, of one guest and then of two: ours, unless somebody else has it open.
pool_device() {
    for kind in '' ,shared; do
        for n in 13 14; do
            printf '[pool]\npool=block:%s%s\n' "$loop" "$kind" >"$DISK/etc/domains/guest$n.conf"
        done
        sim_domain 13 && disk 13 51712 blank:16M || return 1
        [ -z "$kind" ] || { sim_domain 14 && disk 14 51712 blank:16M; } || return 1
        finds 0 "" "" "" 13 && says pool "device $loop" || return 1
        exec 9<"$loop"
        finds 1 pool "" "" 13 && says pool "process $$ (" || return 1
        exec 9<&-
        # Somebody else's words for it do not count.
        daemon_was=$(worker_of 13)
        sim_kill daemon
        finds 1 daemon integrity,pool "" 13 || return 1
        daemon_start && sim_until 20 taken_back "$daemon_was" 13 && finds 0 "" "" "" 13 && sim_destroy 13 || return 1
        [ -z "$kind" ] || sim_destroy 14 || return 1
    done
}

# ---- host ----

# host FILE TEXT STATUS UNKNOWN WARN
host() {
    over "$1" "$2"
    result=0
    finds "$3" "" "$4" "$5" || result=1
    bare "$1"
    return $result
}

swap_file_is() {
    warn=$1${loose:+${1:+,}$loose}
    host /proc/swaps "$head$DISK/swap\\040file file 1 0 -2"$'\n' "$([ -n "$warn" ] && echo 3 || echo 0)" "" "$warn"
}

swaps() {
    head="Filename				Type		Size		Used		Priority"$'\n'
    truncate -s 1M "$DISK/swap file"
    # Where the limit lets a worker lock all of its memory it does.
    loose="locked memory"
    ! grep -q '^Max locked memory *unlimited' "/proc/$(worker_of 1)/limits" || loose=
    host /proc/swaps "$head/dev/none partition 1 0 -2"$'\n' 1 "dom0 swap" "$loose" &&
        host /proc/swaps "$head/dev/zram77 partition 1 0 -2"$'\n' "$([ -n "$loose" ] && echo 3 || echo 0)" "" "$loose" || return 1
    # A file on a device that is encrypted, or lies on such, or not.
    device=$SIM/block/$(stat -c '%Hd:%Ld' "$DISK/swap file")
    mkdir -p "$device" && mount --bind "$SIM/block" /sys/dev/block || return 1
    result=0
    swap_file_is "dom0 swap" || result=1
    mkdir -p "$device/dm" "$device/slaves/sda/dm" "$device/slaves/sdb/dm"
    swap_file_is "dom0 swap" || result=1
    echo CRYPT-LUKS2-1 >"$device/slaves/sda/dm/uuid" && swap_file_is "dom0 swap" || result=1
    echo CRYPT-PLAIN-2 >"$device/slaves/sdb/dm/uuid" && swap_file_is "" || result=1
    rm -r "$device/slaves" && echo LVM-CRYPT >"$device/dm/uuid" && swap_file_is "dom0 swap" || result=1
    echo CRYPT-INTEGRITY-x >"$device/dm/uuid" && swap_file_is "dom0 swap" || result=1
    echo CRYPT-SWAP-3 >"$device/dm/uuid" && swap_file_is "" || result=1
    rm -r "$device" && host /proc/swaps "$head$DISK/swap\\040file file 1 0 -2"$'\n' 1 "dom0 swap" "$loose" || result=1
    umount /sys/dev/block
    [ $result = 0 ] || return 1
    host /proc/swaps "rubbish"$'\n' 1 "base xvda,dom0 swap" "$loose"
}

command_line() {
    host /proc/cmdline $'quiet\n' 3 "" init_on_free &&
        host /proc/cmdline $'init_on_free=1 init_on_free=0\n' 3 "" init_on_free &&
        host /proc/cmdline $'xinit_on_free=1\n' 3 "" init_on_free &&
        host /proc/cmdline $'init_on_free=0 init_on_free=on\n' 0 "" ""
}

# Of a process that may be dumped for root the kernel shows the same as of one that may not be dumped.
dumps_for_root() {
    for value in 2 x ""; do
        host /proc/sys/fs/suid_dumpable "$value" 1 dumps "" || return 1
    done
    host /proc/sys/fs/suid_dumpable $'1\n' 0 "" ""
}

core_patterns() {
    for pattern in core '|/usr/lib/systemd/systemd-coredump %P' $'/var/\e[2Jcrash'; do
        host /proc/sys/kernel/core_pattern "$pattern"$'\n' 3 "" "core files" || return 1
    done
    host /proc/sys/kernel/core_pattern $'\n' 0 "" ""
}

hibernation() {
    echo "[platform] shutdown reboot" >"$SIM/power/disk"
    result=0
    finds 3 "" "" hibernation || result=1
    host /proc/cmdline $'init_on_free=1 resume=/dev/sda2\n' 3 "" hibernation && says hibernation /dev/sda2 || result=1
    echo "[disabled]" >"$SIM/power/disk"
    finds 0 "" "" "" || result=1
    return $result
}

# Masked: the links of systemd's directory are ours for a while.
suspend_to_ram() {
    result=0
    for states in "freeze mem disk" "freeze mem" standby freeze; do
        echo "$states" >"$SIM/power/state"
        finds 3 "" "" "suspend to RAM" || result=1
    done
    mkdir -p "$SIM/units" /etc/systemd/system
    mount --bind "$SIM/units" /etc/systemd/system
    ln -s /lib/systemd/system/sleep.target "$SIM/units/sleep.target"
    finds 3 "" "" "suspend to RAM" || result=1
    ln -sf /dev/null "$SIM/units/sleep.target"
    finds 0 "" "" "" && says "suspend to RAM" masked || result=1
    umount /etc/systemd/system
    echo disk >"$SIM/power/state"
    finds 0 "" "" "" && says "suspend to RAM" "not possible" || result=1
    rm "$SIM/power/state"
    finds 0 "" "" "" && says "suspend to RAM" "none" || result=1
    echo disk >"$SIM/power/state"
    return $result
}

# Who may not look says so: nobody's process, no daemon's answer, no xenstore.
not_root() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$B/ephemctl" audit 1 --json >"$SIM/report" 2>"$SIM/words"
    status=$?
    cat "$SIM/report" "$SIM/words"
    [ $status = 1 ] || return 1
    [ ! -s "$SIM/report" ] || [ -z "$(jq -r '.guests[].checks[] | select(.verdict == "ok").check' "$SIM/report")" ]
}

no_xenstore() {
    (
        export XENSTORED_PATH=$SIM/none
        finds 1 xenstore disks,worker "" && [ "$(jq -c '[.guests[].domid]' "$SIM/report")" = '[1]' ] || exit 1
        "$B/ephemctl" audit guest1 2>"$SIM/words" && exit 1
        cat "$SIM/words"
        [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q 'xenstore cannot be read' "$SIM/words"
    )
}

no_guests() {
    sim_destroy 1 && sim_until 30 no_workers && finds 0 "" "" "" && [ "$(jq -c .guests "$SIM/report")" = '[]' ]
}

case_begin
over /proc/cmdline $'quiet init_on_free=1\n'
over /proc/sys/kernel/core_pattern $'|/bin/false\n'
over /proc/swaps $'Filename				Type		Size		Used		Priority\n'
over /proc/sys/fs/suid_dumpable $'0\n'
mkdir "$SIM/power"
echo "[disabled]" >"$SIM/power/disk"
echo disk >"$SIM/power/state"
mount --bind "$SIM/power" /sys/power
make_base "$DISK/base" 8388608
make_base "$DISK/base7" 1048576
sim_domain 1 && disk 1 51712 "$DISK/base" && disk 1 51728 blank:64M
sim_front_bg 1 verify 240s
busy 1
check "an unknown domain is one clear line" no_such_domain audit nope 77 '' $'a\e[2J\377'
check "a sound guest on a sound host" all_well
check "the key's age is the worker's" key_is_as_old_as_its_worker
check "domains by name, by number, or all" one_domain
check "writable disks of others" plain_disks
check "a driver domain's word takes nothing away" driver_domain_lies
check "one side of xenstore is enough" one_side
check "a script's name is not enough" forged_script
check "other ways out" other_devices
check "a domain without disks of ours" no_disk_of_ours
check "hostile words" hostile_words
check "a base that somebody writes" base_open_elsewhere
check "a base behind a loop device" base_behind_loop
check "a pool that somebody reads" pool_open_elsewhere
check "a base that was replaced" base_replaced
check "swap, and what is not understood" swapped
check "a worker that is traced" traced
check "an undertaker that is gone" undertaker_gone
check "no daemon" no_daemon "$(worker_of 1)"
check "no worker" worker_gone
if [ -n "$SANITIZED" ]; then
    skip "careless workers" "a sanitizer wants to be loaded first"
else
    check "carelessness: nothing by itself" careless_is_found nothing 0 "" "" ""
    check "carelessness: a base open for writing" worker_has_base
    check "carelessness: a pool with a name" pool_has_name
    check "carelessness: a dumpable worker" worker_is_dumpable
    check "carelessness: a worker's core files" careless_is_found cores 1 dumps "" ""
    check "carelessness: no filter" careless_is_found filter 1 "system calls" "" ""
    check "carelessness: root's" careless_is_found root 1 privileges dumps ""
    check "carelessness: a group" careless_is_found groups 1 privileges "" ""
    check "xenstore in part" xenstore_in_part
    check "carelessness: an older kernel" careless_is_found hidden 0 "" "" ""
    check "carelessness: nothing is locked" careless_is_found unlocked 1 "key memory,locked memory" "" ""
    check "carelessness: dom0's network" worker_has_net
    check "carelessness: a root that can be written" careless_is_found writable 1 root "" ""
fi
check "a stub domain" stub_domain
check "integrity=off" integrity_off
check "a pool in memory" pool_in_memory
truncate -s 96M "$DISK/image"
if loop=$(losetup -f --show "$DISK/image" 2>/dev/null); then
    check "a device as pool" pool_device
    losetup -d "$loop"
else
    skip "a device as pool" "there are no loop devices"
fi
if disk_with_partition 2>/dev/null; then
    check "a base that the kernel writes to" base_device
    check "mounts are understood" mounts_are_understood
    check "a base below a mapped device" base_below_mapper
    sim_destroy 15
else
    skip "a base that the kernel writes to" "there are no loop devices with partitions"
fi
[ -z "${base_dev:-}" ] || losetup -d "$base_dev"
if [ -n "${base_dev:-}" ] && grep -qw btrfs /proc/filesystems && command -v mkfs.btrfs >/dev/null; then
    tree=()
    check "a base in a btrfs" base_in_btrfs
    sim_destroy 17
    losetup -d "${tree[@]}"
else
    skip "a base in a btrfs" "there is none"
fi
check "dom0's swap" swaps
check "dom0's command line" command_line
check "dom0's core files" core_patterns
check "dumps for root" dumps_for_root
check "hibernation" hibernation
check "suspend to RAM" suspend_to_ram
check "who may not look" not_root
check "who looks from elsewhere" elsewhere
AUDIT_UNDER=
check "no xenstore" no_xenstore
check "no guests" no_guests
case_end
