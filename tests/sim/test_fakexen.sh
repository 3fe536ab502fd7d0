#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The stand-ins by themselves, without any part of the product: their symbols are those of the real
# libraries, their semantics pass conformance (in dom0, in a guest, as another user), the real
# xenstored runs on them, a guest is a guest to it, and leaks and zombies are seen.
set -u

# shellcheck source=tests/sim/sim.sh
. "$(dirname "$0")/sim.sh"

# shellcheck source=tests/sim/verdict.sh
. "$(dirname "$0")/verdict.sh"

as_guest() {
    XENSTORED_PATH="$SIM/xenbus.1" sim_run "$@"
}

# Its folder data is the guest's own, as libxl makes it
several() {
    xenstore-write /local/domain/1/data "" && xenstore-chmod /local/domain/1/data n1 &&
        python3 "$sim_here/../fakexen/clients.py" "$SIM/xenbus.1"
}

# Maps a page of domain 1 by keeping its xenbus: destroying it while xenstored sleeps is a zombie.
zombie_seen() {
    sim_store_pid=$(cat "$SIM/pid/xenstored")
    "$B/tests/fxctl" stop "$sim_store_pid"
    "$B/tests/fxctl" destroy 1
    "$B/tests/fxctl" dump >"$SIM/log/zombie"
    sim_zombie=0
    grep -q 'domain 1: zombie' "$SIM/log/zombie" || sim_zombie=1
    "$B/tests/fxctl" leaks 1 && sim_zombie=1
    kill -CONT "$sim_store_pid"
    return $sim_zombie
}

sim_start || exit 1
check "symbols and versions as in the distribution's libraries" \
    "$sim_here/../fakexen/check-abi.sh" "$sim_libs"
check "conformance in dom0" sim_run "$B/tests/conformance"
sim_domain 1
check "conformance in a guest" sim_run env FAKEXEN_DOMID=1 "$B/tests/conformance"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 \
    --clear-groups test -x "$B/tests/conformance"; then
    check "conformance as another user" sim_run setpriv --reuid 65534 --regid 65534 \
        --clear-groups "$B/tests/conformance"
fi
check "nothing is left of them" sim_leaks 1
check "a guest reads its own nodes" as_guest xenstore-read name
check "a guest cannot write dom0's nodes" not as_guest xenstore-write /local/domain/0/x 1
check "a guest gets its own folder by default" as_guest xenstore-read /local/domain/1/domid
sim_attach 1 51712 /dev/null
check "a guest writes its frontend" as_guest xenstore-write device/vbd/51712/state 3
check "and cannot write its backend" not as_guest xenstore-write \
    /local/domain/0/backend/vbd3/1/51712/state 4
check "several programs of one guest, apart from each other" several
check "a domain's end with pages mapped is a zombie" zombie_seen
check "and it is gone when they are unmapped" sim_until 10 sim_leaks 1
VERDICT=$(mktemp)
check "the simulation ends" sim_stop
rm -f "$VERDICT"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
