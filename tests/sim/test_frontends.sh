#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drivers other than Linux's, each by the order in which it writes its keys, the shape of its ring and
# the way it leaves: mini-os, OVMF, GRUB, Windows, older and stranger ones; and what comes after them
# in the same guest must find the data and a backend that is ready. Then single requests, field by
# field, in both layouts; a kernel that is replaced by another in mid-I/O; and the order in which the
# backend itself writes, from xenstored's own record.
#
# For a kernel that is replaced the worker's writes are delayed (slowaio.c): that they are under
# way is then certain, and a Closed that comes before they have landed is seen by the clock.
set -u

SIM_TRACE=1
# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3
base_bytes=$((8 << 20))
slow_ms=400
g=0 # the guest; every check has its own
domain_up() {
    g=$((g + 1))
    sim_domain $g
}

guest_up() {
    domain_up && disk $g 51712 "$DISK/base"
}

worker_gone() {
    [ -z "$(worker_of $g)" ]
}

base_kept() {
    [ "$(sha "$DISK/base")" = "$base_sha" ]
}

# What was written below our folders, in the order in which it could be seen: "commit", or the
# node below the kind's folder and its value.
committed() {
    awk '
    function done(c) { printf "%scommit\n", text[c]; open[c] = 0; text[c] = "" }
    $1 == "IN" && $5 == "TRANSACTION_START" { open[$2] = 1; text[$2] = ""; ended[$2] = 0 }
    $1 == "IN" && $5 == "TRANSACTION_END" { ended[$2] = 1; dropped[$2] = $6 != "(T" }
    $1 == "IN" && $5 == "WRITE" {
        path = substr($6, 2); value = $7
        sub(/^\/local\/domain\/0\//, "", path); sub(/\)$/, "", value)
        if (sub(/^backend\/vbd3\//, "", path)) {
            text[$2] = text[$2] path " " value "\n"
            if (!open[$2]) done($2)
        }
    }
    $1 == "OUT" && open[$2] && ended[$2] {
        if ($5 != "TRANSACTION_END" || dropped[$2]) text[$2] = ""
        if (text[$2] != "") done($2)
        open[$2] = ended[$2] = 0
    }' "$SIM/trace"
}

# The states of a guest's disk so far are these.
went() {
    went_is=$(committed | sed -n "s|^$g/51712/state ||p" | tr '\n' ' ')
    [ "$went_is" = "$* " ] || { echo "states $went_is, not $*"; return 1; }
}

# Linux after another driver.
linux_finds() {
    sim_front $g --manner keep check 1m 256k "$1" verify 50 pattern 1m 256k "$1" flush
}

# It does not look whether the backend is there: it starts before the disk is.
mini_os() {
    domain_up && sim_attach $g 51712 "$DISK/base" || return 1
    sim_front_bg $g --manner early,whole,keep --set state=4 --depth 8 pattern 1m 256k 7 \
        check 1m 256k 7 flush write-key state 5 wait 5,6 write-key state 6 wait 6 \
        write-key state 1 wait 2,3,4,5 remove-key ring-ref remove-key event-channel forget
    sim_until 5 backend $g 51712 max-ring-page-order && helper $g 51712 && front_ended $g &&
        went 1 2 4 5 6 2 && linux_finds 7 && went 1 2 4 5 6 2 4 5 6 && sim_destroy $g
}

ovmf() {
    guest_up || return 1
    sim_front $g --manner early,keep --set state=4 pattern 1m 256k 8 check 1m 256k 8 \
        write-key state 5 wait 5 write-key state 6 wait 6 write-key state 1 wait 2 forget &&
        linux_finds 8 && sim_destroy $g
}

# It ends without waiting for anything, and Linux comes at once. Then one that reads an order of 0 as
# blkback does, beside the empty reference.
grub() {
    guest_up || return 1
    sim_front $g --manner early,bare,keep,silent,impatient --direct 1 --depth 1 pattern 1m 256k 9 \
        check 1m 256k 9 write-key state 6 wait 6 write-key ring-ref "" \
        write-key event-channel "" write-key state 1 forget || return 1
    [ -z "$(xenstore-read /local/domain/$g/device/vbd/51712/ring-ref)" ] &&
        sim_front $g --manner keep --ring-order 2 --queues 2 check 1m 256k 9 &&
        xenstore-write /local/domain/$g/device/vbd/51712/ring-ref "" \
            /local/domain/$g/device/vbd/51712/ring-page-order 0 &&
        sim_front $g --manner keep --set ring-page-order=0 --drop ring-ref --set ring-ref0=@ \
            --set multi-queue-num-queues=1 check 1m 256k 9 && sim_destroy $g
}

has_sectors() {
    [ "$(backend $g 51712 sectors)" = "$1" ]
}

said() {
    grep -q "^$1" "$SIM/log/front.$g"
}

# The disk grows while it is used, then the toolstack takes it away.
windows() {
    cp "$DISK/base" "$DISK/grows" && domain_up && disk $g 51712 "$DISK/grows" || return 1
    sim_front_bg $g --ring-order 3 --set num-ring-pages=8 --set multi-queue-num-queues=1 \
        --set feature-large-sector-size=1 --set feature-surprise-remove=1 \
        --set feature-online-resize=1 --set target-id=0 --set ejected=0 --set frontend=EVIL \
        --indirect 64 info pattern 1m 256k 3 resized $((base_bytes / 512 + 2048)) \
        check 1m 256k 3 pattern $base_bytes 1m 4 check $base_bytes 1m 4 wait 5 \
        write-key state 5 write-key state 6 wait 6,0 forget
    sim_until 10 said resized && truncate -s $((base_bytes + (1 << 20))) "$DISK/grows" &&
        sim_until 10 said wait && sim_detach $g 51712 && front_ended $g &&
        said 'queues 1 order 3 ' && sim_destroy $g
}

# A driver with these options; its data is there for the next.
served() {
    guest_up && sim_front $g --manner keep "$@" info verify 100 pattern 1m 256k 5 check 1m 256k 5 &&
        sim_front $g check 1m 256k 5 && sim_destroy $g
}

# More queues than are offered are refused, and that does not spoil the next connection.
refused_queues() {
    guest_up && sim_front $g pattern 1m 256k 5 || return 1
    for queues_wish in 0 65 1000; do
        sim_front $g --set multi-queue-num-queues=$queues_wish --refused || return 1
    done
    sim_front $g check 1m 256k 5 && sim_destroy $g
}

many_queues() {
    guest_up && sim_front $g --protocol "$1" --ring-order "$2" --queues 64 --depth 2 --indirect 0 \
        info pattern 0 6m 5 check 0 6m 5 verify 2000 pattern 0 6m 6 >"$SIM/words" &&
        grep -q '^queues 64 ' "$SIM/words" && sim_front $g check 0 6m 6 && sim_destroy $g
}

# All of a connection's single requests, each with the answer it must get.
requests() {
    requests_last=$((base_bytes / 512))
    guest_up || return 1
    for requests_op in 2 4 7 $(seq 8 15 255) 255; do
        echo "request op=$requests_op,segs=1,status=-2"
    done | tr '\n' ' ' >"$SIM/unknown"
    # shellcheck disable=SC2046 # words
    sim_front $g "$@" --indirect 64 request op=1,segs=3,seed=5 request op=0,segs=3,seed=5 \
        request op=1,segs=4,first=2,last=5,sector=1000,seed=6,id=0xffffffffffffffff \
        request op=0,segs=2,first=0,last=7,sector=1000,seed=6 \
        request op=1,indirect=1,segs=64,sector=2048,seed=7 request op=0,indirect=1,segs=1,seed=5 \
        request op=0,indirect=1,segs=64,sector=2048,seed=7 request op=3 request op=3,times=8 \
        request op=3,segs=2,sector=4096,seed=8 request op=0,segs=2,sector=4096,seed=8 \
        request op=3,segs=12,indirect=1,status=-2 request op=6,segs=1,indirect=1,status=-2 \
        $(cat "$SIM/unknown") request op=0,segs=1,seed=5,times=8,id=0 \
        request op=0,segs=2,sector=4096,seed=8,times=8,id=0x0123456789abcdef \
        request op=0,segs=0,status=-1 request op=1,segs=1,first=5,last=4,status=-1 \
        request op=0,segs=1,last=8,status=-1 request op=0,segs=1,sector=$requests_last,status=-1 \
        request op=1,segs=1,sector=$((requests_last - 7)),status=-1 \
        request op=3,segs=1,sector=$requests_last,status=-1 pattern 0 1m 9 \
        request op=5,sector=5,count=1 request op=0,segs=1,last=4,seed=9 \
        request op=0,segs=1,last=1,sector=6,seed=9 request op=5,sector=19,count=30 \
        checkzero 12k 12k request op=0,segs=1,last=2,sector=16,seed=9 check 25088 512 9 \
        request op=5,sector=64,count=64,flag=1 checkzero 32k 32k \
        request op=5,sector=128,count=64,flag=255 checkzero 64k 32k \
        request op=5,sector=0,count=0,status=-1 check 512k 512k 9 \
        request op=5,sector=1024,count=$requests_last,status=-1 \
        request op=5,sector=$requests_last,count=1,status=-1 \
        request op=5,sector=1024,count=0xffffffffffffffff,status=-1 \
        request op=5,sector=0xffffffffffffffff,count=2,status=-1 check 512k 512k 9 \
        request op=5,count=$requests_last checkzero 0 $base_bytes >"$SIM/words" || return 1
    sim_destroy $g
}

# Whatever carries data is refused; a discard is not even offered.
read_only() {
    domain_up && disk $g 51712 "$DISK/base" mode=r || return 1
    sim_front $g --protocol "$1" info request op=1,segs=1,seed=5,status=-1 \
        request op=1,segs=20,indirect=1,seed=5,status=-1 request op=3,segs=1,seed=5,status=-1 \
        request op=5,count=8,status=-2 request op=3 request op=0,segs=1 readsha 0 $base_bytes \
        >"$SIM/words" || return 1
    grep -q "info 4 .*discard 0" "$SIM/words" && grep -q "^$base_sha " "$SIM/words" && base_kept &&
        "$B/ephemctl" status --json | jq -e ".guests[] | select(.domid == $g) |
            .volumes[0] | .blocks == 0 and .writes == 0" &&
        sim_destroy $g
}

# From Closed to its keys and a state of $1, past Initialising.
skips() {
    guest_up && sim_front $g pattern 1m 256k 5 && [ "$(backend $g 51712 state)" = 6 ] &&
        sim_front $g --manner early,keep --set "state=$1" check 1m 256k 5 &&
        went 1 2 4 5 6 2 4 5 6 && sim_destroy $g
}

grow_under_load() {
    cp "$DISK/base" "$DISK/grows" && domain_up && disk $g 51712 "$DISK/grows" || return 1
    sim_front_bg $g --queues 4 --depth 8 request "op=1,segs=1,sector=$((base_bytes / 512)),status=-1" \
        request "op=1,segs=1,sector=$((base_bytes / 512 - 8)),seed=3" verify 3s \
        resized $((base_bytes / 512 + 4096)) pattern $((base_bytes - 4096)) 64k 5 \
        check $((base_bytes - 4096)) 64k 5 pattern $((base_bytes + (1 << 20))) 1m 6 \
        check $((base_bytes + (1 << 20))) 1m 6 expect-error pattern $((base_bytes + (2 << 20))) 512 6 \
        verify 200
    busy $g && truncate -s $((base_bytes + (2 << 20))) "$DISK/grows" &&
        sim_until 10 has_sectors $((base_bytes / 512 + 4096)) && not said resized &&
        front_ended $g && sim_destroy $g
}

dropped() {
    guest_up && sim_front $g pattern 1m 256k 5 reopen check 1m 256k 5 && sim_detach $g 51712 &&
        disk $g 51712 "$DISK/base" && sim_front $g readsha 0 $base_bytes >"$SIM/words" &&
        grep -q "^$base_sha " "$SIM/words" && sim_destroy $g
}

connecting() {
    log_since "$step_log" | grep -q "vbd $g/51712: connecting"
}

# Its folder goes while the worker, which stands still, has been asked to take the ring.
vanishes_connecting() {
    guest_up || return 1
    step_log=$(log_end)
    vanishing=$(worker_of $g)
    sim_freeze "$vanishing"
    sim_front_bg $g pause
    vanish_status=0
    sim_until 5 connecting && xenstore-rm /local/domain/$g/device/vbd/51712 || vanish_status=1
    kill -CONT "$vanishing"
    sim_wait $back/$g/51712/state 6 -t 8 || vanish_status=1
    sim_end KILL front.$g
    sim_destroy $g && went 1 2 5 6 && return $vanish_status
}

vanishes_in_io() {
    guest_up || return 1
    sim_front_bg $g --queues 4 verify 600s
    busy $g && xenstore-rm /local/domain/$g/device/vbd/51712 || return 1
    sim_wait $back/$g/51712/state 6 -t 8 || return 1
    sim_end KILL front.$g
    sim_destroy $g
}

# The guest dies at a step of the handshake: what it had is given back, and its worker goes.
dies() {
    dies_worker=
    domain_up && sim_attach $g 51712 "$DISK/base" || return 1
    case $1 in
    attached) ;;
    published) sim_wait $back/$g/51712/state 2 ;;
    ready) helper $g 51712 ;;
    keys) helper $g 51712 && guest_write $g 51712 ring-ref 8 ;;
    connecting)
        step_log=$(log_end)
        helper $g 51712 && dies_worker=$(worker_of $g) && sim_freeze "$dies_worker" &&
            sim_front_bg $g pause && sim_until 5 connecting
        ;;
    *)
        helper $g 51712 || return 1
        # shellcheck disable=SC2086 # words
        sim_front_bg $g $2
        sim_until 5 said "$1"
        ;;
    esac || return 1
    # What stands still goes on when the hypervisor has long forgotten the guest.
    [ -z "$dies_worker" ] || (sleep 0.3; kill -CONT "$dies_worker") &
    sim_destroy $g && sim_until 5 worker_gone
}

