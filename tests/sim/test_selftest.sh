#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A worker whose libcrypto gives wrong answers: built as ours, with one bit of them changed on the way.  Its
# guest gets no disk, who attached it and the log are told why in one line, and nothing is left of it. The
# same worker with a libcrypto that is right serves, and so does ours after it.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

MIB=1048576

# The daemon with that worker, whose answers are wrong in $1.
daemon_with() {
    daemon_left || return 1
    cat >"$SIM/wrong" <<END
#!/bin/sh
ASAN_OPTIONS=\$ASAN_OPTIONS:detect_leaks=0 WRONG=$1 exec "$B/tests/wrong/blkback-ephem" "\$@"
END
    chmod 755 "$SIM/wrong"
    daemon_start --worker "$SIM/wrong"
}

no_worker_of() {
    [ -z "$(worker_of "$1")" ]
}

# No process of the worker, its undertaker neither.
no_process() {
    ! grep -lsz "^$B/tests/wrong/blkback-ephem$" /proc/[0-9]*/cmdline &&
        ! find /proc/[0-9]*/exe -lname "$B/tests/wrong/*" 2>/dev/null | grep .
}

# Nobody but the neighbour has a file in the pool.
no_pool_file() {
    ! holders "$DISK/pool" | grep -v "^/proc/$neighbour/"
}

# What the hotplug script, its node and the log say, in one line each.
told_once() {
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -qF "the self-test of $1 failed: wrong answers" "$SIM/words" &&
        [ "block-ephem: $(backend 2 51712 hotplug-error)" = "$(cat "$SIM/words")" ] &&
        [ "$(backend 2 51712 hotplug-status)" = error ] || return 1
    complaints "$refused_log" >"$SIM/complaints"
    cat "$SIM/complaints"
    [ "$(wc -l <"$SIM/complaints")" = 1 ] &&
        [ "$(grep -cF "the self-test of $1 failed: wrong answers" "$SIM/complaints")" = 1 ]
}

# $1: what is wrong; $2: whose test finds it.
refused() {
    daemon_with "$1" && attach_only 2 51712 blank:64M || return 1
    refused_log=$(log_end)
    not helper 2 51712 2>"$SIM/words" && told_once "$2" || return 1
    # A frontend that connects all the same is left waiting.
    guest_write 2 51712 state 3
    helper 1 51712 && [ "$(backend 2 51712 state)" = 2 ] || return 1
    sim_until 10 no_worker_of 2 && sim_until 10 no_process && no_pool_file &&
        [ -z "$(find "$SIM/run/workers" -name '2.*')" ] && sim_detach 2 51712
}

# It was there before the daemon whose workers are wrong, and stays.
neighbour_well() {
    kill -0 "$neighbour" && sim_front 1 check 0 "$MIB" 3
}

right() {
    daemon_with nothing && disk 2 51712 blank:64M && sim_front 2 verify 50 && sim_detach 2 51712
}

ours_again() {
    daemon_left && daemon_start && disk 2 51712 blank:64M && sim_front 2 verify 50
}

# By itself, over NBD, it is the same line on stderr, and no socket.
serves_nobody() {
    WRONG=$1 "$B/tests/wrong/blkback-ephem" serve --volume xvda=blank:64M --pool "dir:$DISK/pool" \
        --nbd "$SIM/nbd" >"$SIM/out" 2>"$SIM/words" && return 1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && [ ! -e "$SIM/nbd" ] &&
        grep -qF "the self-test of $2 failed: wrong answers" "$SIM/words"
}

case_begin
sim_domain 1
sim_domain 2
check "a guest beside it" disk 1 51712 blank:64M
check "which has written" sim_front 1 pattern 0 $MIB 3
neighbour=$(worker_of 1)
check "a cipher that is wrong: no disk, one line, nothing left" refused cipher AES-256-XTS
check "tags that are wrong" refused tag GMAC
check "tags that are all the same" refused same-tag GMAC
check "a guest that was there is served on" neighbour_well
check "the same worker serves when nothing is wrong" right
check "and so does ours" ours_again
check "by itself it does not serve either: a wrong cipher" serves_nobody cipher AES-256-XTS
check "by itself: wrong tags" serves_nobody tag GMAC
case_end
