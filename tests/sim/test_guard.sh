#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ephem-guard with the real xenstored and Debian's own libxenctrl: domains are made as a toolstack
# makes them, paused, and get their disks; what the guard did is how often the pretended hypervisor
# has them paused, and whether there ever was a moment when nobody had. No blkback-ephemd runs: the
# guard needs none.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

# rules FILE LINE...: blkback-ephem.conf or domains/NAME.conf, with these lines.
rules() {
    rules_file=$DISK/etc/$1
    shift
    mkdir -p "$DISK/etc/domains" && printf '%s\n' "$@" >"$rules_file"
}

guard_ready() {
    tail -c "+$((guard_mark + 1))" "$SIM/log/guard" | grep -q "watching over"
}

guard_start() {
    guard_mark=$(wc -c <"$SIM/log/guard" 2>/dev/null || echo 0)
    # shellcheck disable=SC2086 # words
    sim_daemon guard ${GUARD_UNDER:-} env JOURNAL_STREAM=1:1 \
        ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}halt_on_error=1:exitcode=99" \
        "$B/ephem-guard" --config-dir "$DISK/etc" --run-dir "$SIM/guarded"
    sim_until 20 guard_ready
}

# Ends it as systemd does; it must have nothing to complain of itself.
guard_stop() {
    stop_pid=$(cat "$SIM/pid/guard") && rm "$SIM/pid/guard" && kill "$stop_pid" || return 1
    wait "$stop_pid" || { echo "the guard's exit status is $?"; return 1; }
}

pauses() {
    "$B/tests/fxctl" pauses "$1"
}

# is_paused N COUNT: so many pauses, and it has never run
is_paused() {
    are=$(pauses "$1")
    [ "$are" = "$2 never" ] || { echo "guest $1 is '$are', not '$2 never'"; return 1; }
}

has_run() {
    [ "$(pauses "$1")" = "0 ran" ]
}

# The guard looks at a held domain every 50 ms at first, then four times a second.
settled() {
    sleep 0.6
}

said() {
    grep -qF -e "$1" "$SIM/log/guard" || { echo "does not say: $1"; cat "$SIM/log/guard"; return 1; }
}

tells() {
    sim_until 20 said "$1"
}

times_said() {
    grep -cF -e "$1" "$SIM/log/guard"
}

# The toolstack's part (nobody serves, so all is closed already): a plain disk N DEVID [K=V]..., and the end of a creation.
plain() {
    plain_domid=$1 plain_devid=$2
    shift 2
    sim_attach "$plain_domid" "$plain_devid" /dev/plain @kind=vbd script=/etc/xen/scripts/block \
        params=/dev/plain state=6 "$@"
}

unplug() {
    xenstore-rm "/local/domain/0/backend/$3/$1/$2" "/libxl/$1/device/vbd/$2" \
        "/local/domain/$1/device/vbd/$2"
}

ours() {
    sim_attach "$1" "$2" /base state=6
}

# After as long as libxl needs at least to bring up the last disk: that no disk comes within a look and the try that
# follows it is what the guard relies on (guard_domain.c).
unpause() {
    sleep 0.1
    "$B/tests/fxctl" unpause "$1"
}

# Held is two pauses, the toolstack's and ours.
held() {
    sim_until 20 is_paused "$1" 2
}

only_ours() {
    sim_build 1 marked && held 1 && ours 1 51712 && ours 1 51728 && plain 1 51744 mode=r &&
        settled && is_paused 1 2 && unpause 1 && sim_until 20 has_run 1 &&
        tells "guest 1 (marked) has no writable disk but ephemeral ones: it may run"
}

one_plain() {
    sim_build 2 marked && held 2 && ours 2 51712 && plain 2 51728 && unpause 2 || return 1
    settled
    is_paused 2 1 || { echo "it is '$(pauses 2)'"; return 1; }
    tells "guest 2 (marked) is marked as ephemeral and has writable disks that are not: xvdb (vbd): paused before it ran: destroy it"
}

refused_is_told_once() {
    settled
    [ "$(times_said "guest 2 (marked) is marked")" = 1 ] && grep -q "^refused " "$SIM/guarded/2"
}

# An operator's own unpause gives up the guard's pause, not his.
by_hand() {
    unpause 2 && sim_until 20 paused_again 2 && tells "guest 2 (marked) was unpaused by hand: paused again"
}

paused_again() {
    [ "$(pauses "$1")" = "1 ran" ]
}

# A disk comes when all looked right already, and the toolstack has not done yet.
late_plain() {
    sim_build 3 marked && held 3 && ours 3 51712 && settled && is_paused 3 2 &&
        sim_attach 3 51728 /x @kind=qdisk script= && unpause 3 || return 1
    settled
    is_paused 3 1 && tells "xvdb (qdisk): paused before it ran"
}

