#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# HVM guests with qemu in dom0: a socket for each volume, where the guest's device model and nobody else
# is served over NBD what the rings serve too.
#
# qemu-io and nbdinfo stand in for the device model: `model N COMMAND...` runs one as guest N's, with
# its pid in xenstore as libxl writes it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"
# shellcheck source=tests/sim/pairs.sh
. "$(dirname "$0")/pairs.sh"

hvm() {
    sim_domain "$1" && xenstore-write "/libxl/$1/type" hvm
}

hvm_up() {
    hvm "$1" && disk "$1" 51712 "$DISK/base"
}

model() {
    model_pid=$dom/$1/image/device-model-pid
    shift
    # shellcheck disable=SC2016 # of the inner shell
    timeout 60 sh -c 'xenstore-write "$0" $$ && exec "$@"' "$model_pid" "$@"
}

# What libxl makes of the node: N, DEVID.
url() {
    echo "nbd+unix:///?socket=$(backend "$1" "$2" physical-device-path)"
}

# As the device model: N, DEVID, qemu-io's commands.
io() {
    io_domid=$1 io_url=$(url "$1" "$2")
    shift 2
    for io_command in "$@"; do
        set -- "$@" -c "$io_command"
        shift
    done
    model "$io_domid" qemu-io -f raw "$@" "$io_url" >"$SIM/io" 2>&1 || { cat "$SIM/io"; return 1; }
    cat "$SIM/io"
    ! grep -q 'failed\|error' "$SIM/io"
}

sockets() {
    find "$SIM/run" -path "$SIM/run/workers" -prune -o -type s -name 'xvd*' -print
}

# No socket either.
all_gone() {
    sim_until 5 no_workers && nobody_holds "$DISK/pool/" && nobody_holds "$DISK/base" &&
        [ -z "$(sockets)" ]
}

# Two disks of one guest and one of another: each is the right one, and the device model sees its bytes.
right_disks() {
    hvm_up 1 && disk 1 51728 "$DISK/other" && hvm 2 && disk 2 51712 "$DISK/other" || return 1
    [ "$(backend 1 51712 physical-device-path)" = "$SIM/run/1/xvda.sock" ] &&
        [ "$(backend 1 51728 physical-device-path)" = "$SIM/run/1/xvdb.sock" ] &&
        [ "$(sockets | wc -l)" = 3 ] || return 1
    [ "$(stat -c %a "$SIM/run/1") $(stat -c %a "$SIM/run/1/xvda.sock")" = "700 600" ] || return 1
    model 1 nbdcopy "$(url 1 51712)" "$SIM/copy" && cmp "$SIM/copy" "$DISK/base" &&
        model 1 nbdcopy "$(url 1 51728)" "$SIM/copy" && cmp "$SIM/copy" "$DISK/other" &&
        io 1 51728 'write -P 0x77 1M 64k' 'read -P 0x77 1M 64k' || return 1
    model 2 nbdcopy "$(url 2 51712)" "$SIM/copy" && cmp "$SIM/copy" "$DISK/other" || return 1
    rm "$SIM/copy"
    ends 1 2
}

# What one door wrote the other reads at once: the boot loader's writes, and the PV driver's.
coherent() {
    hvm_up 1 || return 1
    io 1 51712 'write -P 0x11 0 64k' 'write -P 0x12 65k 512' && sim_front 1 readsha 0 64k \
        >"$SIM/words" && grep -q "$(head -c 65536 /dev/zero | tr '\0' '\021' | sha256sum | cut -d' ' -f1)" \
        "$SIM/words" || return 1
    sim_front_bg 1 discard 64k 4k pattern 128k 64k 3 pause
    sim_until 20 grep -q '^pause' "$SIM/log/front.1" || return 1
    io 1 51712 'read -P 0 64k 4k' 'write -P 0x22 130k 1k' && sim_end KILL front.1 && ends 1
}

# The ring and the device model write at once, each its own stripes of the same disk.
two_writers() {
    hvm_up 1 || return 1
    sim_front_bg 1 --queues 2 --mine 0/2/64 --span $((8 << 20)) verify 4s
    busy 1 || return 1
    writers_turn=0
    while kill -0 "$(cat "$SIM/pid/front.1")" 2>/dev/null; do
        writers_turn=$((writers_turn + 1))
        writers_byte=$((writers_turn % 250 + 1))
        set --
        for writers_at in 32 96 160 1056 7968; do
            set -- "$@" "write -P $writers_byte ${writers_at}k 32k" "write -P 7 $((writers_at + 5))k 512"
        done
        for writers_at in 32 96 160 1056 7968; do
            set -- "$@" "read -P $writers_byte ${writers_at}k 5k" "read -P 7 $((writers_at + 5))k 512" \
                "read -P $writers_byte $((writers_at + 6))k 26k"
        done
        io 1 51712 "$@" >"$SIM/words" 2>&1 || { cat "$SIM/words"; return 1; }
    done
    echo "$writers_turn turns of the device model"
    front_ended 1 && ends 1
}

