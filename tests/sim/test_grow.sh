#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bases that grow under running guests: who is connected sees `sectors` change and the backend's state
# written once more, reads the base's new bytes and may write there; who connects later sees the new
# size at once; a daemon that starts anew knows it. And bases that do anything else than grow.
#
# The frontend is driven by lines through a pipe, so that a base can change between its commands.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=1048576

# A guest with a base of its own of N MiB and K bytes more; options for the target.
guest_up() {
    grow_base=$DISK/base.$1
    make_base "$grow_base" $(($2 * MIB + ${3:-0}))
    sim_domain "$1" && disk "$1" 51712 "$grow_base${4:-}"
}

# The frontend of guest N in the background, its commands from fd 8, which a daemon begun meanwhile
# must not have.
front_begin() {
    rm -f "$SIM/pipe"
    mkfifo "$SIM/pipe" || return 1
    FAKEXEN_DOMID=$1 XENSTORED_PATH="$SIM/xenbus.$1" \
        LD_LIBRARY_PATH=$sim_libs "$B/tests/fxfront" <"$SIM/pipe" >"$SIM/log/front.$1" 2>&1 8>&- &
    grow_front=$!
    exec 8>"$SIM/pipe"
    sim_wait "/local/domain/$1/device/vbd/51712/state" 4 -t 20 && front_do settle
}

front_do() {
    echo "$*" >&8
}

# The commands so far, and the end of the connection; fails as the front failed.
front_end() {
    exec 8>&-
    wait "$grow_front" || { cat "$SIM/log/front.$1"; return 1; }
}

# More bytes at the end of a base, as an operator adds them.
append() {
    head -c "$2" /dev/urandom >>"$1"
}

has_sectors() {
    [ "$(backend "$1" 51712 sectors)" = "$2" ]
}

size_is() {
    [ "$(listed ".guests[] | select(.domid == $1) | .volumes[0].size")" = "$2" ]
}

said() {
    grep -q "$2" "$SIM/log/front.$1"
}

sha_of() {
    tail -c "+$(($2 + 1))" "$1" | head -c "$3" | sha256sum | cut -d' ' -f1
}

# The end inside a block, written there before: the hard case, and the whole way. The base grows by a
# multiple of 512 that is odd again.
connected() {
    guest_up 1 8 512 || return 1
    front_begin 1 || return 1
    front_do pattern $((8 * MIB)) 512 7
    front_do verify 50
    sim_until 10 said 1 '^verify' || return 1
    append "$grow_base" $((4 * MIB))
    front_do resized $(((12 * MIB + 512) / 512))
    front_do check $((8 * MIB)) 512 7
    front_do readsha $((8 * MIB + 512)) $((4 * MIB))
    front_do pattern $((11 * MIB)) $((MIB + 512)) 9
    front_do check $((11 * MIB)) $((MIB + 512)) 9
    front_do expect-error check $((12 * MIB + 512)) 512 1
    front_do discard 0 $((12 * MIB + 512))
    front_do checkzero 0 $((12 * MIB + 512))
    front_end 1 && said 1 "$(sha_of "$grow_base" $((8 * MIB + 512)) $((4 * MIB)))" &&
        size_is 1 $((12 * MIB + 512)) && [ "$(backend 1 51712 state)" = 6 ] && sim_destroy 1
}

# Not connected yet: remembered; the state stays what libxl waits for.
before_connecting() {
    guest_up 1 8 || return 1
    truncate -s $((16 * MIB)) "$grow_base"
    sim_until 10 size_is 1 $((16 * MIB)) && [ "$(backend 1 51712 state)" = 2 ] || return 1
    sim_front 1 info >"$SIM/words" && cat "$SIM/words" &&
        grep -q "^sectors $((16 * MIB / 512)) " "$SIM/words" && sim_destroy 1
}

refreshed() {
    "$B/ephemctl" refresh "$@" >"$SIM/words" || return 1
    cat "$SIM/words"
}

