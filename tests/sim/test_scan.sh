#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ephemctl scan: every volume of every domain, each as what it is. Devices are directories of our own, mounted over
# /sys/dev/block, so this happens in a mount namespace.
set -u

# case.sh calls this with its own path in $0.
if [ -z "${SCAN_ALONE:-}" ]; then
    if ! unshare --mount true 2>/dev/null; then
        echo "skip scan: needs root and namespaces"
        echo "0 passed, 0 failed"
        exit 0
    fi
    SCAN_ALONE=1 exec unshare --mount "$0" "$@"
fi

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

# scan STATUS [DOMAIN]: report in $SIM/report, table in $SIM/table; both end the same, and print nothing odd
scan() {
    local wanted=$1 status
    shift
    "$B/ephemctl" scan "$@" --json >"$SIM/report" 2>"$SIM/words"
    status=$?
    "$B/ephemctl" scan "$@" >"$SIM/table" 2>>"$SIM/words"
    [ $? = $status ] || { echo "table and JSON end differently"; return 1; }
    cat "$SIM/table" "$SIM/words"
    jq -e .domains "$SIM/report" >/dev/null || return 1
    ! LC_ALL=C grep -n '[^ -~]' "$SIM/table" || return 1
    [ "$(wc -L <"$SIM/table")" -lt 300 ] && [ ! -s "$SIM/words" ] && [ $status = "$wanted" ]
}

# kinds DOMID: "xvda=ephemeral xvdb=plain ..."; and they are in the table as well
kinds() {
    jq -r --argjson d "$1" '[.domains[] | select(.domid == $d).volumes[] | "\(.vdev)=\(.kind)"] | join(" ")' \
        "$SIM/report"
}
has() {
    got=$(kinds "$1")
    echo "got    $got"
    echo "wanted $2"
    [ "$got" = "$2" ] || return 1
    for pair in $2; do
        grep -qE "^  ${pair%=*} +${pair#*=} " "$SIM/table" || return 1
    done
}
# says VDEV WORDS: in the detail of guest 1's
says() {
    jq -e --arg v "$1" --arg w "$2" '.domains[] | select(.domid == 1).volumes[] |
        select(.vdev == $v) | .detail | contains($w)' "$SIM/report" >/dev/null
}

# vbd KIND BACKEND-DOMAIN MODE PARAMS [PHYSICAL]: xvdd of guest 1, as libxl and hotplug scripts write it
vbd() {
    vbd_back=/local/domain/$2/backend/$1/1/51760
    xenstore-write "$vbd_back/mode" "$3" "$vbd_back/state" 4 "$vbd_back/params" "$4" "$vbd_back/frontend-id" 1 \
        /libxl/1/device/vbd/51760/backend "$vbd_back" /libxl/1/device/vbd/51760/mode "$3" /local/domain/1/device/vbd/51760/backend "$vbd_back" || return 1
    [ -z "${5:-}" ] || xenstore-write "$vbd_back/physical-device" "$5"
}
no_vbd() {
    xenstore-rm "$vbd_back" /libxl/1/device/vbd/51760 /local/domain/1/device/vbd/51760 2>/dev/null
}

ours="xvda=ephemeral xvdb=ephemeral"

all_ours() {
    scan 0 && has 1 "$ours" && says xvda "over $DISK/base" && says xvdb blank || return 1
    [ "$(jq -c .counts "$SIM/report")" = '{"ephemeral":2,"read-only":0,"encrypted":0,"plain":0,"unknown":0}' ]
}

