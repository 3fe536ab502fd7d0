#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every row of tests/hostile.tbl that the stand-ins can play, against the production daemon and worker.
#
# Guest 2 plays, one process a row; rows that close a device take turns on four disks, because what one
# disk may log is limited.  After each row the daemon's log must have exactly the one line that the row
# names, or none.  Guest 1 does verified I/O from the first row to the last and must never notice, and
# nothing of guest 2's words may be in the log.  Then all rows but those of the handshake once more as a
# 32-bit frontend, in one process.
#
# Storms are measured in what they cost the programs, by the kernel's accounts of their threads: CPU
# time and voluntary context switches.  ROWS="id id" plays only some; ROWS=STORMS only measures.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

table=$(dirname "$0")/../hostile.tbl
disks="51728 51744 51760 51776"
readonly_disk=51792
short_disk=51808
hostile_cpus=

# Rows that can be played here and end by themselves.
rows() {
    awk -F ' *[|] *' '/^[^#]/ && ($5 == "both" || $5 == "fakexen") && !/^endless/ { print $1 }' \
        "$table"
}

# The words of the line that row $1 logs, or "-".
row_log() {
    awk -F ' *[|] *' -v id="$1" '$1 == id { print $6 }' "$table"
}

hostile() {
    sim_run ${hostile_cpus:+taskset -c "$hostile_cpus"} env FAKEXEN_DOMID=2 \
        XENSTORED_PATH="$SIM/xenbus.2" "$B/tests/hostile" --table "$table" \
        --where fakexen --readonly $readonly_disk --short $short_disk \
        --foreign-ref "$foreign_ref" --foreign-port "$foreign_port" "$@"
}

# The log since byte $1 has one line with the words $2 and no other complaint; none if $2 is "-".
logged() {
    complaints "$1" >"$SIM/complaints"
    logged_lines=$(wc -l <"$SIM/complaints")
    if [ "$2" = - ]; then
        [ "$logged_lines" = 0 ] && return
    else
        [ "$logged_lines" = 1 ] && grep -qF -e "$2" "$SIM/complaints" && return
    fi
    echo "logged, where '$2' was expected:"
    cat "$SIM/complaints"
    return 1
}

has_complaints() {
    [ -n "$(complaints "$1")" ]
}

neighbour_well() {
    kill -0 "$neighbour" || { echo "guest 1's I/O ended"; tail -n 5 "$SIM/log/front.1"; return 1; }
}

row() {
    # Rows before it may have used up the disk's lines, of which there is one more each second.
    [ "$1" != failing-connections ] || sleep 5
    row_from=$(log_end) row_began=$(date +%s)
    # From now on its worker may find that by itself, too.
    [ "$1" != base-too-short ] || truncate -s 4096 "$DISK/short"
    # Frontends end here without taking everything back.
    "$B/tests/fxctl" gc >"$SIM/gc"
    # Not so fast that the daemon takes the handshakes for a storm: 50 states a second are free.
    sleep 0.1
    hostile --disk "$2" "$1" || return 1
    # A line may still be on its way.
    [ "$(row_log "$1")" = - ] || sim_until 10 has_complaints "$row_from"
    case $1 in
    failing-connections) several_logged "$row_from" "$(row_log "$1")" ;;
    *) logged "$row_from" "$(row_log "$1")" ;;
    esac && neighbour_well
}

# Row $1 with one CPU for guest 2's worker and the others for the guest: a worker that can be held up for good
# needs one that is at it all the time.
apart() {
    apart_worker=$(worker_of 2) hostile_cpus=$(sed 1d "$SIM/cpus" | paste -sd ,)
    taskset -a -c -p "$(head -n 1 "$SIM/cpus")" "$apart_worker" >"$SIM/taskset" || return 1
    row "$@"
    apart_status=$?
    hostile_cpus=
    taskset -a -c -p "$(paste -sd , "$SIM/cpus")" "$apart_worker" >"$SIM/taskset" && return $apart_status
}