# What was wrong is taken away: it runs when its toolstack has done, too.
mended() {
    unplug 3 51728 qdisk && sim_until 20 has_run 3
}

unmarked() {
    sim_build 4 other && plain 4 51712 && settled && is_paused 4 1 && unpause 4 && settled &&
        has_run 4
}

created_paused() {
    sim_build 5 marked && held 5 && ours 5 51712 || return 1
    # It is looked at rarely by then.
    sleep 2.5
    is_paused 5 2 && unpause 5 && sim_until 20 has_run 5
}

excepted() {
    rules domains/except.conf "[guard]" "enforce=off" "ephemeral=on"
    sim_build 6 except && plain 6 51712 && settled && is_paused 6 1 && unpause 6 && has_run 6 &&
        tells "guest 6 (except) is marked as ephemeral, but enforce=off: not guarded"
}

hotplug_warns() {
    plain 1 51760 && tells "guest 1 (marked) is marked as ephemeral, runs, and has writable disks that are not: xvdd (vbd): detach them" &&
        settled && has_run 1 && [ "$(times_said "guest 1 (marked) is marked")" = 1 ] || return 1
    unplug 1 51760 vbd && settled && plain 1 51760 && sim_until 20 twice_said && unplug 1 51760 vbd
}

twice_said() {
    [ "$(times_said "guest 1 (marked) is marked")" = 2 ]
}

hotplug_of_ours() {
    hotplug_told=$(times_said "guest 1 ")
    ours 1 51776 && plain 1 51792 mode=r && settled && has_run 1 && [ "$(times_said "guest 1 ")" = "$hotplug_told" ]
}

hotplug_strict() {
    rules domains/strict.conf "[guard]" "ephemeral=yes" "strict=1"
    sim_build 7 strict && ours 7 51712 && held 7 && unpause 7 && sim_until 20 has_run 7 && plain 7 51728 &&
        sim_until 20 paused_again 7 && tells "guest 7 (strict) is marked as ephemeral and has writable disks that are not: xvdb (vbd): paused" &&
        unplug 7 51728 vbd && sim_until 20 has_run 7 && tells "guest 7 (strict) is paused no longer by the guard: its disks are ephemeral now"
}

# Who is given the name later is marked from then on; who loses it stays marked; whom xl receives is held at once.
renamed() {
    sim_build 8 other && plain 8 51712 && settled && is_paused 8 1 &&
        xenstore-write /local/domain/8/name marked && held 8 && unpause 8 && settled && is_paused 8 1 || return 1
    xenstore-write /local/domain/8/name other && settled && is_paused 8 1 && sim_build 60 marked--incoming &&
        plain 60 51712 && held 60 && xenstore-write /local/domain/60/name marked && unpause 60 && settled && is_paused 60 1
}

# libxl's copy and dom0's backends each count alone, and a frontend too while its guest cannot write it:
# N DISK K=V...
one_place() {
    place=$1 place_disk=$2
    shift 2
    sim_build "$place" marked && held "$place" && plain "$place" 51712 "$@" && unpause "$place" && settled &&
        is_paused "$place" 1 &&
        tells "guest $place (marked) is marked as ephemeral and has writable disks that are not: $place_disk:"
}

# What nobody serves is no disk.
frontend_to_nothing() {
    sim_build 19 marked && held 19 && ours 19 51712 && plain 19 51728 @place=frontend && unpause 19 &&
        sim_until 20 has_run 19
}

# A disk of ours in all but one thing: N WHAT K=V...
almost_ours() {
    almost=$1
    shift 2
    sim_build "$almost" marked && held "$almost" && ours "$almost" 51712 && sim_attach "$almost" 51728 /base state=6 "$@" &&
        unpause "$almost" && settled && is_paused "$almost" 1 && sim_destroy "$almost"
}

# What the guest may write is not dom0's word: N, the node's last component or nothing.
forgeable() {
    sim_build "$1" marked && held "$1" && ours "$1" 51712 || return 1
    xenstore-chmod "/local/domain/0/backend/vbd3/$1/51712$2" n0 "b$1" && unpause "$1" && settled && is_paused "$1" 1 &&
        tells "guest $1 (marked) is marked as ephemeral and has writable disks that are not: xvda (vbd3)"
}

driver_domain() {
    sim_domain 30 driver && xenstore-write /local/domain/30/backend "" && xenstore-chmod /local/domain/30/backend n30 &&
        sim_build 31 marked && held 31 && plain 31 51712 @host=30 && unpause 31 && settled && is_paused 31 1 &&
        tells "xvda (vbd of domain 30)"
}

