#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `ephemctl stubdom`: storage domains made, listed, ended, and what is refused.  xl is a stand-in here, which does with
# the real xenstored what xl does there; the domain's own part, that it serves, is played by writing its node.
set -u

# shellcheck source=tests/sim/case.sh
. "$(dirname "$0")/case.sh"

# What it does is in $DISK/xl.does: serve, end (the domain is gone at once) or fail; its words are in $DISK/xl.said
make_xl() {
    mkdir "$DISK/bin"
    cat >"$DISK/bin/xl" <<'END'
#!/bin/sh
. "$SIM_SOURCE/sim.sh"
echo "$*" >>"$DISK/xl.said"
does=$(cat "$DISK/xl.does")
name() { sed -n 's/^name = "\(.*\)"$/\1/p' "$1"; }
case $1 in
create)
    [ "$does" != fail ] || { echo "xl: no" >&2; exit 1; }
    sim_domain 9 "$(name "$3")"
    [ ! -e "$DISK/xl.says" ] || cat "$DISK/xl.says" >>"$EPHEM_CONSOLES/guest-store.log"
    case $does in
    serve) (sleep 0.3; xenstore-write /local/domain/9/data/blkback-ephem serving) & ;;
    end) (sleep 0.3; sim_destroy 9) & ;;
    esac ;;
destroy) [ "$2" = 9 ] && sim_destroy 9 ;;
unpause) [ "$2" = 9 ] ;;
esac
END
    chmod 755 "$DISK/bin/xl"
    PATH=$DISK/bin:$PATH
}