# Failures of one disk in quick succession: no more lines since byte $1 than its limit lets through (5, and
# one a second), each with the words $2.
several_logged() {
    complaints "$1" >"$SIM/complaints"
    several_most=$((5 + $(date +%s) - row_began + 1))
    several=$(wc -l <"$SIM/complaints") several_other=$(grep -cvF -e "$2" "$SIM/complaints")
    echo "12 failures, $several lines of at most $several_most, $several_other without '$2':"
    cat "$SIM/complaints"
    [ "$several" -ge 1 ] && [ "$several" -le $several_most ] && [ "$several_other" = 0 ]
}

play_rows() {
    rows_turn=0
    taskset -c -p $$ | sed 's/.*: //' | tr , '\n' |
        awk -F- '{ for (i = $1; i <= $NF; i++) print i }' >"$SIM/cpus"
    for rows_id in $(rows); do
        case " ${ROWS:-$rows_id} " in *" $rows_id "*) ;; *) continue ;; esac
        rows_turn=$((rows_turn % 4 + 1))
        rows_disk=$(echo "$disks" | cut -d' ' -f$rows_turn)
        case $rows_id in
        starve*)
            [ "$(wc -l <"$SIM/cpus")" -gt 1 ] || { skip "$rows_id" "one CPU"; continue; }
            check "$rows_id" apart "$rows_id" "$rows_disk"
            figures
            ;;
        *) check "$rows_id" row "$rows_id" "$rows_disk" ;;
        esac
    done
}

guest_2() {
    sim_domain 2 || return 1
    for disks_id in $disks; do
        disk 2 "$disks_id" "$DISK/base" || return 1
    done
    cp "$DISK/base" "$DISK/short"
    disk 2 $readonly_disk "$DISK/base" mode=r && disk 2 $short_disk "$DISK/short"
}

# ---- costs ----

# What the last check has measured.
figures() {
    grep -v '^pass \|passed, ' "$SIM/last" | sed 's/^#* */# /'
}

# CPU time of a process in us, and how often its threads have gone to sleep.
cpu_us() {
    cat "/proc/$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%d\n", n / 1000 }'
}