# With the limits and offers that a driver reads when it sees InitWait, and the properties it reads
# when it sees Connected.
in_order() {
    committed | awk -v "want=$1" -v "limits=$2" '
    $1 == "commit" {
        for (disk in state) {
            n = split(limits, key, " ")
            for (i = 1; i <= n; i++)
                if (!((disk "/" key[i]) in seen)) { print disk " lacks " key[i]; bad = 1 }
            count++
        }
        delete state
        next
    }
    { seen[$1] = 1; disk = $1; sub(/\/[^\/]*$/, "", disk) }
    $1 == disk "/state" && $2 == 1 { for (k in seen) if (index(k, disk "/") == 1) delete seen[k] }
    $1 == disk "/state" && $2 == want { state[disk] = 1 }
    END { print count + 0 " times"; exit bad || count < 5 }'
}

# No step is left out, whatever a frontend or a toolstack did; 5 and 6 after 6 are the toolstack.
no_leaps() {
    committed | awk '$1 ~ /\/state$/ {
        step = $2 == 1 ? "1" : last[$1] $2
        if (step !~ /^(1|12|15|22|24|25|44|45|55|56|62|65)$/) { print $1 ": " step; bad = 1 }
        last[$1] = $2
        count++
    }
    END { print count + 0 " states"; exit bad || count < 100 }'
}