# device MAJOR:MINOR [UUID [BELOW]...]
device() {
    local name=$1 uuid=${2:-}
    mkdir -p "$SIM/devices/$name/slaves" || return 1
    [ -z "$uuid" ] || { mkdir -p "$SIM/devices/$name/dm" && echo "$uuid" >"$SIM/devices/$name/dm/uuid"; } || return 1
    shift $(($# > 2 ? 2 : $#))
    for below in "$@"; do
        ln -sfn "../../$below" "$SIM/devices/$name/slaves/${below/:/-}"
    done
}

encrypted() {
    device 8:1 && device 253:1 CRYPT-LUKS2-0 8:1 && device 253:2 LVM-x 253:1 && device 253:3 LVM-y 253:1 8:1 &&
        device 253:4 CRYPT-VERITY-0 8:1 && device 253:5 CRYPT-PLAIN-x 253:3 || return 1
    mount --bind "$SIM/devices" /sys/dev/block || return 1
    local result=0
    # hexadecimal, as Xen's scripts have it
    for row in 8:1=plain fd:1=encrypted fd:2=encrypted fd:3=plain fd:4=plain fd:5=encrypted; do
        vbd vbd 0 w /dev/vg/data "${row%=*}" && scan 0 && has 1 "$ours xvdd=${row#*=}" || result=1
        no_vbd
    done
    # Gone, or no number
    for physical in fd:77 zz fd fd:1x; do
        vbd vbd 0 w /nowhere/data "$physical" && scan 1 && has 1 "$ours xvdd=unknown" || result=1
        no_vbd
    done
    # Without a number it is the file's; read-only does not matter.
    vbd qdisk 0 w "aio:$DISK/data" && scan 1 && has 1 "$ours xvdd=unknown" || result=1
    device "$((0x$(stat -c %D "$DISK/data") >> 8)):$((0x$(stat -c %D "$DISK/data") & 255))"
    scan 0 && has 1 "$ours xvdd=plain" || result=1
    no_vbd
    # What is relative is another file than that of the same end.
    vbd qdisk 0 w "aio:images$DISK/data" && scan 1 && has 1 "$ours xvdd=unknown" || result=1
    no_vbd
    vbd vbd 0 r /dev/vg/data 8:1 && scan 0 && has 1 "$ours xvdd=read-only" || result=1
    no_vbd
    umount /sys/dev/block
    return $result
}

not_dom0s() {
    vbd vbd 5 w /dev/vg/data 8:1 && scan 1 && has 1 "$ours xvdd=unknown" && says xvdd "only that domain knows" &&
        no_vbd || return 1
    vbd vbd 5 r /dev/vg/data && scan 0 && has 1 "$ours xvdd=read-only" && no_vbd || return 1
    # A driver domain's own word counts for nothing.
    vbd vbd 5 w /dev/vg/data && xenstore-write "$vbd_back/mode" r && scan 1 && has 1 "$ours xvdd=unknown" && no_vbd || return 1
    # Listed by a driver domain, and meant by nobody
    vbd vbd 5 w /dev/vg/data && xenstore-rm /libxl/1/device/vbd/51760 /local/domain/1/device/vbd/51760 && scan 1 &&
        has 1 "$ours xvdd=unknown" && says xvdd "nothing refers" && no_vbd || return 1
    xenstore-write /libxl/1/device/vbd/51760/backend /local/domain/9/backend/vbd/1/51760 && scan 1 &&
        has 1 "$ours xvdd=unknown" && says xvdd "nobody serves" && no_vbd
}

forged() {
    vbd vbd3 0 w /nowhere/x && xenstore-write "$vbd_back/script" /etc/xen/scripts/block-ephem || return 1
    xenstore-chmod "$vbd_back/script" n0 b1
    scan 1 && has 1 "$ours xvdd=unknown" || return 1
    xenstore-chmod "$vbd_back/script" n0 r1
    xenstore-write "$vbd_back/params" relative
    scan 1 && has 1 "$ours xvdd=unknown" && says xvdd "names no base" && no_vbd
}

other_ways() {
    back=/local/domain/0/backend/pci/1/0
    xenstore-write $back/state 4 /libxl/1/device/pci/0/backend $back || return 1
    scan 1 && [ "$(kinds 1)" = "$ours -=unknown" ] && says - "data may leave" || return 1
    xenstore-rm $back /libxl/1/device/pci
}

hostile_words() {
    long=$(head -c 3000 /dev/zero | tr '\0' 'x')
    for value in $'\e[2J\e[31mok\n  xvda  ephemeral' '"},{"kind":"ephemeral"' $'\377\376\300\200' "$long" '%s%n%s' \
        /local/domain/0/backend/../../1; do
        guest_write 1 51760 backend "$value" && scan 0 && has 1 "$ours" || return 1
        jq -e '.domains[0].problems | length == 1' "$SIM/report" || return 1
        xenstore-rm /local/domain/1/device/vbd/51760
        vbd vbd 5 w "$value" && scan 1 && has 1 "$ours xvdd=unknown" && no_vbd || return 1
        xenstore-write /local/domain/1/name "$value" && scan 0 && has 1 "$ours" || return 1
    done
    xenstore-write /local/domain/1/name guest1
}

which_domains() {
    xenstore-rm /local/domain/5 2>/dev/null # where a driver domain was
    sim_domain 2 other && sim_domain 3 other-dm && xenstore-write /local/domain/3/target 2 || return 1
    disk 2 51712 "$DISK/base" mode=r || return 1
    scan 0 && [ "$(jq -c '[.domains[].domid] | sort' "$SIM/report")" = '[1,2,3]' ] && has 2 "xvda=read-only" || return 1
    scan 0 other && [ "$(jq -c '[.domains[].domid] | sort' "$SIM/report")" = '[2,3]' ] || return 1
    grep -q '^3 other-dm: no volumes' "$SIM/table" || return 1
    scan 0 3 && [ "$(jq -c '[.domains[].domid]' "$SIM/report")" = '[3]' ] || return 1
    scan 0 1 && [ "$(jq -c '[.domains[].domid]' "$SIM/report")" = '[1]' ] || return 1
    # Two stub domains that name each other
    xenstore-write /local/domain/2/target 3 && scan 0 other || return 1
    xenstore-rm /local/domain/2/target
    sim_destroy 3 && sim_destroy 2
}

no_daemon() {
    worker=$(worker_of 1)
    sim_kill daemon
    scan 0 && has 1 "$ours" || return 1
    daemon_start && sim_until 20 taken_back "$worker"
}

case_begin
make_base "$DISK/base" 8388608
make_base "$DISK/data" 1048576
sim_domain 1 && disk 1 51712 "$DISK/base" && disk 1 51728 blank:64M
check "ephemeral volumes" all_ours
check "an unknown domain is one clear line" no_such_domain scan nope 77 0 '' $'a\e[2J\377'
check "plain and encrypted devices" encrypted
check "disks that are not dom0's" not_dom0s
check "a script's name is not enough" forged
check "other ways out" other_ways
check "hostile words" hostile_words
check "domains by name, by number, or all" which_domains
check "no daemon" no_daemon
case_end