sleeps() {
    cat "/proc/$1"/task/*/status | awk '/^voluntary/ { n += $2 } END { print n }'
}

is_busy() {
    grep -q busy "$SIM/log/front.2"
}

# A play without end in the background, on the first disk.
endless() {
    : >"$SIM/log/front.2"
    sim_daemon front.2 env FAKEXEN_DOMID=2 XENSTORED_PATH="$SIM/xenbus.2" "$B/tests/hostile" \
        --table "$table" --where fakexen --disk 51728 "$1"
    sim_until 10 is_busy
}

# The worker sleeps on while events pour in: 8 wakes are free, then each one doubles the time to the
# next, up to 64 ms.
event_storm() {
    storm_pid=$(worker_of 2)
    endless endless-events || return 1
    sleep 1
    storm_sleeps=$(sleeps "$storm_pid") storm_us=$(cpu_us "$storm_pid")
    storm_began=$(date +%s%N)
    sleep 3
    storm_sleeps=$(($(sleeps "$storm_pid") - storm_sleeps))
    storm_us=$(($(cpu_us "$storm_pid") - storm_us))
    storm_ms=$((($(date +%s%N) - storm_began) / 1000000))
    sim_end KILL front.2
    "$B/tests/fxctl" gc
    echo "$storm_ms ms of events: the worker slept $storm_sleeps times and took $storm_us us"
    # 64 ms make 16 wakes a second, each of which may be several sleeps; without, there are thousands.
    [ $storm_sleeps -le $((storm_ms / 20 + 100)) ] && [ $storm_us -le $((storm_ms * 20)) ]
}

# CPU time of guest 2's worker while a row of requests is played.
cost() {
    cost_pid=$(worker_of 2)
    cost_us=$(cpu_us "$cost_pid")
    hostile --disk 51744 "$1" >"$SIM/cost" || { cat "$SIM/cost"; return 1; }
    cost_us=$(($(cpu_us "$cost_pid") - cost_us))
    echo "$1 of 40000: $cost_us us of the worker"
}

# A malformed request costs no more than one that asks for nothing.
malformed_cost() {
    cost flush-flood || return 1
    malformed_flush=$cost_us
    cost malformed-flood && [ "$cost_us" -le $((malformed_flush * 2 + 50000)) ]
}

# 20000 writes of a state: the daemon looks at them 200 times at most, then once a second.
watch_storm() {
    watch_pid=$(cat "$SIM/pid/daemon") watch_us=$(cpu_us "$(cat "$SIM/pid/daemon")")
    hostile --disk 51744 states-rewritten || return 1
    watch_us=$(($(cpu_us "$watch_pid") - watch_us))
    echo "20000 writes of a state: $watch_us us of the daemon"
    [ $watch_us -le "${SANITIZED:+2}500000" ] || return 1
    # And is there for others at once.
    watch_began=$(date +%s%N)
    sim_domain 5 && disk 5 51712 "$DISK/base" && sim_front 5 verify 20 >"$SIM/cost" &&
        sim_destroy 5 || return 1
    watch_ms=$((($(date +%s%N) - watch_began) / 1000000))
    echo "another guest came and went in $watch_ms ms"
    [ $watch_ms -le 8000 ]
}

# As another guest: one that was throttled and ends at work may have been saved, which is told.
dies() {
    sim_destroy 2 && guest_2 || return 1
    dies_from=$(log_end)
    endless endless-writes && sleep 0.3 && sim_destroy 2 && logged "$dies_from" - && neighbour_well
}

# All that is no matter of keys, as a 32-bit frontend, in one process.
as_32_bit() {
    as_rows=$(awk -F ' *[|] *' '/^[^#]/ && $4 ~ /^reply|^ignored/ && $2 !~ /^xenstore|XSA-349/ &&
        ($5 == "both" || $5 == "fakexen") && !/^endless/ { print $1 }' "$table")
    as_from=$(log_end)
    # shellcheck disable=SC2086 # words
    hostile --disk 51760 --protocol x86_32-abi --scale 4 $as_rows && logged "$as_from" -
}

no_guest_words() {
    not grep -naE 'EVIL|AAAA|junk' "$SIM/log/daemon"
}

was_verified() {
    neighbour_count=$(grep -c '^verify:.*ok' "$SIM/log/front.1")
    echo "guest 1 verified its data $neighbour_count times"
    [ "$neighbour_count" -ge 20 ] && neighbour_well
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
sim_domain 1
check "every row has a play, every play a row" "$B/tests/hostile" --table "$table" --lint
check "a guest beside it" disk 1 51712 "$DISK/base"
lasting=
for _ in 1 2 3 4 5 6 7 8; do lasting="$lasting verify 200 sleep 100"; done
for _ in 1 2 3 4 5 6 7 8; do lasting="$lasting $lasting"; done
check "guest 1 uses up low numbers" sim_front 1 --depth 16 --indirect 256 verify 20
# shellcheck disable=SC2086 # words
sim_front_bg 1 --queues 4 --depth 8 --indirect 256 $lasting
neighbour=$sim_pid
check "guest 1 does I/O" sim_wait /local/domain/1/device/vbd/51712/state 4
foreign_ref=$(xenstore-read /local/domain/1/device/vbd/51712/queue-3/ring-ref)
foreign_port=$(xenstore-read /local/domain/1/device/vbd/51712/queue-3/event-channel)
check "the hostile guest" guest_2
play_rows
case ${ROWS:-STORMS} in *STORMS*)
    check "an event storm lets the worker sleep" event_storm
    figures
    check "malformed requests cost no more than others" malformed_cost
    figures
    check "a watch storm costs the daemon little" watch_storm
    figures
    ;;
esac
if [ -z "${ROWS:-}" ]; then
    check "as a 32-bit frontend" as_32_bit
    check "endless-writes" dies
    check "guest 1 never noticed" was_verified
fi
check "nothing of the guest's words is in the log" no_guest_words
sim_end KILL front.1
case_end
