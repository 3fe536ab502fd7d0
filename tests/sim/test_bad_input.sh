#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hostile and mistaken input, one row at a time: what a guest may write into its part of xenstore,
# and what an operator may write as a disk's target.
#
# Each hostile value gets a disk of its own in guest 2, because the daemon limits what one disk may
# log; after it the log must hold exactly one warning or error, without the guest's words, and
# guest 1 does I/O all the while and guest 3 must be able to reconnect and verify. Grants and ports
# that stay behind are seen when guest 2 ends.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

evil=51728
back=/local/domain/0/backend/vbd3

neighbour_well() {
    kill -0 "$neighbour" || { echo "guest 1's I/O ended"; cat "$SIM/log/front.1"; return 1; }
    sim_front 3 verify 30
}

# At most $2 complaints since byte $1, at least $3, without the words $4.
complained() {
    complaints "$1" >"$SIM/complaints"
    complained_count=$(wc -l <"$SIM/complaints")
    if [ "$complained_count" -gt "$2" ] || [ "$complained_count" -lt "$3" ]; then
        echo "$complained_count warnings or errors, not $3 to $2:"
        cat "$SIM/complaints"
        return 1
    fi
    [ ${#4} -lt 5 ] || ! log_since "$1" | grep -F -e "$4" || {
        echo "guest's words in the log"
        return 1
    }
}

# Frontends end here without taking their grants back, as a crashed driver does.
evil_begin() {
    "$B/tests/fxctl" gc
    evil_log=$(log_end)
    disk 2 $evil "$DISK/base"
}

# The daemon has looked at everything written so far: the hotplug script waits for a whole scan.
settled() {
    helper 1 51712
}

evil_end() {
    evil_status=0
    sim_detach 2 $evil || evil_status=1
    daemon_answers >/dev/null || evil_status=1
    complained "$evil_log" "$1" "$2" "$3" || evil_status=1
    neighbour_well || evil_status=1
    return $evil_status
}

# fxfront's options; the last argument is the guest's word to look for.
refused() {
    evil_begin || return 1
    refused_word=
    for refused_arg in "$@"; do
        case $refused_arg in
        *=*) refused_word=${refused_arg#*=} ;;
        esac
    done
    refused_status=0
    sim_front 2 --devid $evil "$@" --refused || refused_status=1
    sim_wait $back/2/$evil/state 6 -t 5 || refused_status=1
    evil_end 1 1 "$refused_word" && return $refused_status
}

# A reference that means something, but in guest 1.
neighbours() {
    neighbours_ref=$(xenstore-read /local/domain/1/device/vbd/51712/ring-ref)
    echo "guest 1 has its ring at $neighbours_ref"
    [ "$neighbours_ref" -gt 4000 ] && refused --set "ring-ref=$neighbours_ref"
}

mini_os() {
    evil_begin && sim_front 2 --devid $evil --set state=4 verify 50 && evil_end 0 0 none
}

# A state written instead of 3, and where that leads.
jump() {
    evil_begin || return 1
    guest_write 2 $evil state "$1"
    jump_end=0
    settled && sim_wait $back/2/$evil/state "$2" -t 5 || jump_end=1
    # A guest that does not close is waited for, by the toolstack for 10 s.
    guest_write 2 $evil state 6
    evil_end 1 0 "$1" && return $jump_end
}

# From a living connection to some state, by the same guest.
leap() {
    evil_begin || return 1
    sim_front_bg 2 --devid $evil verify 20 pause
    leap_end=0
    sim_wait /local/domain/2/device/vbd/$evil/state 4 -t 10 || leap_end=1
    guest_write 2 $evil state "$1"
    sim_wait $back/2/$evil/state "$2" -t 10 || leap_end=1
    sim_end KILL front.2
    [ "$1" != 5 ] || guest_write 2 $evil state 6
    evil_end 1 0 "$1" && return $leap_end
}

vanish() {
    evil_begin || return 1
    sim_front_bg 2 --devid $evil verify 2s
    vanish_end=0
    sim_wait /local/domain/2/device/vbd/$evil/state 4 -t 10 || vanish_end=1
    xenstore-rm /local/domain/2/device/vbd/$evil
    sim_wait $back/2/$evil/state 6 -t 10 || vanish_end=1
    sim_end KILL front.2
    evil_end 1 0 none && return $vanish_end
}

all_toggled() {
    [ "$(grep -c write-key "$SIM/log/front.2")" -ge 500 ]
}

toggle() {
    evil_begin || return 1
    i=0
    while [ $i -lt 250 ]; do
        i=$((i + 1))
        echo "write-key state 5 write-key state 1"
    done | tr '\n' ' ' >"$SIM/words"
    # shellcheck disable=SC2046 # words
    sim_front_bg 2 --devid $evil $(cat "$SIM/words") pause
    toggle_end=0
    toggle_began=$(date +%s)
    sim_domain 5 && disk 5 51712 "$DISK/base" && sim_front 5 verify 20 || toggle_end=1
    toggle_took=$(($(date +%s) - toggle_began))
    echo "guest 5 was served after $toggle_took s"
    [ $toggle_took -le 5 ] || toggle_end=1
    sim_until 20 all_toggled || toggle_end=1
    sim_destroy 5 || toggle_end=1
    sim_end KILL front.2
    evil_end 1 0 none && return $toggle_end
}

no_worker_of() {
    [ -z "$(worker_of "$1")" ]
}

# The hotplug script says one line with these words, the same in hotplug-error; no worker stays.
base_refused() {
    bad_target=$1 bad_thing=$2 bad_remedy=$3
    bad_status=0
    # A guest that still has a worker needs no new pool.
    sim_until 5 no_worker_of 4 || return 1
    attach_only 4 51712 "$bad_target" || return 1
    helper 4 51712 2>"$SIM/words" && bad_status=1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] || bad_status=1
    grep -qF -e "$bad_thing" "$SIM/words" || { echo "does not name $bad_thing"; bad_status=1; }
    grep -qF -e "$bad_remedy" "$SIM/words" || { echo "does not say $bad_remedy"; bad_status=1; }
    [ "block-ephem: $(backend 4 51712 hotplug-error)" = "$(cat "$SIM/words")" ] || {
        echo "hotplug-error is '$(backend 4 51712 hotplug-error)'"
        bad_status=1
    }
    [ "$(backend 4 51712 hotplug-status)" = error ] || bad_status=1
    guest_write 4 51712 state 3
    settled
    [ "$(backend 4 51712 state)" = 2 ] || { echo "state $(backend 4 51712 state)"; bad_status=1; }
    no_worker_of 4 || { echo "it has a worker"; bad_status=1; }
    nobody_holds "$DISK/bad" || bad_status=1
    sim_detach 4 51712 || bad_status=1
    return $bad_status
}

