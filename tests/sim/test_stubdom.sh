#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is kept of a guest's stub domain: with the guest's life, in its files, and against its next daemon.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"
# shellcheck source=tests/sim/pairs.sh
. "$(dirname "$0")/pairs.sh"

# The guest's disks connect and connect again after the stub domain, whose ring was the first, has gone.
reconnects() {
    both_up 1 2 && talker 2 51712 && talker 1 51712 || return 1
    reconnects_log=$(log_end)
    hang_up 2 51712 && front_ended 2.51712 && sim_destroy 2 && sim_until 5 no_handles 2 &&
        disk 1 51728 "$DISK/other" && sim_front 1 --devid 51728 pattern 0 64k 1 &&
        sim_front 1 --devid 51728 check 0 64k 1 || return 1
    complaints "$reconnects_log"
    [ -z "$(complaints "$reconnects_log")" ] && [ "$(handles 1)" = 2 ] && hang_up 1 51712 &&
        front_ended 1.51712 && ends 1
}

# What is noted of the first volumes, in GiB.
limits_are() {
    cut -d' ' -f3-6 "$SIM"/run/workers/1.*.limits | tee "$SIM/words"
    [ "$(cat "$SIM/words")" = "$*" ]
}

# A volume counts once, under whatever name it has, also when its first name has gone and is another's.
counts_once() {
    both_up 1 2 && disk 1 51744 "$DISK/five" && disk 2 51744 "$DISK/five" || return 1
    limits_are 1 0 5 0 && sim_detach 1 51744 && limits_are 1 0 0 5 && disk 1 51760 "$DISK/six" &&
        limits_are 1 0 6 5 || return 1
    # The second of two that goes takes nothing along.
    disk 1 51744 "$DISK/five" && sim_detach 1 51744 && limits_are 1 0 6 5 && ends 1 2
}

# A note of old names a stub domain whose domid is a guest's by now: that guest's life is its own.
old_note() {
    sim_domain 1 && sim_domain 2 && disk 1 51712 "$DISK/base" && disk 2 51712 "$DISK/base" || return 1
    sim_front_bg 2 verify 8s
    busy 2 || return 1
    old_worker=$(worker_of 2)
    sim_kill daemon
    for old_file in "$SIM"/run/workers/1.*.pid; do
        echo "$(cat "$old_file") 2 11111111-2222-3333-4444-555555555555" >"$SIM/note" && cp "$SIM/note" "$old_file"
    done
    daemon_start && sim_until 10 old_again && front_ended 2 && [ "$(worker_of 2)" = "$old_worker" ] && ends 1 2
}

old_again() {
    taken_back "$old_worker" 2 &&
        [ "$(listed '.guests[] | select(.domid == 2) | .volumes | length')" = 1 ]
}

# A stub domain that cannot be noted gets no disk, not the second one either; once it can be, both.
not_noted() {
    sim_domain 1 && sim_domain 2 && disk 1 51712 "$DISK/base" && disk 1 51728 "$DISK/other" && pair 2 1 || return 1
    for noted_file in "$SIM"/run/workers/1.*.pid; do mkdir "${noted_file%pid}new" || return 1; done
    attach_only 2 51712 "$DISK/base" && attach_only 2 51728 "$DISK/other" || return 1
    for noted_disk in 51712 51728; do
        helper 2 "$noted_disk" 2>"$SIM/words" && { echo "it got a disk"; return 1; }
        grep "stub domain cannot be noted" "$SIM/words" || { cat "$SIM/words"; return 1; }
    done
    "$B/tests/toolstack" force 2 51712 && "$B/tests/toolstack" force 2 51728 || return 1
    rmdir "$SIM"/run/workers/1.*.new && disk 2 51712 "$DISK/base" && disk 2 51728 "$DISK/other" && one_worker 1 2 &&
        grep -q ' 2 ' "$SIM"/run/workers/1.*.pid && ends 1 2
}

# A guest with volumes of its own cannot become a stub domain.
own_volumes() {
    sim_domain 1 && sim_domain 3 && disk 1 51712 "$DISK/base" && disk 3 51712 "$DISK/base" || return 1
    own_worker=$(worker_of 3)
    pair 3 1 && attach_only 3 51728 "$DISK/other" || return 1
    helper 3 51728 2>"$SIM/words" && { echo "it got a disk"; return 1; }
    grep "domain 3 has volumes of its own and cannot become a stub domain" "$SIM/words" &&
        "$B/tests/toolstack" force 3 51728 && [ "$(worker_of 3)" = "$own_worker" ] && sim_front 3 readsha 0 64k &&
        ends 1 3
}

# A new stub domain of the guest has its disk when the first has gone, and not before.
one_at_a_time() {
    both_up 1 2 && sim_front 1 pattern 0 64k 1 && sim_domain 3 && pair 3 1 && attach_only 3 51712 "$DISK/base" || return 1
    helper 3 51712 >"$SIM/words" 2>&1 &
    time_helper=$!
    sleep 2
    kill -0 "$time_helper" && [ -z "$(worker_of 3)" ] && sim_destroy 2 && wait "$time_helper" && one_worker 1 3 &&
        sim_front 3 check 0 64k 1 && ends 1 3
}

case_begin --queues 4
make_base "$DISK/base" $((16 << 20))
make_base "$DISK/other" $((8 << 20))
truncate -s 5G "$DISK/five"
truncate -s 6G "$DISK/six"
check "the guest connects again after its stub domain" reconnects
check "a volume of two names counts once" counts_once
check "an old note takes no guest's disks" old_note
check "a stub domain that cannot be noted gets nothing" not_noted
check "a guest with volumes of its own is no stub domain" own_volumes
check "one stub domain at a time" one_at_a_time
case_end