# The stub domain of a marked guest has the same disks, and no name that is marked.
stub_domain() {
    sim_build 32 marked && held 32 && plain 32 51712 && sim_build 33 marked-dm && settled && is_paused 33 1 &&
        xenstore-write /local/domain/32/image/device-model-domid 33 /local/domain/33/target 32 && held 33 &&
        plain 33 51712 && unpause 33 && settled && is_paused 33 1 && tells "stub domain 33 (marked) is marked"
}

# A guest that runs may write what it likes below its own directory.
hostile_frontend() {
    hostile_told=$(wc -l <"$SIM/log/guard")
    xenstore-write /local/domain/1/device/vbd/77/backend /local/domain/0/backend/vbd/1/77 \
        /local/domain/1/device/vbd/51712/backend /local/domain/0/backend/vbd/2/51728 || return 1
    kill -HUP "$(cat "$SIM/pid/guard")" && settled && has_run 1 && [ "$(wc -l <"$SIM/log/guard")" = "$hostile_told" ]
}

# The guard is away while a toolstack works: what it holds stays held, what it has not seen is found.
killed() {
    sim_build 40 marked && held 40 && sim_build 41 strict && held 41 && sim_kill guard || return 1
    ours 40 51712 && plain 41 51712 && sim_build 42 marked && plain 42 51712 && unpause 40 && unpause 41 || return 1
    settled
    is_paused 40 1 && is_paused 41 1 && guard_start && sim_until 20 has_run 40 && held 42 && unpause 42 && settled &&
        is_paused 41 1 && is_paused 42 1
}

# Whoever ran before the guard came is only told of, unless strict=on.
came_late() {
    guard_stop && sim_domain 43 marked && plain 43 51712 && sim_domain 44 strict && plain 44 51712 && guard_start &&
        sim_until 20 paused_again 44 && settled && has_run 43 && tells "guest 43 (marked) is marked as ephemeral, runs"
}

stopped() {
    guard_stop && tells "guest 2 stays paused" && guard_start && settled && paused_again 2 &&
        [ "$(times_said "guest 2 (marked) was unpaused by hand")" = 1 ]
}

# Killed in the middle: it must not give up a pause that may be the toolstack's.
unsure() {
    sim_build 45 marked && held 45 && sim_kill guard && sed -i 's/^held  /unsure/' "$SIM/guarded/45" && guard_start &&
        tells "guest 45 may have been left paused by a guard that was killed" || return 1
    sim_until 20 is_paused 45 3 && unpause 45 && settled && is_paused 45 2 && unpause 45 && sim_until 20 has_run 45
}

# A toolstack that destroys takes the disks away first: that is no reason to let the domain run.
no_disks() {
    sim_build 50 marked && held 50 && plain 50 51712 && unpause 50 && settled && is_paused 50 1 &&
        unplug 50 51712 vbd && settled && is_paused 50 1 && ours 50 51712 && sim_until 20 has_run 50
}

# A bad file marks its domain, a bad default file all; mended, they go on by themselves.
bad_files() {
    rules domains/broken.conf "[guard]" "ephemeral=perhaps"
    sim_build 46 broken && held 46 && plain 46 51712 && unpause 46 && settled && is_paused 46 1 &&
        tells "guest 46 (broken) is paused, for it may be marked as ephemeral and has xvda (vbd): $DISK/etc/domains/broken.conf:2: ephemeral: 'perhaps': write on or off" || return 1
    rules domains/broken.conf "[guard]" "ephemeral=off"
    sim_until 20 has_run 46 && tells "guest 46 (broken) is paused no longer by the guard: nothing marks it" || return 1
    rules blkback-ephem.conf "[guard]" "ephemral=on"
    sim_build 47 other && plain 47 51712 && held 47 && unpause 47 && settled && is_paused 47 1 || return 1
    rm "$DISK/etc/blkback-ephem.conf"
    sim_until 20 has_run 47
}

default_marks() {
    rules blkback-ephem.conf "[guard]" "ephemeral=on"
    rules domains/free.conf "[guard]" "ephemeral=off"
    sim_build 48 anything && plain 48 51712 && held 48 && sim_build 49 free && plain 49 51712 && settled &&
        is_paused 49 1 && unpause 49 && unpause 48 && settled && is_paused 48 1 && has_run 49
    default_status=$?
    rm "$DISK/etc/blkback-ephem.conf"
    return $default_status
}

# What is recorded goes with the domain; the same number with another domain is nobody known.
gone_and_new() {
    sim_destroy 2 && sim_until 20 not test -e "$SIM/guarded/2" && sim_build 2 marked && held 2 && ours 2 51712 &&
        unpause 2 && sim_until 20 has_run 2
}

one_guard() {
    sim_run timeout 10 "$B/ephem-guard" --config-dir "$DISK/etc" --run-dir "$SIM/guarded" >"$SIM/words" 2>&1 &&
        { echo "it started"; return 1; }
    [ "$(cat "$SIM/words")" = "ephem-guard: another ephem-guard has $SIM/guarded: end it first" ] ||
        { cat "$SIM/words"; return 1; }
}