written() {
    exec 9>>"$DISK/written"
    written_status=0
    base_refused "$DISK/written" "written: open for writing" "close it first" ||
        written_status=1
    exec 9>&-
    disk 4 51712 "$DISK/written" && sim_detach 4 51712 && return $written_status
}

one_is_bad() {
    disk 4 51728 "$DISK/base" && attach_only 4 51712 "$DISK/bad.no" && not helper 4 51712 &&
        sim_front 4 --devid 51728 verify 50 && sim_detach 4 51712 && sim_detach 4 51728
}

pool_gone() {
    mv "$DISK/pool" "$DISK/away"
    base_refused "$DISK/base" "pool dir:$DISK/pool" "create it"
    pool_status=$?
    mv "$DISK/away" "$DISK/pool"
    disk 4 51712 "$DISK/base" && sim_detach 4 51712 && return $pool_status
}

not_ours() {
    helper_status=0
    for not_path in "" backend/vbd/1/51712 backend/vbd3/x/1 backend/vbd3/1/51712/../..; do
        sim_run env XENBUS_PATH="$not_path" "$B/block-ephem" add 2>"$SIM/words" && helper_status=1
        cat "$SIM/words"
        [ "$(wc -l <"$SIM/words")" = 1 ] || helper_status=1
    done
    return $helper_status
}

no_tmpfile() {
    daemon_left || return 1
    daemon_start --pool dir:/sys || return 1
    base_refused "$DISK/base" "pool dir:/sys" "choose a directory"
}

# Where the limit cannot be raised: root must be without the capability for it.
low_memlock() {
    daemon_left || return 1
    DAEMON_UNDER="prlimit --memlock=65536:65536"
    [ "$(id -u)" != 0 ] || DAEMON_UNDER="$DAEMON_UNDER setpriv \
        --bounding-set=-sys_resource,-ipc_lock --inh-caps=-sys_resource,-ipc_lock"
    daemon_start || return 1
    base_refused "$DISK/base" "memory cannot be locked" "raise it" &&
        sim_until 5 no_workers
}

case_begin --queues 4
make_base "$DISK/base" $((8 << 20))
make_base "$DISK/bad.odd" 1000
make_base "$DISK/written" 4096
: >"$DISK/bad.empty"
mkdir "$DISK/bad.dir"
mkfifo "$DISK/bad.fifo"