# Somebody else of root's, with and without a device model there: turned away after a while.
strangers() {
    hvm_up 1 && hvm_up 2 || return 1
    strangers_log=$(log_end)
    timeout 20 nbdinfo "$(url 1 51712)" && { echo "without a device model"; return 1; }
    model 2 nbdinfo "$(url 1 51712)" && { echo "another guest's"; return 1; }
    model 1 sleep 20 &
    timeout 20 nbdinfo "$(url 1 51712)" && { echo "beside the device model"; return 1; }
    kill $!
    [ "$(complaints "$strangers_log" | grep -c "vbd 1/51712: process .* turned away")" = 3 ] &&
        model 2 nbdinfo --size "$(url 2 51712)" && ends 1 2
}

# A node that the guest may write says nothing.
guests_word() {
    hvm_up 1 || return 1
    xenstore-write $dom/1/image/device-model-pid 1 && xenstore-chmod $dom/1/image/device-model-pid n1 &&
        ! model 1 nbdinfo "$(url 1 51712)" && ends 1
}

# libxl writes the pid after qemu has connected, and before it the pid of a qemu that is gone.
late_pid() {
    hvm_up 1 && xenstore-write $dom/1/image/device-model-pid 99999999 || return 1
    timeout 20 nbdinfo --size "$(url 1 51712)" >"$SIM/words" 2>&1 &
    late_timeout=$!
    sim_until 5 pgrep -P $late_timeout || return 1
    sleep 1
    [ ! -s "$SIM/words" ] && xenstore-write $dom/1/image/device-model-pid "$(pgrep -P $late_timeout)" &&
        wait $late_timeout && grep -x $((16 << 20)) "$SIM/words" && ends 1
}

# PV and PVH guests, and whoever is not said to be HVM by dom0.
not_for_pv() {
    for pv_type in pvh pv hvm; do
        sim_domain 1 && xenstore-write /libxl/1/type $pv_type || return 1
        [ $pv_type != hvm ] || xenstore-chmod /libxl/1/type n0 b1
        disk 1 51712 "$DISK/base" && [ -z "$(sockets)" ] && [ ! -e "$SIM/run/1" ] || return 1
        backend 1 51712 physical-device-path && return 1
        ends 1 || return 1
    done
}

# Connected and idle, until it is hung up on: a device model that stays.
linger() {
    rm -f "$SIM/linger"
    linger_socket=$(backend 1 51712 physical-device-path)
    model 1 python3 -c '
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
assert s.recv(18)[:8] == b"NBDMAGIC"
s.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
s.recv(10)
print("served", flush=True)
s.recv(1)
print("hung up", flush=True)' "$linger_socket" >"$SIM/linger" 2>&1 &
    linger_pid=$!
    sim_until 10 grep -q served "$SIM/linger"
}

hung_up() {
    sim_until 10 grep -q "hung up" "$SIM/linger" && wait "$linger_pid" && return 0
    sed "s/^/    linger: /" "$SIM/linger"
    return 1
}

# A disk goes although the device model is connected; the other one's socket stays.
detached() {
    hvm_up 1 && disk 1 51728 "$DISK/other" && linger && sim_detach 1 51712 && hung_up &&
        [ ! -e "$linger_socket" ] && nobody_holds "$DISK/base" || return 1
    io 1 51728 'read 0 1M' && sim_detach 1 51728 && [ ! -e "$SIM/run/1" ] &&
        disk 1 51712 "$DISK/base" && io 1 51712 'read 0 1M' && ends 1
}

destroyed() {
    hvm_up 1 && linger && sim_front_bg 1 verify 600s && busy 1 && sim_destroy 1 && hung_up &&
        [ -z "$(sockets)" ] && all_gone
}

worker_killed() {
    hvm_up 1 && linger && kill -9 "$(worker_of 1)" && hung_up &&
        sim_wait $back/1/51712/state 6 -t 10 && [ ! -e "$SIM/run/1" ] && ends 1
}