# No toolstack's end falls between a look and a try: hundreds of them, each with a plain disk just before.
races() {
    race=100
    while [ $race -lt 130 ]; do
        sim_make=build
        "$B/tests/fxctl" build $race && "$B/tests/toolstack" domain $race marked "$(cat /proc/sys/kernel/random/uuid)" &&
            sim_daemon "guestxs.$race" "$B/tests/guestxs" $race "$SIM/xenbus.$race" && held $race && ours $race 51712 || return 1
        sleep "0.0$((race % 10))"
        plain $race 51728 && unpause $race || return 1
        sleep 0.3
        is_paused $race 1 || { echo "guest $race is '$(pauses $race)'"; return 1; }
        sim_make=
        sim_destroy $race || return 1
        race=$((race + 1))
    done
}

needed_by() {
    readelf -d "$B/$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# libxenctrl's soname belongs to one Xen release.
only_the_guard_links_it() {
    for program in blkback-ephem blkback-ephemd ephemctl block-ephem; do
        [ -n "$(needed_by $program)" ] || { echo "readelf tells nothing of $program"; return 1; }
        ! needed_by $program | grep -E 'libxen(ctrl|guest|light)' || return 1
    done
    needed_by ephem-guard | grep -q libxenctrl && ! needed_by ephem-guard | grep -E 'libxenguest|libxenlight|crypto|blkid'
}

xenstore_lost() {
    guard_pid=$(cat "$SIM/pid/guard")
    sim_end TERM xenstored
    sim_until 10 gone "$guard_pid" && rm "$SIM/pid/guard" && tells "xenstored is gone"
}

reported() {
    reports >"$SIM/reports"
    cat "$SIM/reports"
    [ ! -s "$SIM/reports" ]
}

sim_start || exit 1
DISK=$(mktemp -d "${TMPDIR:-/var/tmp}/ephem.XXXXXX")
trap 'sim_clean; rm -rf "$DISK"' EXIT
rules domains/marked.conf "[guard]" "ephemeral=on"
check "nobody else links libxenctrl" only_the_guard_links_it
check "the guard starts" guard_start
check "with our disks and a read-only one it runs, when its toolstack says so" only_ours
check "with one plain disk it never runs" one_plain
check "that is told once, and recorded" refused_is_told_once
check "unpaused by hand it is paused again" by_hand
check "a plain disk at the last moment" late_plain
check "without that disk it runs" mended
check "without any disk it does not, until it has one of ours" no_disks
check "a domain that is not marked is not touched" unmarked
check "one that is created paused runs when it is unpaused" created_paused
check "enforce=off: it is not touched" excepted
check "hot-plugged: a warning for each" hotplug_warns
check "hot-plugged disks of ours, and read-only ones: none" hotplug_of_ours
check "hot-plugged with strict=1: paused until it is gone" hotplug_strict
check "names can be gained and not lost" renamed
check "libxl's word alone" one_place 10 "xvda (vbd)" @place=libxl
check "a backend alone" one_place 11 "xvda (vbd)" @place=backend
check "a frontend of another domain's backend alone" one_place 12 "xvda (vbd of domain 30)" @place=frontend @host=30
check "a frontend of an unknown kind alone" one_place 20 "xvda (floppy)" @place=frontend @kind=floppy
check "a frontend of nobody's backend" frontend_to_nothing
check "another script is not ours" almost_ours 13 script script=/etc/xen/scripts/block-tap
check "no script is not ours" almost_ours 14 script script=
check "a script that only begins so is not ours" almost_ours 15 script script=/x/block-ephem2
check "another kind is not ours" almost_ours 16 kind @kind=qdisk
check "somebody else's frontend is not ours" almost_ours 17 frontend frontend=/local/domain/4/device/vbd/51728
check "a mode that only begins with r is not read-only" almost_ours 18 mode @kind=vbd mode=rw
check "a directory that the guest may write is not ours" forgeable 21 ""
check "nor is a script" forgeable 22 /script
check "a disk of another domain" driver_domain
check "a stub domain is its guest" stub_domain
check "what a running guest writes means nothing" hostile_frontend
check "a guard that was killed, and the next one" killed
check "what ran before the guard came" came_late
check "stopped and started it knows whom it has paused" stopped
check "killed between two steps it rather pauses twice" unsure
check "files that are wrong" bad_files
check "marked by default" default_marks
check "a domain that is gone, and a new one of its number" gone_and_new
check "there is one guard" one_guard
check "a toolstack's end at any moment" races
check "the end of xenstored is its end" xenstore_lost
[ -z "$SANITIZED" ] || check "no sanitizer has anything to say" reported
sim_clean
trap - EXIT
rm -rf "$DISK"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