sim_domain 1
sim_domain 2
sim_domain 3
sim_domain 4
check "a guest beside them" disk 1 51712 "$DISK/base"
check "and another" disk 3 51712 "$DISK/base"
check "guest 2 has a disk of its own" disk 2 51712 "$DISK/base"
# Light I/O on a connection that stays; its grants are many, so its numbers are no one else's.
lasting=
for _ in 1 2 3 4 5 6 7 8; do lasting="$lasting verify 200 sleep 100"; done
lasting="$lasting $lasting $lasting $lasting $lasting"
check "guest 1 uses up low numbers" sim_front 1 --depth 16 --indirect 256 verify 20
# shellcheck disable=SC2086 # words
sim_front_bg 1 --depth 8 --indirect 256 $lasting $lasting $lasting $lasting pause
neighbour=$sim_pid
check "guest 1 does I/O" sim_wait /local/domain/1/device/vbd/51712/state 4

check "refused: another guest's reference" neighbours
forty=1234567890123456789012345678901234567890
while read -r what options; do
    # shellcheck disable=SC2086 # words
    check "refused: $what" refused $options
done <<END
ring-ref-of-40-digits --set ring-ref=$forty
ring-ref-negative --set ring-ref=-1
ring-ref-empty --set ring-ref=
ring-ref-2^32 --set ring-ref=4294967296
ring-ref-hexadecimal --set ring-ref=0x8
ring-ref-words --set ring-ref=EVIL-REFERENCE
ring-ref-missing --drop ring-ref
ring-ref-not-granted --set ring-ref=15999
ring-ref-beyond-the-table --set ring-ref=4294967295
one-of-four-pages-not-granted --ring-order 2 --set ring-ref3=15999
one-of-four-pages-missing --ring-order 2 --drop ring-ref3
port-0 --set event-channel=0
port-2^32 --set event-channel=4294967296
port-negative --set event-channel=-5
port-words --set event-channel=EVIL-CHANNEL
port-missing --drop event-channel
port-not-bound --set event-channel=900
queues-0 --set multi-queue-num-queues=0
queues-999 --set multi-queue-num-queues=999
queues-empty --set multi-queue-num-queues=
queues-without-their-folders --set multi-queue-num-queues=4
second-queue-without-port --queues 2 --drop queue-1/event-channel
second-queue-not-granted --queues 2 --set queue-1/ring-ref=15999
order-5 --set ring-page-order=5
order-99999999999 --set ring-page-order=99999999999
order-negative --set ring-page-order=-1
num-ring-pages-3 --set num-ring-pages=3
protocol-unknown --set protocol=EVIL-protocol
protocol-of-40-digits --set protocol=$forty
protocol-empty --set protocol=
END
check "refused: a number with a space before it" refused --set "ring-ref= 8"
check "refused: a number with a space after it" refused --set "event-channel=8 "
check "state 1 to 4 is mini-os and served" mini_os
check "state 1 to 5" jump 5 5
check "state 1 to 6" jump 6 6
check "state 7" jump 7 2
check "state 8" jump 8 2
check "state foo" jump EVIL-STATE 6
check "state empty" jump "" 6
check "state of 40 digits" jump $forty 6
check "state 4 to 1" leap 1 2
check "state 4 to 5" leap 5 5
check "state 4 to 6" leap 6 6
check "state 4 to foo" leap EVIL-STATE 6
check "the frontend's folder vanishes" vanish
check "500 changes of state stop nobody" toggle
check "guest 1 never noticed" neighbour_well
check "nothing of all that is left" sim_destroy 2

while read -r what target thing remedy; do
    # ~ stands for a space
    check "base $what" base_refused "$target" "$thing" "$(echo "$remedy" | tr '~' ' ')"
done <<END
missing $DISK/bad.no $DISK/bad.no check~the~path
below-a-file $DISK/base/x $DISK/base/x check~the~path
a-directory $DISK/bad.dir $DISK/bad.dir name~a~file
empty $DISK/bad.empty $DISK/bad.empty blank:SIZE
not-a-multiple-of-512 $DISK/bad.odd $DISK/bad.odd pad~it
a-FIFO $DISK/bad.fifo $DISK/bad.fifo file~nor~a~block~device
a-socket $SIM/xenbus.1 $SIM/xenbus.1 nor~a~block~device
a-character-device /dev/zero /dev/zero file~nor~a~block~device
not-absolute bad.odd bad.odd absolute~path
with-a-wrong-size $DISK/base,size=EVIL $DISK/base write~a~multiple~of~512
with-an-odd-size $DISK/base,size=1000 $DISK/base write~a~multiple~of~512
blank-of-no-size blank:0 blank:0 such~as~1G
of-another-scheme nbd:/x nbd:/x absolute~path
too-long /$(printf '%0600d' 0) /0000 too~long
END
check "base open for writing, and not any more" written
check "a bad disk beside a good one" one_is_bad
check "pool folder removed, and back" pool_gone
check "a backend that is not ours" not_ours
sim_end KILL front.1
check "guests end" all_destroyed
sim_domain 4
check "pool without O_TMPFILE" no_tmpfile
check "a low limit on locked memory" low_memlock
case_end