# The tick may come first, and what it found is not told again: so three times at most.
refresh_now() {
    for refresh_size in 10 11 12; do
        truncate -s $((refresh_size * MIB)) "$grow_base"
        refreshed guest1 && size_is 1 $((refresh_size * MIB)) || return 1
        grep -q "^guest 1 guest1, xvda: from .* to .* ($((refresh_size * MIB)) bytes), $grow_base$" \
            "$SIM/words" && return
    done
    return 1
}

refresh() {
    guest_up 2 4 && guest_up 1 8 && refreshed && grep -qx "nothing has grown" "$SIM/words" &&
        refresh_now && refreshed && grep -qx "nothing has grown" "$SIM/words" || return 1
    truncate -s $((20 * MIB)) "$grow_base"
    refreshed --json && jq -e '.grown | length <= 1' "$SIM/words" &&
        sim_until 5 size_is 1 $((20 * MIB)) && has_no_sectors 1 && size_is 2 $((4 * MIB)) &&
        sim_destroy 1 && sim_destroy 2
}

has_no_sectors() {
    ! backend "$1" 51712 sectors 2>/dev/null
}

refresh_nobody() {
    "$B/ephemctl" refresh nobody 2>"$SIM/words" && return 1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ]
}

reads_fail() {
    reads_log=$(log_end)
    front_begin 1 || return 1
    "$@"
    sim_until 10 reads_told || return 1
    front_do expect-error readsha $((MIB)) 4096
    front_end 1 && [ "$(reads_told)" = 1 ] && size_is 1 $((8 * MIB)) && has_sectors 1 $((16 * 1024))
}

reads_told() {
    log_since "$reads_log" | grep -c "base was changed while in use.*truncate or lvextend"
}

modified() {
    guest_up 1 8 && reads_fail touch "$grow_base" && sim_destroy 1
}

shrunk() {
    guest_up 1 8 && reads_fail truncate -s $((7 * MIB)) "$grow_base" && sim_destroy 1
}

# Neither the size nor the zeros behind the base of the beginning change; the base stays readable.
sized() {
    guest_up 1 8 0 ,size=16M || return 1
    front_begin 1 || return 1
    append "$grow_base" $((4 * MIB))
    refreshed && grep -qx "nothing has grown" "$SIM/words" || return 1
    sleep 3
    front_do checkzero $((8 * MIB)) $((8 * MIB))
    front_do readsha 0 $((8 * MIB))
    front_end 1 && said 1 "$(sha_of "$grow_base" 0 $((8 * MIB)))" && size_is 1 $((16 * MIB)) &&
        has_sectors 1 $((32 * 1024)) && sim_destroy 1
}

# Once more after a take-over, and once while there is no daemon: then the new one tells the guest.
taken_over() {
    guest_up 1 8 && front_begin 1 || return 1
    append "$grow_base" "$MIB"
    front_do resized $((9 * MIB / 512))
    sim_until 10 has_sectors 1 $((9 * MIB / 512)) || return 1
    daemon_left && daemon_start 8>&- && sim_until 10 size_is 1 $((9 * MIB)) || return 1
    append "$grow_base" "$MIB"
    front_do resized $((10 * MIB / 512))
    sim_until 10 size_is 1 $((10 * MIB)) || return 1
    sim_kill daemon
    append "$grow_base" "$MIB"
    sim_until 10 taken_grown && [ "$(backend 1 51712 sectors)" = $((10 * MIB / 512)) ] || return 1
    daemon_start 8>&- || return 1
    front_do resized $((11 * MIB / 512))
    front_do readsha $((8 * MIB)) $((3 * MIB))
    front_end 1 && said 1 "$(sha_of "$grow_base" $((8 * MIB)) $((3 * MIB)))" &&
        size_is 1 $((11 * MIB)) && sim_destroy 1
}

taken_grown() {
    log_since 0 | grep "has grown with its base to $((11 * MIB)) bytes"
}

# Growing all the while, in the middle of I/O.
busy_growing() {
    guest_up 1 8 512 || return 1
    sim_front_bg 1 --queues 4 --span $((8 * MIB)) verify 6s
    busy 1 || return 1
    for busy_step in 1 2 3 4 5 6 7 8 9 10; do
        append "$grow_base" $((busy_step * 512))
        refreshed || return 1
        sleep 0.3
    done
    sim_until 10 has_sectors 1 $(($(stat -c %s "$grow_base") / 512)) && front_ended 1 && sim_destroy 1
}