slow_worker() {
    daemon_left || return 1
    cat >"$SIM/slow" <<END
#!/bin/sh
export SLOWAIO_MS=$slow_ms ASAN_OPTIONS="detect_leaks=0:verify_asan_link_order=0"
LD_PRELOAD="$sim_libs/slowaio.so" exec "$B/blkback-ephem" "\$@"
END
    chmod 755 "$SIM/slow"
    daemon_start --queues 64 --worker "$SIM/slow"
}

# The new kernel follows the backend from Connected down and up again, as it does for its own; what the
# old one was told is written is there, what was under way has landed by Closed, or never does.
kexec() {
    guest_up || return 1
    sim_front $g --depth 16 --indirect 32 pattern 0 1m 5 flush fire write 1m 1m 6 sleep 100 \
        write-key state 5 wait 5 write-key state 6 wait 6 took "$((slow_ms - 50))" 4000 forget \
        write-key state 1 wait 2 reopen check 0 1m 5 pattern 1m 1m 7 sleep $((2 * slow_ms)) \
        check 1m 1m 7 check 0 1m 5 untouched &&
        sim_front $g check 1m 1m 7 check 0 1m 5 && went 1 2 4 5 6 2 4 5 6 2 4 5 6 && sim_destroy $g
}

# The same with reads, which would land in the new kernel's memory; they wait for writes to the
# same blocks.
kexec_reads() {
    guest_up || return 1
    sim_front $g --depth 16 --indirect 32 fire write 0 512k 6 fire read 0 512k 0 sleep 100 \
        write-key state 6 wait 6 forget write-key state 1 wait 2 sleep $((2 * slow_ms)) \
        untouched reopen verify 10 && sim_destroy $g
}

