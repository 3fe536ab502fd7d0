#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Take-overs that go wrong, and what else might make the daemon believe that a guest is gone: a
# second daemon, a connection that breaks, a worker of another version, a lost pid file, a xenstore
# that has forgotten everything, a worker that does not answer. Every time the guest is served on.
#
# I/O is fxfront's verify in the background; it exits 0 only if every answer came and was right.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

back=/local/domain/0/backend/vbd3
claim=/local/domain/0/blkback-ephem/daemon

guest_up() {
    sim_domain "$1" && disk "$1" 51712 "$DISK/base"
}

sock_of() {
    ls "$SIM/run/workers/$1".*.sock
}

# A daemon that must not start: --run-dir, words of its one line.
refused_daemon() {
    sim_run timeout 20 "$B/blkback-ephemd" --pool "dir:$DISK/pool" --worker "$B/blkback-ephem" \
        --state-dir "$DISK/state" --run-dir "$1" >"$SIM/words" 2>&1 && { echo "it started"; return 1; }
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ] && grep -q "$2" "$SIM/words"
}

other_run_dir() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 4s
    busy 1 && refused_daemon "$SIM/run2" "another blkback-ephemd, pid .*$SIM/run, .*end it" || return 1
    sim_kill daemon
    other_status=0
    refused_daemon "$SIM/run2" "workers of --run-dir $SIM/run serve" || other_status=1
    daemon_start && front_ended 1 && [ "$(backend 1 51712 state)" = 6 ] && sim_destroy 1 &&
        sim_until 5 no_workers && return $other_status
}

# The run-dir of a daemon that is gone for good, with its workers.
other_run_dir_free() {
    daemon_left && xenstore-write $claim "$$ 1 0123456789abcdef $SIM/run3" && daemon_start
}

unsafe_run_dir() {
    mkdir -m 777 "$SIM/open" && chmod 777 "$SIM/open" && refused_daemon "$SIM/open" "nobody else"
}

# Somebody else connects again and again while the daemon waits for the worker's answer.
broken_connection() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 6s
    busy 1 || return 1
    broken_worker=$(worker_of 1)
    sim_kill daemon
    sim_freeze "$broken_worker"
    daemon_start || return 1
    python3 - "$(sock_of 1)" <<'END'
import socket, sys
for _ in range(3):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    s.close()
END
    listed '.guests[] | select(.domid == 1) | .state' | grep 'does not answer' || return 1
    "$B/ephemctl" list | grep "$broken_worker.*does not answer" || return 1
    kill -CONT "$broken_worker"
    sim_until 10 taken_back "$broken_worker" && front_ended 1 && sim_destroy 1 &&
        sim_until 5 gone "$broken_worker"
}

# Stands in for a worker of another version: $1 is how it answers RESUME.
stranger() {
    python3 - "$1" "$SIM/run/workers/7.9000000000000000000" >"$SIM/log/stranger" 2>&1 <<'END' &
import os, socket, struct, sys
how, path = sys.argv[1:]
stat = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
with open(path + ".pid", "w") as f:
    f.write("%d %s\n" % (os.getpid(), stat[19]))
l = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
l.bind(path + ".sock")
l.listen(4)
while True:
    s, _ = l.accept()
    if how == "hang-up":
        s.close()
        continue
    message = s.recv(1 << 16)
    hello = struct.pack("=IIII", 1, 0, 77, 2)
    s.send(hello.ljust(len(message) if how == "version" else 100, b"\0"))
    s.recv(1 << 16)
END
    stranger_pid=$!
}

stranger_told() {
    log_since "$stranger_log" | grep -c "left serving until its guest ends"
}

left_alone() {
    daemon_left && sim_domain 7 && sim_attach 7 51712 "$DISK/base" || return 1
    stranger "$1"
    sim_until 10 test -S "$SIM/run/workers/7.9000000000000000000.sock" || return 1
    stranger_log=$(log_end)
    alone_status=0
    daemon_start && sim_until 10 stranger_told || alone_status=1
    sleep 3
    kill -0 "$stranger_pid" || { echo "it was killed"; alone_status=1; }
    [ "$(stranger_told)" = 1 ] || { log_since "$stranger_log"; alone_status=1; }
    [ "$(backend 7 51712 state)" = 1 ] || alone_status=1
    # Its guest ends, and so does it.
    xenstore-rm $back/7
    sim_until 10 stranger_gone || alone_status=1
    kill -9 "$stranger_pid" 2>/dev/null
    sim_destroy 7 && sim_until 5 no_files 7 && return $alone_status
}

# It is this shell's child, so the kernel keeps it as a zombie.
stranger_gone() {
    ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$stranger_pid/status"
}

no_files() {
    [ -z "$(ls "$SIM/run/workers/$1".* 2>/dev/null)" ]
}

lost_pid_file() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 6s
    busy 1 || return 1
    lost_worker=$(worker_of 1)
    lost_file=$(ls "$SIM/run/workers/1".*.pid)
    daemon_left && mv "$lost_file" "$SIM/pidfile" && daemon_start || return 1
    sleep 1
    [ "$(backend 1 51712 state)" = 4 ] || { echo "state $(backend 1 51712 state)"; return 1; }
    mv "$SIM/pidfile" "$lost_file"
    sim_until 20 taken_back "$lost_worker" && front_ended 1 && sim_destroy 1 &&
        sim_until 5 gone "$lost_worker"
}