# Connections go on without a daemon; the next one listens again, and what is left of others is removed.
daemon_killed() {
    hvm_up 1 && linger && io 1 51712 'write -P 0x42 1M 64k' || return 1
    killed_worker=$(worker_of 1)
    sim_kill daemon
    grep -q 'hung up' "$SIM/linger" && return 1
    mkdir "$SIM/run/77" && python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$SIM/run/77/xvda.sock" || return 1
    daemon_start && sim_until 10 taken_back "$killed_worker" || return 1
    sim_until 5 [ -S "$SIM/run/1/xvda.sock" ] && io 1 51712 'read -P 0x42 1M 64k' &&
        [ ! -e "$SIM/run/77" ] && sim_detach 1 51712 && hung_up && ends 1
}

# Its domid is another guest's before we were told: that one's device model is turned away.
domid_comes_again() {
    hvm_up 1 && io 1 51712 'write -P 0x42 1M 64k' || return 1
    again_url=$(url 1 51712)
    xenstore-write $dom/1/vm /vm/11111111-2222-3333-4444-555555555555 &&
        ! model 1 nbdinfo --size "$again_url" && ends 1
}

# A device model that asks much through some sockets of its four disks and reads no answer.
greedy() {
    hvm_up 1 || return 1
    for greedy_devid in 51728 51744 51760; do
        disk 1 $greedy_devid "$DISK/other" || return 1
    done
    rm -f "$SIM/greedy"
    model 1 python3 "$(dirname "$0")/greedy.py" "$@" >"$SIM/greedy" 2>&1 &
    greedy_pid=$!
    sim_until 20 grep '^greedy' "$SIM/greedy"
}

greedy_ends() {
    cat "$SIM/greedy"
    kill "$greedy_pid" && ends 1
}

# Whatever is held through all sockets together, the rings have their half: at once, not only when
# somebody has been hung up on.
rings_half() {
    greedy - "$SIM/run/1/xvda.sock" "$SIM/run/1/xvdb.sock" || return 1
    [ "$(sed -n 's/^greedy //p' "$SIM/greedy")" -gt 16 ] || return 1 # not of one socket only
    sim_front_bg 1 --queues 2 --indirect 64 verify 100
    rings_pid=$(cat "$SIM/pid/front.1")
    sim_until 7 not kill -0 "$rings_pid" && front_ended 1 && greedy_ends
}

# Who moves nothing makes room in the end, for a client of another socket too.
hogs_hung_up() {
    greedy "$SIM/run/1/xvdd.sock" "$SIM/run/1/xvda.sock" "$SIM/run/1/xvdb.sock" "$SIM/run/1/xvdc.sock" &&
        sim_until 25 grep '^served' "$SIM/greedy" && greedy_ends
}

# A disk without our script, which qemu would open itself: then no disk of this guest is served.
without_script() {
    hvm 1 && attach_only 1 51712 "$DISK/base" &&
        sim_attach 1 51728 "$DISK/other" script=/etc/xen/scripts/block-tap || return 1
    helper 1 51712 2>"$SIM/words" && { echo "it got a disk"; return 1; }
    grep 'disk xvdb of this HVM guest has backendtype=tap without script=block-ephem' "$SIM/words" &&
        [ "$(backend 1 51712 hotplug-status)" = error ] && ! backend 1 51712 physical-device-path || return 1
    ! sim_front 1 verify 1 && xenstore-rm $back/1/51728 && ends 1 || return 1
    # Of a PV or PVH guest no qemu opens anything.
    sim_domain 2 && sim_attach 2 51728 "$DISK/other" script=/etc/xen/scripts/block-tap && disk 2 51712 "$DISK/base" &&
        xenstore-rm $back/2/51728 && ends 2
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
make_base "$DISK/other" $((8 << 20))
check "each emulated disk is the right one" right_disks
check "emulated disk and ring are one volume" coherent
check "both write at once" two_writers
check "who is not the device model is turned away" strangers
check "and so is one whom the guest names" guests_word
check "and one of another guest with its domid" domid_comes_again
check "a disk without script: none of them" without_script
check "the device model's pid may come late" late_pid
check "PV and PVH guests have no socket" not_for_pv
check "clients that read nothing leave the rings their half" rings_half
check "and make room for those of another socket" hogs_hung_up
check "a disk goes while the device model is connected" detached
check "a guest goes in the middle of it" destroyed
check "a killed worker leaves no socket" worker_killed
check "a new daemon listens again" daemon_killed
case_end