dies_slowly() {
    guest_up || return 1
    sim_front_bg $g --depth 16 fire write 0 1m 6 pause
    sim_until 5 said pause && sim_destroy $g && sim_until 5 worker_gone
}

# Each read and write is counted in one class, and each write in one above the delay that it had.
latency() {
    guest_up && sim_front $g pattern 0 256k 5 check 0 256k 5 || return 1
    "$B/ephemctl" status $g --json | jq -e --argjson ns $((slow_ms * 1000000)) '.guests[0].volumes[0] |
        .latency, .latency_ns, .reads, .writes, (.latency | length as $n |
        [range($n) | select(. + 1 == $n or pow(2; 12 + .) > $ns)] | first) as $slow |
        .writes > 0 and .reads > 0 and (.latency | add) == .reads + .writes and
        (.latency[$slow:] | add) >= .writes and .latency_ns >= .writes * $ns' || return 1
    sim_destroy $g
}

case_begin --queues 64
make_base "$DISK/base" $base_bytes
base_sha=$(sha "$DISK/base")
check "mini-os, then Linux" mini_os
check "OVMF, then Linux" ovmf
check "GRUB, then Linux, then an order of 0 beside its empty keys" grub
check "Windows: its keys, a disk that grows, a disk that is taken away" windows
while read -r what options; do
    # shellcheck disable=SC2086 # words
    check "served: $what" served $options
