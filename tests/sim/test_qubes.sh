#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the Qubes extension takes for granted of the daemon: its health check finds the real one, and
# misses it when it is dead or frozen; the file it writes for a qube is one the daemon reads, and makes
# its own volatile device the qube's pool; an empty disk is served under the name it is given.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

NAME=disp1234
UUID=6f1c8a52-2f55-4c4e-9d27-3c1d5a0e7b11
IMAGE='' LOOP=''

# extension CODE...: Python with the extension's modules, talking to this test's daemon
extension() {
    PYTHONPATH="$(dirname "$0")/../../dom0-tools/qubes" /usr/bin/python3 -B -c "
import asyncio, os, sys
from qubes_ephemeral import daemon, pool
daemon.SOCKET, daemon.PATIENCE = os.environ['EPHEM_CONTROL'], 2
pool.DIRECTORY = '$DISK/etc/domains'
$1"
}

healthy() {
    extension "asyncio.run(daemon.check('$UUID'))"
}

ill() {
    extension "
try:
    asyncio.run(daemon.check('$UUID'))
except daemon.DaemonError as error:
    print(error)
    sys.exit('$1' not in str(error))
sys.exit(1)"
}

frozen() {
    frozen_pid=$(cat "$SIM/pid/daemon")
    sim_freeze "$frozen_pid"
    ill "does not answer"
    frozen_result=$?
    kill -CONT "$frozen_pid"
    return $frozen_result
}

dead() {
    sim_end TERM daemon
    ill "is not there" && daemon_start && healthy
}

suspended() {
    sim_domain 1 "$NAME" "$UUID" && disk 1 51712 blank:64M && healthy || return 1
    sim_front_bg 1 verify 1000000
    busy 1 && xenstore-write /local/domain/1/control/shutdown suspend &&
        sim_until 10 ill "ephemctl forget $UUID" && sim_destroy 1 &&
        ill "ephemctl forget $UUID" && "$B/ephemctl" forget "$UUID" && healthy
}

own_pool() {
    mkdir -p "$DISK/etc/domains" && extension "pool.write('$NAME', '$LOOP')" &&
        printf '[pool]\nquota=16G\nram-budget=16M\n' >"$DISK/etc/blkback-ephem.conf" &&
        sim_domain 2 "$NAME" && disk 2 51712 blank:64M && disk 2 51744 "blank:$((12 << 20))" &&
        [ "$("$B/ephemctl" status "$NAME" --json | jq -r '.guests[0].pool')" = "block:$LOOP" ] &&
        sim_destroy 2 && extension "pool.remove('$NAME')" && [ ! -e "$DISK/etc/domains/$NAME.conf" ]
}

# What qubesd does next is to remove the volume: nobody may have it open for long.
let_go() {
    nobody_holds "$LOOP"
}

case_begin
check qubes/healthy healthy
check qubes/frozen frozen
check qubes/dead dead
check qubes/suspended suspended
IMAGE=$DISK/volatile
if truncate -s 64M "$IMAGE" && LOOP=$(losetup --find --show "$IMAGE" 2>/dev/null); then
    check qubes/own-pool own_pool
    check qubes/let-go sim_until 5 let_go
    losetup -d "$LOOP"
else
    skip qubes/own-pool "no loop device here"
fi
case_end