# A disk that grows is taken away: one of two, so that the worker stays.
detached() {
    guest_up 1 8 512 && disk 1 51728 "$DISK/base.1" || return 1
    front_beside 1 51712 verify 2s
    front_beside 1 51728 verify 2s
    append "$grow_base" "$MIB"
    refreshed && front_ended 1.51712 && front_ended 1.51728 && sim_detach 1 51728 &&
        size_is 1 $((9 * MIB + 512)) && sim_destroy 1
}

# A worker that lies about growth: another program in its place, after a take-over.
liar() {
    guest_up 1 8 0 "$1" || return 1
    daemon_left || return 1
    liar_worker=$(cut -d' ' -f1 "$SIM/run/workers/1".*.pid)
    liar_sock=$(ls "$SIM/run/workers/1".*.sock)
    python3 - "$liar_sock" "$2" "$3" >"$SIM/log/liar" 2>&1 <<'END' &
import os, socket, struct, sys
path, volume, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.rename(path, path + "0")
l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
l.bind(path)
l.listen(4)
ours, _ = l.accept()
w = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
w.connect(path + "0")
while True:
    message = ours.recv(1 << 16)
    if not message:
        break
    w.send(message)
    while True:
        answer = w.recv(1 << 16)
        ours.send(answer)
        if struct.unpack("=I", answer[:4])[0] == 64:
            break
    ours.send(struct.pack("=IIIIQ", 68, 0, volume, 0, size).ljust(len(message), b"\0"))
END
    liar_pid=$!
    sim_until 10 test -S "$liar_sock"0 || return 1
    liar_log=$(log_end)
    daemon_start
    liar_status=0
    sim_until 10 gone "$liar_worker" || liar_status=1
    log_since "$liar_log" | grep 'which cannot be: killing it' || liar_status=1
    kill -9 "$liar_pid" 2>/dev/null
    wait "$liar_pid" 2>/dev/null
    rm -f "$liar_sock"0
    sim_destroy 1 && return $liar_status
}

loop_device() {
    make_base "$DISK/loop" $((8 * MIB))
    loop_dev=$(losetup -f --show "$DISK/loop") || return 1
    loop_status=0
    loop_grows || loop_status=1
    sim_destroy 1 || loop_status=1
    sim_until 5 nobody_holds "$loop_dev"
    losetup -d "$loop_dev"
    return $loop_status
}

loop_grows() {
    sim_domain 1 && disk 1 51712 "$loop_dev" && front_begin 1 || return 1
    append "$DISK/loop" $((4 * MIB))
    losetup -c "$loop_dev" || return 1
    front_do resized $((12 * MIB / 512))
    front_do readsha $((8 * MIB)) $((4 * MIB))
    front_end 1 && said 1 "$(sha_of "$DISK/loop" $((8 * MIB)) $((4 * MIB)))"
}

loop_usable() {
    truncate -s 1M "$DISK/probe"
    loop_probe=$(losetup -f --show "$DISK/probe" 2>/dev/null) && losetup -d "$loop_probe"
}

case_begin --queues 4
check "a connected guest sees its disk grow" connected
check "a disk that grows before its guest connects" before_connecting
check "refresh looks at once and tells" refresh
check "refresh of no guest is one line" refresh_nobody
check "a base touched without growing fails" modified
check "a base that shrinks fails" shrunk
check "a disk with a size of its own keeps it" sized
check "a daemon that starts anew knows the size" taken_over
check "growing in the middle of I/O" busy_growing
check "a disk that has grown is detached" detached
check "a worker that shrinks a volume is killed" liar "" 0 4194304
check "one that names a volume nobody has" liar "" 5 16777216
check "one that grows half a sector" liar "" 0 8388864
check "one that grows beyond 16T" liar "" 0 17592186045440
check "one that grows what does not grow" liar ,size=8M 0 16777216
if loop_usable; then
    check "a loop device that grows" loop_device
else
    skip "a loop device that grows" "no loop devices here"
fi
case_end