done <<END
num-ring-pages-alone --ring-order 2 --drop ring-page-order --set num-ring-pages=4
both-spellings --ring-order 4 --set num-ring-pages=16
one-page-by-num-ring-pages --set num-ring-pages=1
order-0 --set ring-page-order=0
order-0-and-ring-ref0 --set ring-page-order=0 --drop ring-ref --set ring-ref0=@
FreeBSD --set max-requests=256 --set max-request-segments=11 --set max-request-size=45056
one-queue-at-the-top --set multi-queue-num-queues=1
stale-ring-ref0 --set ring-ref0=15999 --set ring-ref1=15998
stale-queues --set queue-0/ring-ref=15999 --set queue-0/event-channel=901
no-protocol --protocol x86_32-abi --drop protocol
persistent --set feature-persistent=1
END
check "64 queues" many_queues x86_64-abi 0
check "64 queues of two pages, 32 bits" many_queues x86_32-abi 1
check "0, 65 and 1000 queues are refused" refused_queues
check "each request has its answer, 64 bits" requests
check "each request has its answer, 32 bits" requests --protocol x86_32-abi
check "each request has its answer, no protocol" requests --protocol x86_32-abi --drop protocol
check "read-only on every path, 64 bits" read_only x86_64-abi
check "read-only on every path, 32 bits" read_only x86_32-abi
check "from Closed to Initialised" skips 3
check "from Closed to Connected" skips 4
check "a disk grows under load" grow_under_load
check "data outlives a reconnect and not a detach" dropped
check "a folder vanishes while its ring is being taken" vanishes_connecting
check "a folder vanishes in mid-I/O" vanishes_in_io
for step in attached published ready keys connecting; do
    check "death of a guest: $step" dies $step
done
check "death of a guest: connected" dies connected pause
check "death of a guest: in mid-I/O" dies verify "--queues 4 verify 600s"
check "death of a guest: Closing" dies pause "write-key state 5 wait 5 pause"
check "death of a guest: Closed" dies pause "write-key state 5 wait 5 write-key state 6 wait 6 pause"
check "death of a guest: back at InitWait" dies pause \
    "write-key state 6 wait 6 write-key state 1 wait 2 pause"
check "a worker whose writes take $slow_ms ms" slow_worker
check "kexec with writes under way" kexec
check "kexec with reads under way" kexec_reads
check "how long requests took is counted" latency
check "death of a guest with writes under way" dies_slowly
check "limits and offers are there before InitWait" in_order 2 \
    "max-ring-page-order max-ring-pages multi-queue-max-queues feature-max-indirect-segments \
feature-flush-cache"
check "properties are there before Connected" in_order 4 \
    "sectors info sector-size physical-sector-size"
check "no state was left out" no_leaps
check "the base is unchanged" base_kept
case_end