# As after a restart of xenstored: nothing of guest 1 is there, nor of us. The guest itself runs.
forgetful() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 5s pause
    busy 1 || return 1
    forgetful_worker=$(worker_of 1)
    daemon_left || return 1
    xenstore-rm $claim
    xenstore-rm $back
    xenstore-rm /local/domain/1
    forgetful_log=$(log_end)
    daemon_start || return 1
    sleep 4
    forgetful_status=0
    log_since "$forgetful_log" | grep -c 'has forgotten' | grep -x 1 || forgetful_status=1
    gone "$forgetful_worker" && { echo "its worker was ended"; forgetful_status=1; }
    # A second restart knows no more than the first.
    daemon_left && daemon_start || forgetful_status=1
    sleep 4
    gone "$forgetful_worker" && { echo "its worker was ended by the next"; forgetful_status=1; }
    # Another guest can be served meanwhile.
    guest_up 2 && sim_front 2 verify 50 && sim_destroy 2 || forgetful_status=1
    sim_until 10 grep -q '^pause' "$SIM/log/front.1" || forgetful_status=1
    sim_end KILL front.1
    kill -9 "$forgetful_worker"
    sim_destroy 1 && sim_until 5 no_workers && return $forgetful_status
}

# One disk of two is taken from a guest whose worker hangs: the other keeps the worker alive.
patience() {
    guest_up 1 && disk 1 51728 "$DISK/base" || return 1
    front_beside 1 51712 verify 16s
    front_beside 1 51728 verify 20 pause
    sim_wait /local/domain/1/device/vbd/51712/state 4 -t 10 &&
        sim_wait /local/domain/1/device/vbd/51728/state 4 -t 10 || return 1
    patience_worker=$(worker_of 1)
    sim_freeze "$patience_worker"
    xenstore-rm /local/domain/1/device/vbd/51728
    sleep 10
    kill -CONT "$patience_worker"
    log_since 0 | grep "worker $patience_worker does not answer: still waiting" || return 1
    sim_wait $back/1/51728/state 6 -t 10 && [ "$(worker_of 1)" = "$patience_worker" ] &&
        [ "$(backend 1 51712 state)" = 4 ] && front_ended 1.51712
    patience_status=$?
    sim_end KILL front.1.51728
    sim_destroy 1 && sim_until 5 gone "$patience_worker" && return $patience_status
}

# A guest with a worker that hangs is destroyed: Closed comes within the toolstack's 10 s.
bounded() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 600s
    busy 1 || return 1
    bounded_worker=$(worker_of 1)
    sim_freeze "$bounded_worker"
    sim_destroy 1 && sim_until 5 gone "$bounded_worker" && sim_until 5 no_workers
}

# While no daemon runs the guest reboots into other ring keys: never served with the old ones.
other_ring() {
    guest_up 1 || return 1
    sim_front_bg 1 verify 1s pause
    busy 1 && daemon_left || return 1
    guest_write 1 51712 ring-ref "$(($(xenstore-read /local/domain/1/device/vbd/51712/ring-ref) + 1))"
    daemon_start && sim_wait $back/1/51712/state 5 6 -t 10 || return 1
    grep 'vbd 1/51712: closing it: its ring keys are not' "$SIM/log/daemon" || return 1
    sim_end KILL front.1
    sim_destroy 1
}

no_name() {
    "$B/ephemctl" status "$(printf '\377')" 2>"$SIM/words" && return 1
    cat "$SIM/words"
    [ "$(wc -l <"$SIM/words")" = 1 ]
}

many_clients() {
    python3 - "$SIM/run/control.sock" <<'END'
import json, socket, sys
clients = []
for i in range(1025):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(10)
    s.connect(sys.argv[1])
    clients.append(s)
answer = json.loads(clients[-1].makefile().readline())
assert answer == {"ok": False, "error": "too many clients"}, answer
clients[0].sendall(b'{"cmd":"list"}\n')
assert json.loads(clients[0].makefile().readline())["ok"]
END
}

no_error_nodes() {
    [ -z "$(xenstore-list /local/domain/0/error/backend/vbd3 2>/dev/null)" ]
}

case_begin --queues 4
make_base "$DISK/base" $((8 << 20))
check "a second daemon with another run-dir is refused" other_run_dir
check "a claim whose daemon and workers are gone is not" other_run_dir_free
check "a run-dir that others may write is refused" unsafe_run_dir
check "a take-over whose connection breaks is tried again" broken_connection
check "a worker of another version is left alone" left_alone version
check "a worker with messages of another size is left alone" left_alone size
check "a worker that hangs up is left alone" left_alone hang-up
check "without its pid file a worker is left serving" lost_pid_file
check "a xenstore that has forgotten its guests ends none" forgetful
check "a hanging worker is waited for while a disk needs it" patience
check "and killed when the guest is gone" bounded
check "a ring that changed while no daemon ran is closed" other_ring
check "status of a name that is not UTF-8" no_name
check "1024 control clients, and not one more" many_clients
check "no error nodes are left" no_error_nodes
case_end