stubdom() { "$B/ephemctl" stubdom "$@"; }
xl_does() { echo "$1" >"$DISK/xl.does"; : >"$DISK/xl.said"; }
# Standard options of a good one
make() {
    make_name=$1
    shift
    stubdom create "$make_name" --base root="$BASE" --pool "$POOL" --image "$DISK/image" "$@"
}
# says WORDS STATUS COMMAND...: fails with that status, one line, these words, and nothing is left
says() {
    says_words=$1 says_status=$2
    shift 2
    "$@" >"$SIM/said" 2>&1
    [ $? = "$says_status" ] || { cat "$SIM/said"; return 1; }
    cat "$SIM/said"
    [ "$(wc -l <"$SIM/said")" = 1 ] && grep -q "$says_words" "$SIM/said" && [ ! -s "$DISK/xl.said" ] &&
        ! ls "$EPHEM_STUBDOM_DIR"/*.cfg 2>/dev/null
}

good() {
    xl_does serve
    make store && [ "$(xargs <"$DISK/xl.said")" = "create -qp $EPHEM_STUBDOM_DIR/store.cfg unpause 9" ] &&
        [ "$(stat -c %a "$EPHEM_STUBDOM_DIR/store.cfg")" = 600 ] &&
        [ "$(xenstore-read /local/domain/9/blkback-ephem/stubdom)" = shared ] &&
        grep -q "access=ro,target=$BASE'" "$EPHEM_STUBDOM_DIR/store.cfg"
}

# A guest's disk in it, as libxl writes it
with_guest() {
    sim_domain 5 && "$B/tests/toolstack" attach 5 51712 /bases/root @kind=vbd @host=9
}

listed_as() {
    stubdom list --json | jq -e --arg state "$1" --argjson guests "$2" \
        '.domains == [{name: "store", domid: (if $state == "gone" then 0 else 9 end), shape: (if $state == "gone" then "" else "shared" end), state: $state, guests: $guests, disks: $guests}]'
}

# Ours, for scan, by libxl's note and dom0's mark; and not without the mark
scanned() {
    "$B/ephemctl" scan 5 --json | jq -e '.domains[0].volumes == [{vdev: "xvda", kind: "ephemeral", detail: "in storage domain 9, /bases/root"}]' &&
        xenstore-rm /local/domain/9/blkback-ephem &&
        "$B/ephemctl" scan 5 --json | jq -e '.domains[0].volumes | length == 1 and .[0].kind != "ephemeral"' &&
        xenstore-write /local/domain/9/blkback-ephem/stubdom shared
}

# Nor does audit want a worker of ours for it; and without the mark its disk is nobody's of ours
guest_rows() { "$B/ephemctl" audit 5 --json | jq -c '[.guests[0].checks[] | .verdict]'; }
audited() {
    guest_rows >"$SIM/rows"
    cat "$SIM/rows"
    jq -e 'length >= 2 and all(. == "ok")' "$SIM/rows" && xenstore-rm /local/domain/9/blkback-ephem &&
        guest_rows | tee -a "$SIM/rows" | jq -e 'any(. == "FAIL")' && xenstore-write /local/domain/9/blkback-ephem/stubdom shared
}

twice() {
    xl_does serve
    stubdom create store --base root="$BASE" --pool "$POOL" --image "$DISK/image" 2>&1 | grep 'there is a domain of that name' &&
        [ ! -s "$DISK/xl.said" ]
}

in_use() {
    xl_does serve
    ! stubdom destroy store 2>"$SIM/said" && grep '1 guests have 1 disks' "$SIM/said" && [ ! -s "$DISK/xl.said" ] &&
        listed_as serving 1
}

forced() {
    stubdom destroy store --force && [ "$(cat "$DISK/xl.said")" = "destroy 9" ] && [ ! -e "$EPHEM_STUBDOM_DIR/store.cfg" ] &&
        [ "$(stubdom list --json | jq -c .domains)" = '[]' ]
}

# Its domain crashes: it is shown as gone until it is destroyed
crashed() {
    xl_does serve
    make store --per-guest && [ "$(xenstore-read /local/domain/9/blkback-ephem/stubdom)" = per-guest ] &&
        sim_destroy 9 && listed_as gone 0 && stubdom list | grep 'store .* gone' && : >"$DISK/xl.said" &&
        stubdom destroy store && [ ! -s "$DISK/xl.said" ] && [ "$(stubdom list --json | jq -c .domains)" = '[]' ]
}

# What does not come to serve is not left
ends() {
    xl_does end
    printf 'of an earlier one\n' >"$EPHEM_CONSOLES/guest-store.log"
    printf 'one\ntwo \033[2J\r\nthree \302\2332J \000four\n' >"$DISK/xl.says"
    ! make store >"$SIM/said" 2>&1 && sim_until 10 no_domain 9 && grep 'it has ended' "$SIM/said" && ! grep 'earlier' "$SIM/said" && grep -q 'two ?\[2J' "$SIM/said" &&
        grep -q 'three ??2J ?four' "$SIM/said" &&
        ! grep "$(printf '\033')" "$SIM/said" && [ ! -e "$EPHEM_STUBDOM_DIR/store.cfg" ] || return 1
    rm -f "$DISK/xl.says"
    ! make store >"$SIM/said" 2>&1 && sim_until 10 no_domain 9 && ! grep 'two' "$SIM/said" && grep -e '--log=guest' "$SIM/said"
}

no_domain() { ! "$B/tests/fxctl" dump | grep "^domain $1:"; }

fails() {
    xl_does fail
    ! make store >"$SIM/said" 2>&1 && grep 'xl could not create it' "$SIM/said" && [ ! -e "$EPHEM_STUBDOM_DIR/store.cfg" ]
}

logs() {
    xl_does serve
    seq 100 >"$EPHEM_CONSOLES/guest-store.log"
    [ "$(stubdom logs store --lines 3 | xargs)" = "98 99 100" ] && [ "$(stubdom logs store | wc -l)" = 40 ] &&
        stubdom logs store --lines 10000 >"$SIM/said" && seq 100 | cmp - "$SIM/said" && says 'no log of its console' 1 stubdom logs other
}

# Whoever writes a base, or has the pool, is seen before anything is made
in_others_hands() {
    xl_does serve
    rm -f "$SIM/has"
    python3 -c 'import os, sys, time; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL); print("", flush=True); time.sleep(60)' "$1" >"$SIM/has" &
    others_pid=$!
    sim_until 10 test -s "$SIM/has"
    others_status=0
    says "$2" 1 make store || others_status=1
    kill $others_pid
    wait $others_pid 2>/dev/null
    return $others_status
}

refused() {
    xl_does serve
    says 'a file: name the block device' 1 stubdom create x --base a="$DISK/image/vmlinuz" --pool "$POOL" --image "$DISK/image" &&
        says 'does not exist' 1 stubdom create x --base a=/none --pool "$POOL" --image "$DISK/image" &&
        says 'no such device' 1 stubdom create x --base a="$BASE" --pool /none --image "$DISK/image" &&
        says 'make stubdom' 1 stubdom create x --base a="$BASE" --pool "$POOL" --image /none &&
        says 'is no name' 2 make 'a b' && says 'not digits alone' 2 make 7 && says 'one name' 2 stubdom destroy 7 &&
        says 'no other domain' 2 make x --backend Domain-0 && says 'no other domain' 2 make x --backend 0 &&
        says 'option: quota: written twice' 2 make x --option pool.quota=1G --option pool.quota=2G &&
        says 'written twice' 2 make x --option pool.pool=ram:1G && says 'no such key' 2 make x --option pool.quote=1G && says 'at least 128' 2 make x --memory 127 && says 'at least 128' 2 make x --memory much && says 'at least 128' 2 make x --memory 0 &&
        says 'is a base and the pool' 2 make x --base other="$POOL" && ln -sf "$POOL" "$DISK/link" &&
        says 'can be written' 1 make x --base other="$DISK/link" --overwrite &&
        says 'there twice' 2 make x --base root=/x && says 'say SECTION.KEY=VALUE' 2 make x --option quota=1G &&
        says 'one name' 2 stubdom create && says 'pool takes' 2 stubdom create x --base a="$BASE" &&
        says 'say create' 2 stubdom make && says 'one name' 2 stubdom destroy && says 'one name' 2 stubdom logs store --lines 0 &&
        says 'no such storage domain' 1 stubdom destroy other && says 'takes --json only' 2 stubdom list store
}

# A domain that is none of ours is not destroyed, whatever its name
no_others() {
    xl_does serve
    sim_domain 5 && says 'is no storage domain' 1 stubdom destroy guest5 && : >"$EPHEM_STUBDOM_DIR/guest5.cfg" &&
        ! stubdom destroy guest5 --force 2>"$SIM/said" && grep 'though it has its name' "$SIM/said" && [ ! -s "$DISK/xl.said" ] &&
        sim_destroy 5 && stubdom destroy guest5 && [ ! -e "$EPHEM_STUBDOM_DIR/guest5.cfg" ]
}

# Bases that somebody can write, by another way than that device
other_ways() {
    xl_does serve
    other=$(losetup -f --show "$DISK/base.img") || return 1
    ways_status=0
    says 'can be written: make it by' 1 stubdom create x --base a="$other" --pool "$POOL" --image "$DISK/image" &&
        says 'base.img: open for writing elsewhere' 1 make x &&
        says 'open for writing elsewhere' 1 stubdom create x --base a="$BASE" --pool "$other" --image "$DISK/image" --overwrite || ways_status=1
    losetup -d "$other"
    other=$(losetup -r -f --show "$DISK/pool.img") || return 1
    losetup -d "$POOL"
    third=$(losetup -r -f --show "$DISK/pool.img") || return 1
    says 'is a base and the pool' 1 stubdom create x --base a="$other" --pool "$third" --image "$DISK/image" --overwrite &&
        ln "$DISK/pool.img" "$DISK/linked.img" && rm "$DISK/pool.img" &&
        says 'not where it was' 1 stubdom create x --base a="$other" --pool "$third" --image "$DISK/image" || ways_status=1
    mv "$DISK/linked.img" "$DISK/pool.img"
    losetup -d "$other" "$third"
    POOL=$(losetup -f --show "$DISK/pool.img") && return $ways_status
}

# The storage domain's part in a guest's end: it removes the backends
end_guest() {
    xenstore-rm "/local/domain/9/backend/vbd/$1" && sim_destroy "$1"
}

# A guest and its stub domain, as libxl notes them, with a disk each
pairs_start() {
    sim_daemon pairs "$B/ephemctl" stubdom pairs
}
pair_is() { [ "$(xenstore-read "/local/domain/9/blkback-ephem/pairs/$1")" = "$2" ]; }
no_pair() { ! xenstore-exists "/local/domain/9/blkback-ephem/pairs/$1"; }
pairs_told() {
    xl_does serve
    make store --pairs && sim_domain 5 && sim_domain 6 && sim_domain 7 &&
        xenstore-write /local/domain/6/target 5 /local/domain/5/image/device-model-domid 6 || return 1
    pairs_start
    for pairs_guest in 5 6 7; do
        "$B/tests/toolstack" attach $pairs_guest 51712 /bases/root @kind=vbd @host=9 || return 1
    done
    sim_until 10 pair_is 6 5 && pair_is 5 5 && sim_until 10 pair_is 7 7
}
# Who only says so is nobody's; a domain that has gone is forgotten
pairs_lied() {
    sim_domain 8 && xenstore-write /local/domain/8/target 5 &&
        "$B/tests/toolstack" attach 8 51712 /bases/root @kind=vbd @host=9 &&
        sim_until 10 grep -q 'domain 8 says that it is a stub domain' "$SIM/log/pairs" && no_pair 8 &&
        end_guest 7 && sim_until 10 no_pair 7 && pair_is 6 5
}
# Its words are written anew by the next one
pairs_again() {
    sim_end TERM pairs
    xenstore-write /local/domain/9/blkback-ephem/pairs/6 7
    pairs_start
    sim_until 10 pair_is 6 5 && sim_end TERM pairs && end_guest 8 && end_guest 6 && end_guest 5 && stubdom destroy store --force
}

# A guest's configuration is turned to disks of that domain: by the device, a link to it, the file behind it
converts() {
    xl_does serve
    make store --base raw="$POOL.none" >"$SIM/said" 2>&1 && return 1
    ln -sf "$BASE" "$DISK/link"
    make store >"$SIM/said" || return 1
    cat >"$DISK/guest.cfg" <<END
name = "g" # x
disk = [ '$BASE,raw,xvda,w', 'vdev=xvdb,access=rw,untrusted,target=$DISK/link',
  'file:$DISK/base.img,xvdc,w', '/srv/x.iso,,hdc:cdrom,r' ]
END
    "$B/ephemctl" convert "$DISK/guest.cfg" --backend stubdom:store -o "$DISK/twin.cfg" || return 1
    cat >"$SIM/wanted" <<END
name = "g" # x
disk = [ 'backend=store,format=raw,vdev=xvda,access=rw,target=/bases/root', 'backend=store,format=raw,vdev=xvdb,access=rw,untrusted,target=/bases/root',
  'backend=store,format=raw,vdev=xvdc,access=rw,target=/bases/root', '/srv/x.iso,,hdc:cdrom,r' ]
END
    diff "$SIM/wanted" "$DISK/twin.cfg" && "$B/ephemctl" convert "$DISK/twin.cfg" --backend stubdom:store -o - | cmp - "$DISK/twin.cfg"
}
# One line, that status, and no twin
converts_not() {
    rm -f "$DISK/twin.cfg"
    "$B/ephemctl" convert "$DISK/guest.cfg" --backend "$3" -o "$DISK/twin.cfg" >"$SIM/said" 2>&1
    [ $? = "$2" ] && cat "$SIM/said" && [ "$(wc -l <"$SIM/said")" = 1 ] && grep -q "$1" "$SIM/said" && [ ! -e "$DISK/twin.cfg" ]
}
converts_no_others() {
    converts_not 'no storage domain other' 1 stubdom:other && converts_not 'is stubdom:NAME' 2 store &&
        converts_not 'is stubdom:NAME' 2 stubdom:../x && echo "disk = [ '$DISK/pool.img,raw,xvda,w' ]" >"$DISK/guest.cfg" &&
        converts_not 'guest.cfg:1: xvda: .*pool.img is no base of store: ' 1 stubdom:store && converts_not 'is stubdom:NAME' 2 stubdom:7 &&
        printf 'type = "hvm"\ndisk = [ "%s,raw,xvda,w" ]\n' "$BASE" >"$DISK/guest.cfg" &&
        converts_not 'device_model_stubdomain_override=1' 1 stubdom:store && echo 'device_model_stubdomain_override = 1' >>"$DISK/guest.cfg" &&
        "$B/ephemctl" convert "$DISK/guest.cfg" --backend stubdom:store -o - | grep 'backend=store' && stubdom destroy store
}

dry() {
    xl_does serve
    make x --dry-run >"$SIM/cfg" && [ ! -s "$DISK/xl.said" ] && grep 'driver_domain = 1' "$SIM/cfg" && [ ! -e "$EPHEM_STUBDOM_DIR/x.cfg" ]
}

cleanup() {
    losetup -d "$BASE" "$POOL" 2>/dev/null
    case_clean
}

# shellcheck disable=SC2119 # no options
case_begin
truncate -s 16M "$DISK/base.img" "$DISK/pool.img"
if ! BASE=$(losetup -r -f --show "$DISK/base.img" 2>/dev/null) || ! POOL=$(losetup -f --show "$DISK/pool.img"); then
    skip "storage domains" "no loop device can be had here"
    case_end
    exit
fi
trap 'cleanup' EXIT
SIM_SOURCE=$(cd "${SIM_SOURCE:-$(dirname "$0")}" && pwd)
export DISK B SIM_SOURCE EPHEM_STUBDOM_DIR="$DISK/stubdom" EPHEM_CONSOLES="$DISK/consoles"
mkdir "$DISK/image" "$DISK/consoles"
touch "$DISK/image/vmlinuz" "$DISK/image/initramfs"
make_xl

check "one is made, marked, and serves" good
check "it is listed" listed_as serving 0
check "its guests are counted" with_guest
check "they are listed" listed_as serving 1
check "scan knows its disks" scanned
check "audit, too" audited
check "no second one of that name" twice
check "it is not destroyed under its guests" in_use
check "but by force" forced
sim_destroy 5
check "a crashed one is shown until it is destroyed" crashed
check "one that ends is not left" ends
check "one that xl cannot make is not left" fails
check "logs" logs
check "a base that somebody has" in_others_hands "$BASE" "$BASE"
check "a pool that somebody has" in_others_hands "$POOL" 'in use'
check "what is refused" refused
check "a base that can be written by another way, or is the pool" other_ways
check "another domain is not destroyed" no_others
check "it is told whose stub domain is whose" pairs_told
check "but not what a domain says of itself" pairs_lied
check "words of an earlier time are not believed" pairs_again
check "a guest's disks are turned to its" converts
check "and no others" converts_no_others
check "a dry run" dry
case_end
