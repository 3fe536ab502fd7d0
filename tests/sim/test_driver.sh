#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon in a driver domain, which is a guest to xenstored: what it may read and write there is what libxl gave it,
# how much is xenstored's quota. So the daemon and its workers are domain 9 here, by that domain's own xenbus, and dom0
# has none. The toolstack does what libxl does for another domain's disks: it runs no script, waits for state 2, and when
# a disk goes it wants to see 6 and then the folder gone, both within 10 s.
#
# /bases is a folder of this test, in a mount namespace and a root of its own.
set -u

# A root like the one that is there, with /bases in it. Nothing of it can be reached by another path when this is done:
# somebody may remove the folder that it was mounted on.
root_with_bases() {
    mount --make-rprivate / && mount -t tmpfs none "$1" && mkdir "$1/bases" "$1/old" || return 1
    for there in /*; do
        if [ -L "$there" ]; then
            cp -d "$there" "$1$there"
        elif [ -d "$there" ] && [ "$there" != /bases ]; then
            mkdir "$1$there" && mount --rbind "$there" "$1$there" || return 1
        fi
    done
    cd "$1" && pivot_root . old && cd / && umount -l /old && rmdir /old && umount -R -l "$1" && rmdir "$1"
}

# case.sh calls this with its own path in $0.
case ${DRIVER_ALONE:-} in
'')
    if ! unshare --mount true 2>/dev/null; then
        echo "skip driver: needs root and mount namespaces"
        echo "0 passed, 0 failed"
        exit 0
    fi
    driver_self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
    DRIVER_ALONE=here exec unshare --mount "$driver_self" "$PWD"
    ;;
here)
    root_with_bases "$(mktemp -d)" && cd "$1" && DRIVER_ALONE=there exec "$0"
    echo "driver: no root with /bases in it could be made"
    exit 1
    ;;
esac

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

HOST=9
MIB=$((1 << 20))

attach() {
    attach_domid=$1 attach_devid=$2 attach_target=$3
    shift 3
    sim_attach "$attach_domid" "$attach_devid" "$attach_target" @kind=vbd @host=$HOST "$@"
}
node() { echo "/local/domain/$HOST/backend/vbd/$1/$2"; }
# As libxl takes it: state 2 within 10 s is all it waits for
served() {
    attach "$@" && sim_wait "$(node "$1" "$2")/state" 2 -t 10
}
value() { xenstore-read "$(node "$1" "$2")/$3"; }
folder_gone() { ! xenstore-exists "$(node "$1" "$2")"; }
as_host() { python3 "$sim_here/../fakexen/clients.py" "$SIM/xenbus.$HOST" "$@"; }
says() {
    says_what=$1
    shift
    says_is=$("$@")
    echo "$*: $says_is"
    [ "$says_is" = "$says_what" ]
}

serves() {
    sim_until 10 xenstore-exists /local/domain/9/data/blkback-ephem &&
        [ "$(xenstore-read /local/domain/9/data/blkback-ephem)" = serving ] &&
        xenstore-read /local/domain/9/data/blkback-ephem/daemon | grep -E "^$(cat "$SIM/pid/daemon") [0-9]+ .* $SIM/run$" &&
        ! xenstore-ls -f /local/domain/0 | grep -v '^/local/domain/0/\(domid\|name\)' &&
        grep 'serving backend/vbd, pool' "$SIM/log/daemon"
}

# What a driver domain may do in xenstore, and what it may not
permissions() {
    sim_domain 1 && served 1 51712 /bases/root || return 1
    for permissions_no in /local/domain/1/name /local/domain/1/vm /libxl/1/device/vbd/51712/backend /local/domain/1/device; do
        xenstore-exists "$permissions_no" && says '!EACCES' as_host read "$permissions_no" || return 1
    done
    says '!EACCES' as_host write /local/domain/1/device/vbd/51712/state 4 &&
        says '!EACCES' as_host write /local/domain/1/data/x 1 && says '!EACCES' as_host write /local/domain/0/x 1 &&
        says '!EACCES' as_host write backend/vbd/2 1 && says '!EACCES' as_host write blkback-ephem/pairs/1 2 &&
        says 1 as_host read /local/domain/1/device/vbd/51712/state && says OK as_host write data/more 1 &&
        says OK as_host write error/x 1 && says OK as_host write backend/vbd/1/51712/more 1 || return 1
    # And the guest not there
    ! XENSTORED_PATH="$SIM/xenbus.1" sim_run xenstore-write "$(node 1 51712)/state" 4 2>&1 &&
        XENSTORED_PATH="$SIM/xenbus.1" sim_run xenstore-read "$(node 1 51712)/state" | grep -x 2 &&
        xenstore-rm /local/domain/9/data/more /local/domain/9/error/x
}

# In dom0 what is below backend/vbd is the kernel's
not_in_dom0() {
    ! timeout 20 env LD_LIBRARY_PATH="$B/tests/fakexen" XENSTORED_PATH="$SIM/xs/socket" "$B/blkback-ephemd" --driver-domain \
        --pool "dir:$DISK" --run-dir "$DISK/dom0" --state-dir "$DISK/dom0" >"$SIM/said" 2>&1 &&
        cat "$SIM/said" && grep -q 'this is dom0' "$SIM/said"
}

# Nobody tells it that a domain ends: it may watch for that, which fires once for the watch itself, and never again
no_releases() {
    as_host watch @releaseDomain 4 >"$SIM/fired" &
    releases_pid=$!
    sim_domain 2 && sleep 1 && sim_destroy 2 && wait $releases_pid
    cat "$SIM/fired"
    [ "$(xargs <"$SIM/fired")" = "OK @releaseDomain" ]
}

# marker SEED SECTOR [FILE]...: the hash of what fxfront writes there; how often each file has its beginning
marker() {
    python3 - "$@" <<'PY'
import hashlib
import sys
M = (1 << 64) - 1
seed, sector, files = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
state = (seed * 0x2545f4914f6cdd1d + sector) & M
mark = b""
for _ in range(64):
    state = (state + 0x9e3779b97f4a7c15) & M
    z = state
    z = ((z ^ z >> 30) * 0xbf58476d1ce4e5b9) & M
    z = ((z ^ z >> 27) * 0x94d049bb133111eb) & M
    mark += (z ^ z >> 31).to_bytes(8, "little")
print(hashlib.sha256(mark).hexdigest())
for name in files:
    print(open(name, "rb").read().count(mark[:32]))
PY
}

# Bytes of the pool's file that are there
pool_bytes() { echo $(($(stat -L -c %b "$1") * 512)); }
pool_has() { [ "$(pool_bytes "$1")" -ge "$2" ]; }

one_life() {
    life_sum=$(sha "$DISK/bases/root")
    sim_front 1 --queues 2 readsha 0 16m >"$SIM/read" && cat "$SIM/read" && grep "$life_sum" "$SIM/read" || return 1
    sim_front 1 --queues 2 pattern 0 8m 42 flush check 0 8m 42 verify 300 >"$SIM/said" 2>&1 || { cat "$SIM/said"; return 1; }
    # What is searched for is what the guest has there.
    sim_front 1 readsha $((7 * 512)) 512 | grep "^$(marker 42 7) " || return 1
    life_pool=$(pool_fd_of 1) || return 1
    sim_until 20 pool_has "$life_pool" $((4 * MIB)) && [ "$(marker 42 7 "$life_pool" | sed 1d)" = 0 ] &&
        [ "$(sha "$DISK/bases/root")" = "$life_sum" ] && [ "$(value 1 51712 state)" -ge 2 ]
}

goes() {
    goes_worker=$(worker_of 1)
    goes_from=$(date +%s)
    sim_detach 1 51712 && folder_gone 1 51712 && ! xenstore-exists /local/domain/9/backend && sim_until 5 gone "$goes_worker" &&
        [ $(($(date +%s) - goes_from)) -lt 8 ] && sim_destroy 1
}

both() {
    for both_guest in 1 2; do
        sim_domain $both_guest && served $both_guest 51712 /bases/root && served $both_guest 51728 blank:32M || return 1
        sim_front $both_guest --devid 51728 pattern 0 8m 5 flush || return 1
    done
    [ "$(workers | wc -l)" = 2 ] && [ "$(worker_of 1)" != "$(worker_of 2)" ] || return 1
    # The same data at the same place in two pools: no block is in both.
    both_one=$(pool_fd_of 1) both_two=$(pool_fd_of 2)
    sim_until 20 pool_has "$both_one" $((4 * MIB)) && sim_until 20 pool_has "$both_two" $((4 * MIB)) &&
        [ "$(marker 5 0 "$both_one" "$both_two" | sed 1d | xargs)" = "0 0" ] && python3 - "$both_one" "$both_two" <<'PY'
import sys
one, two = (
    {d[i:i + 4096] for i in range(0, len(d), 4096)} - {bytes(4096)}
    for d in (open(name, "rb").read() for name in sys.argv[1:])
)
print(len(one), len(two), len(one & two))
sys.exit(not (len(one) > 1000 and len(two) > 1000 and not one & two))
PY
}

in_mid_io() {
    sim_front_bg 1 --queues 4 --ring-order 2 --indirect 64 verify 600s
    sim_front_bg 2 --queues 4 --ring-order 2 --indirect 64 verify 12s
    busy 1 && busy 2 || return 1
    mid_worker=$(worker_of 1) mid_other=$(worker_of 2)
    mid_from=$(date +%s)
    sim_destroy 1 && folder_gone 1 51712 && folder_gone 1 51728 && sim_until 5 gone "$mid_worker" || return 1
    mid_took=$(($(date +%s) - mid_from))
    echo "destroyed and gone in $mid_took s"
    [ $mid_took -lt 10 ] && front_ended 2 && [ "$(worker_of 2)" = "$mid_other" ] && sim_destroy 2
}

detached_in_mid_io() {
    sim_domain 1 && served 1 51712 /bases/root || return 1
    sim_front_bg 1 --queues 4 verify 600s
    busy 1 && mid_worker=$(worker_of 1) && "$B/tests/toolstack" force 1 51712 && folder_gone 1 51712 &&
        sim_until 5 gone "$mid_worker" && sim_destroy 1
}

# refused NAME TARGET WORDS: state 1 as long as libxl waits, one line of why, and nothing is left of it
refused() {
    refused_from=$(log_end)
    attach 1 51728 "$2" && sim_wait "$(node 1 51728)/hotplug-status" error -t 5 && refused_words=$(value 1 51728 hotplug-error) || return 1
    echo "$refused_words"
    echo "$refused_words" | grep -q "$3" && [ "$(echo "$refused_words" | wc -l)" = 1 ] && [ ${#refused_words} -lt 300 ] || return 1
    complaints "$refused_from" | tee "$SIM/lines"
    [ "$(wc -l <"$SIM/lines")" = 1 ] && grep -q "vbd 1/51728: .*$3" "$SIM/lines" && ! LC_ALL=C grep '[^ -~]' "$SIM/lines" || return 1
    # The whole time only for the first: it waits for something, or it does not.
    sleep "${refused_time:-0.5}"
    refused_time=
    [ "$(value 1 51728 state)" = 1 ] && "$B/tests/toolstack" force 1 51728 && folder_gone 1 51728 &&
        [ "$(complaints "$refused_from" | wc -l)" = 1 ]
}

bad_bases() {
    sim_domain 1 && served 1 51712 /bases/root || return 1
    mkdir "$DISK/bases/dir" && mkfifo "$DISK/bases/fifo" && make_base "$DISK/bases/dir/x" 4096 && make_base "$DISK/outside" 4096 &&
        make_base "$DISK/bases/A b" 4096 || return 1
    bad_long=$(printf '%0200d' 0)
    bad_longer=$(printf '%01200d' 0)
    refused_time=10
    refused missing /bases/none 'base /bases/none: does not exist' &&
        refused outside "$DISK/outside" 'not a base of this storage domain' &&
        refused device /dev/xvda 'not a base of this storage domain' &&
        refused above /bases/../etc/passwd 'not a base of this storage domain' &&
        refused up /bases/.. 'not a base of this storage domain' &&
        refused itself /bases/ 'not a base of this storage domain' &&
        refused relative bases/root 'not an absolute path' &&
        refused beside /basesroot 'not a base of this storage domain' &&
        refused below /bases/dir/x 'not a base of this storage domain' &&
        refused double //bases/root 'not a base of this storage domain' &&
        refused letters '/bases/A b' 'not a base of this storage domain' &&
        refused a-folder /bases/dir 'a directory' &&
        refused a-pipe /bases/fifo 'neither a file nor a block device' &&
        refused long "/bases/$bad_long" 'does not exist' &&
        refused longer "/bases/$bad_longer" 'too long' &&
        refused size /bases/root,size=x 'not a size' &&
        refused empty '' 'not an absolute path' && refused blank blank:7 'not a size' || return 1
    # The disk beside it has noticed nothing, and the place is free.
    sim_front 1 verify 50 && served 1 51728 /bases/root,size=32M && sim_front 1 --devid 51728 check 0 0 1 && sim_destroy 1
}

# No toolstack: the domain has gone, and then its folders. Nobody says so but the frontend's node.
vanished() {
    sim_domain 1 && served 1 51712 /bases/root || return 1
    sim_front_bg 1 verify 600s
    busy 1 || return 1
    vanished_worker=$(worker_of 1)
    sim_freeze "$(cat "$SIM/pid/front.1")" && "$B/tests/fxctl" pause 1 && "$B/tests/fxctl" destroy 1 || return 1
    xenstore-rm /local/domain/1 && sim_wait "$(node 1 51712)/state" 6 -t 10 || return 1
    sim_end KILL front.1
    sim_end TERM guestxs.1
    sim_until 10 sim_leaks 1 && xenstore-write "$(node 1 51712)/online" 0 && sim_until 10 folder_gone 1 51712 &&
        sim_until 10 gone "$vanished_worker" && "$B/tests/toolstack" destroy 1
}

# ---- quotas ----

devid() { echo $((51712 + $1 * 16)); }
quota_guests="11 12 13 14"
# Disks until one is refused; how many got there is in $fits
fill() {
    fits=0
    for fill_guest in $quota_guests; do
        for fill_disk in 0 1 2 3 4 5 6 7 8 9 10 11; do
            attach "$fill_guest" "$(devid $fill_disk)" blank:1M
            "$B/tests/toolstack" wait "$(node "$fill_guest" "$(devid $fill_disk)")/state" 2 -t 3 || return 0
            fits=$((fits + 1))
        done
    done
}

every_disk() {
    every_left=$fits
    for every_guest in $quota_guests; do
        for every_disk in 0 1 2 3 4 5 6 7 8 9 10 11; do
            [ "$every_left" -gt 0 ] || return 0
            every_left=$((every_left - 1))
            "$@" "$every_guest" "$(devid $every_disk)" || return 1
        done
    done
}
front_waits() { front_beside "$1" "$2" pause; }
front_ends() { sim_end KILL "front.$1.$2"; }
is_connected() { sim_wait "$(node "$1" "$2")/state" 4 -t 20; }

# All that got to state 2 connect, too: nothing that they need then is over. One that is over gets there when there is room.
quota_of_nodes() {
    for quota_guest in $quota_guests; do sim_domain "$quota_guest" || return 1; done
    quota_from=$(log_end)
    fill
    quota_over="$fill_guest $(devid "$fill_disk")"
    echo "$fits fit"
    [ $fits -ge 24 ] && [ $fits -lt 48 ] || return 1
    complaints "$quota_from" >"$SIM/lines"
    cat "$SIM/lines"
    # shellcheck disable=SC2086 # two words
    set -- $quota_over
    grep -q "vbd $1/$2: cannot be published: xenstored's quota of nodes is used up: " "$SIM/lines" &&
        ! grep -v "vbd $1/$2: cannot be published" "$SIM/lines" || return 1
    quota_from=$(log_end)
    every_disk front_waits && every_disk is_connected || return 1
    ! complaints "$quota_from" | grep -v "vbd $1/$2: cannot be published" || return 1
    quota_figure=$(xenstore-ls -f "$(node 11 51712)" | wc -l)
    [ "$(value "$1" "$2" state)" = 1 ] && "$B/tests/toolstack" force "$1" "$2" && folder_gone "$1" "$2" || return 1
    # Still full
    attach "$1" "$2" blank:1M && ! "$B/tests/toolstack" wait "$(node "$1" "$2")/state" 2 -t 2 || return 1
    front_ends 11 51712
    "$B/tests/toolstack" force 11 51712 && folder_gone 11 51712 && sim_wait "$(node "$1" "$2")/state" 2 -t 5 &&
        sim_front "$1" --devid "$2" verify 20 || return 1
    quota_figure="$fits disks of $((quota_figure + 1)) nodes fit"
}

quota_ends() {
    front_ends 12 51712
    sim_front 12 verify 20 || return 1
    for quota_guest in $quota_guests; do
        for quota_front in "$SIM/pid/front.$quota_guest."*; do
            [ ! -e "$quota_front" ] || sim_end KILL "$(basename "$quota_front")"
        done
        sim_destroy "$quota_guest" || return 1
    done
    rm -f "$SIM"/log/front.*
    ! xenstore-exists /local/domain/9/backend
}

# All of the domain's watches but four are somebody else's. A disk takes one.
quota_of_watches() {
    sim_domain 11 || return 1
    as_host hold data 4 >"$SIM/held" &
    quota_holder=$!
    sim_until 20 test -s "$SIM/held"
    quota_status=1
    few_watches && quota_status=0
    kill $quota_holder
    wait $quota_holder 2>/dev/null
    # What refused them is gone; a disk that libxl makes anew is served.
    [ $quota_status = 0 ] && served 11 "$(devid 4)" blank:1M && sim_destroy 11
}
few_watches() {
    for few in 0 1 2 3; do served 11 "$(devid $few)" blank:1M || return 1; done
    attach 11 "$(devid 4)" blank:1M && sim_wait "$(node 11 "$(devid 4)")/hotplug-status" error -t 5 &&
        value 11 "$(devid 4)" hotplug-error | grep "xenstored's quota of watches is used up" || return 1
    sleep 2
    [ "$(value 11 "$(devid 4)" state)" = 1 ] && "$B/tests/toolstack" force 11 "$(devid 4)" && folder_gone 11 "$(devid 4)" &&
        "$B/tests/toolstack" force 11 "$(devid 0)" && served 11 "$(devid 4)" blank:1M && sim_front 11 --devid "$(devid 4)" verify 20 &&
        "$B/tests/toolstack" force 11 "$(devid 4)"
}

# A daemon that comes again serves the same disks, and has all that it had before
taken_over() {
    sim_domain 1 && served 1 51712 /bases/root || return 1
    sim_front_bg 1 verify 8s
    busy 1 && over_worker=$(worker_of 1) && sim_kill daemon && daemon_start --driver-domain && sim_until 10 taken_back "$over_worker" &&
        front_ended 1 && sim_detach 1 51712 && folder_gone 1 51712 && sim_destroy 1
}

case_start
mkdir "$DISK/bases"
make_base "$DISK/bases/root" $((16 * MIB))
mount --bind "$DISK/bases" /bases || exit 1
sim_driver $HOST store || exit 1
daemon_start --driver-domain || exit 1
check "it serves, and says so where it may" serves
check "not in dom0" not_in_dom0
check "what it may read and write there" permissions
check "a disk's life: the base unchanged, the pool without a word of it" one_life
check "detached, its folder goes in time" goes
check "two guests, nothing alike in their pools" both
check "destroyed in the middle of I/O, the other guest goes on" in_mid_io
check "forced away in the middle of I/O" detached_in_mid_io
check "bases that are none" bad_bases
check "nobody tells it of domains that end" no_releases
check "a guest that has vanished" vanished
check "another daemon takes over" taken_over
check "what is over the quota of nodes gets no disk, and one when there is room" quota_of_nodes
echo "# ${quota_figure:-}"
check "and who has one is served on, and ends" quota_ends
check "so with the quota of watches" quota_of_watches
case_end
