#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ephemctl convert, enable and disable as an operator calls them: what is written, what is said, and what is left
# alone. xl's own parser (xlagree) reads what was written, and agrees with ours on random texts. Needs no Xen.
set -u

B=$(readlink -f "$B")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/sim/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$work" || exit 1
VERDICT=$work/.last

# fails STATUS WORDS COMMAND...: that status, nothing on standard output, and one line with those words
fails() {
    local status=$1 words=$2
    shift 2
    "$@" >.out 2>.err
    [ $? = "$status" ] || { echo "another status"; cat .out .err; return 1; }
    cat .err
    [ ! -s .out ] && grep -qF -- "$words" .err || return 1
    [ "$status" = 2 ] || [ "$(wc -l <.err)" = 1 ] || return 1
    ! LC_ALL=C grep -q '[^ -~]' .err
}

# Nothing but these files, whole or half.
only() {
    diff <(printf '%s\n' "$@" | sort) <(find . -type f ! -name .last ! -name .out ! -name .err -printf '%P\n' | sort)
}

fresh() {
    find "$work" -mindepth 1 ! -name .last -delete
}

guest() {
    cat >guest.cfg <<'EOF'
# The bank's guest
name = "bank"   # 'quoted'
memory = 512; vcpus = 2
disk = [
    'phy:/dev/vg/root,xvda,w',	# root
    "/srv/it's/data.img,raw,xvdb,rw,discard",

    'file:/srv/install.iso,hdc:cdrom,r', '/srv/ro.img,,xvdd,r',
]
disk += [ 'format=raw, vdev=xvde, access=rw, target=/srv/a, b=c' ]
vif = [ 'bridge=br0' ]
extra = 'disk=[\'none\'] console=hvc0'
EOF
}

# ---- convert ----

twin() {
    fresh && guest && "$B/ephemctl" convert guest.cfg && cat guest.ephemeral.cfg || return 1
    only guest.cfg guest.ephemeral.cfg || return 1
    diff guest.cfg guest.ephemeral.cfg >.out
    [ "$(grep -c '^[<>]' .out)" = 6 ] || return 1
    diff - <("$B/tests/xlagree" guest.ephemeral.cfg) <<'EOF'
xvda rw disk tap block-ephem cow:/dev/vg/root
xvdb rw disk tap block-ephem cow:/srv/it's/data.img
hdc ro cdrom unknown - /srv/install.iso
xvdd ro disk unknown - /srv/ro.img
xvde rw disk tap block-ephem cow:/srv/a, b=c
EOF
}

twin_of_a_twin() {
    "$B/ephemctl" convert guest.ephemeral.cfg -o again.cfg && cmp again.cfg guest.ephemeral.cfg
}

places() {
    fails 1 "guest.ephemeral.cfg: is there already" "$B/ephemctl" convert guest.cfg || return 1
    fails 1 "is the file to be converted" "$B/ephemctl" convert guest.cfg -o guest.cfg || return 1
    ln -s guest.cfg link.cfg
    fails 1 "is the file to be converted" "$B/ephemctl" convert guest.cfg -o link.cfg || return 1
    fails 1 "No such file" "$B/ephemctl" convert guest.cfg -o none/x.cfg || return 1
    fails 1 "not a file" "$B/ephemctl" convert guest.cfg -o /dev/null || return 1
    fails 1 "No such file" "$B/ephemctl" convert nothing.cfg || return 1
    fails 1 "Is a directory" "$B/ephemctl" convert . || return 1
    fails 2 "which file" "$B/ephemctl" convert || return 1
    fails 2 "unexpected argument" "$B/ephemctl" convert guest.cfg other.cfg || return 1
    fails 2 "twice" "$B/ephemctl" convert guest.cfg -o a --output b || return 1
    fails 2 "both want" "$B/ephemctl" convert guest.cfg -o - --json || return 1
    echo old >out.cfg
    "$B/ephemctl" convert guest.cfg -o out.cfg && cmp out.cfg guest.ephemeral.cfg || return 1
    "$B/ephemctl" convert guest.cfg -o - | cmp - guest.ephemeral.cfg || return 1
    only guest.cfg guest.ephemeral.cfg again.cfg out.cfg
}

# Who may not read the one may not read the other.
rights() {
    fresh && guest && chmod 600 guest.cfg && (umask 0 && "$B/ephemctl" convert guest.cfg) || return 1
    [ "$(stat -c %a guest.ephemeral.cfg)" = 600 ]
}

as_json() {
    fresh && guest && "$B/ephemctl" convert guest.cfg --json >.out || return 1
    cat .out
    jq -e '.file == "guest.ephemeral.cfg" and .converted == 3' .out || return 1
    [ "$(jq -r '.disks[] | "\(.line) \(.vdev) \(.result) \(.target)"' .out | sed -n '2p;3p')" = \
        "6 xvdb converted /srv/it's/data.img
8 hdc cdrom /srv/install.iso" ]
}

# Settings that a twin does not change, of which some are harmless
warned() {
    fresh && guest && cat >>guest.cfg <<'EOF' || return 1
usbdevice = 'tablet'
usbdevice = [ 'tablet', 'host:1.2' ]
pci = [ ]
pci = [
  '00:1d.0' ] ; p9 = [ 'tag=a,path=/srv,security_model=none' ]
device_model_args_hvm = [ '-drive', 'file=/srv/x.img' ]
usbctrl = [ 'version=2' ]
vtpm = [ 'backend=vtpm,uuid=ac0a5b9e-cbe2-4c07-b43b-1d69e46fb839' ]
EOF
    "$B/ephemctl" convert guest.cfg --json >.out 2>.err || return 1
    cat .err
    [ "$(sed -n 's/^ephemctl convert: guest.cfg:\([0-9]*\): warning: \([a-z0-9_]*\) .*/\1 \2/p' .err | xargs)" = \
        "14 usbdevice 16 pci 17 p9 18 device_model_args_hvm 20 vtpm" ] && [ "$(wc -l <.err)" = 5 ] || return 1
    [ "$(jq -r '.warnings[] | "\(.line) \(.setting)"' .out | xargs)" = \
        "14 usbdevice 16 pci 17 p9 18 device_model_args_hvm 20 vtpm" ] || return 1
    "$B/ephemctl" convert guest.cfg -o - 2>.again | cmp - guest.ephemeral.cfg && cmp .err .again || return 1
    fresh && guest && "$B/ephemctl" convert guest.cfg 2>.err && [ ! -s .err ]
}

# Where xendomains looks, in a file system of our own.
started_at_boot() {
    fresh && guest && mkdir -p /etc/xen || return 1
    # shellcheck disable=SC2016 # that shell's
    unshare --mount sh -c 'mount -t tmpfs xen /etc/xen && mkdir /etc/xen/auto && "$1" convert guest.cfg -o other.cfg &&
        cp guest.cfg /etc/xen/auto && "$1" convert /etc/xen/auto/guest.cfg' - "$B/ephemctl" 2>.err || return 1
    cat .err
    [ "$(wc -l <.err)" = 1 ] && grep -q '^ephemctl convert: /etc/xen/auto/guest.ephemeral.cfg: warning: .*xendomains' .err
}

# refuses LINE WORDS DISK
refuses() {
    fresh
    printf "name='x'\ndisk = ['/ok.img,raw,xvda,w',\n%s]\n" "$3" >guest.cfg
    fails 1 "guest.cfg:$1: " "$B/ephemctl" convert guest.cfg && grep -qF "$2" .err && only guest.cfg
}

refusals() {
    refuses 3 "not raw" "'/a,qcow2,xvdb,w'" && refuses 3 "not raw" "'vhd:/a,xvdb,w'" &&
        refuses 3 "another domain" "'phy:/a,xvdb,w,backend=storage'" &&
        refuses 3 "a script" "'nbd:/a,xvdb,w'" && refuses 3 "a script" "'script=x,vdev=xvdb,target=/a'" &&
        refuses 3 "absolute" "'phy:vg/a,xvdb,w'" && refuses 3 "size=" "'vdev=xvdb,target=/a,size=1G'" &&
        refuses 3 "no end" "'/a,raw,xvdb,w" && refuses 3 "comma" "'/a,raw,xvdb,w' 'x'" &&
        refuses 4 "forgets" "'/a,raw,xvdb,w']
disk=['/b,raw,xvdc,w'" && refuses 3 "no quoted string" "xvdb" && refuses 3 "xl does not know" "'/a\\z'" &&
        refuses 3 "carriage return" "'/a,raw,xvdb,w',$(printf '\r')
"
}

hostile() {
    fresh
    printf "disk=['/a\033[2J,qcow2,xvda,w\033]']\n" >guest.cfg
    fails 1 "guest.cfg:1: " "$B/ephemctl" convert guest.cfg || return 1
    printf "disk=['/a\033[2J,raw,xvda,w']\n" >guest.cfg
    "$B/ephemctl" convert guest.cfg >.out && ! LC_ALL=C grep '[^ -~]' .out || return 1
    head -c 2000000 /dev/zero | tr '\0' '#' >guest.cfg
    fails 1 "larger than 1M" "$B/ephemctl" convert guest.cfg || return 1
    head -c 1000 /dev/zero >guest.cfg
    fails 1 "guest.cfg:1: a NUL byte" "$B/ephemctl" convert guest.cfg || return 1
    { printf "disk=['vdev=xvda,target=/"; head -c 900000 /dev/zero | tr '\0' a; printf "']"; } >guest.cfg
    fails 1 "longer than" "$B/ephemctl" convert guest.cfg || return 1
    head -c 900000 /dev/zero | tr '\0' '[' >guest.cfg
    fails 1 "guest.cfg:1: " "$B/ephemctl" convert guest.cfg
}

# A full file system leaves neither a half file nor an empty one.
no_room() {
    fresh && guest && mkdir small && mount -t tmpfs -o size=4k,nr_inodes=8 none small || return 1
    head -c 4096 /dev/zero >small/full
    fails 1 "No space left" "$B/ephemctl" convert guest.cfg -o small/guest.cfg && [ "$(ls -A small)" = full ]
    local status=$?
    umount small
    return $status
}

# ---- enable, disable ----

policy() {
    "$B/ephemctl" "$@" --config-dir "$work/etc"
}

marked() {
    fresh && mkdir -p etc && policy enable bank || return 1
    printf '[guard]\nephemeral=on\n' | cmp - etc/domains/bank.conf || return 1
    cat >etc/domains/bank.conf <<'EOF'
; ours since May
[pool]
quota = 1G ; for now

[guard]
strict=yes
# nothing else
EOF
    policy enable bank --pool dir:/srv/pool --ram-budget 64M --quota 2G && diff etc/domains/bank.conf - <<'EOF'
; ours since May
[pool]
quota = 2G ; for now
pool=dir:/srv/pool
ram-budget=64M

[guard]
strict=yes
ephemeral=on
# nothing else
EOF
}

marked_json() {
    policy enable bank --json >.out || return 1
    jq -e '.domain == "bank" and .changed == false and .ephemeral and .pool == "dir:/srv/pool" and
        .ram_budget == 67108864 and .holds == "from the next start"' .out || return 1
    policy disable bank --json >.out || return 1
    jq -e '.changed and (.ephemeral | not) and .pool == "dir:/srv/pool"' .out &&
        grep -qx ephemeral=off etc/domains/bank.conf
}

marked_anyway() {
    printf '[guard]\nenforce=off\nephemeral=on\n' >etc/blkback-ephem.conf
    policy enable other >.out && grep -q 'enforce=off is set' .out || return 1
    policy disable third >.out && grep -q 'not marked' .out && grep -qx ephemeral=off etc/domains/third.conf
}

badly() {
    fresh && mkdir -p etc/domains && echo '[guard]' >etc/domains/bank.conf && echo 'ephemeral=maybe' >>etc/domains/bank.conf
    cp etc/domains/bank.conf was
    fails 1 "etc/domains/bank.conf:2: ephemeral: " policy enable bank && cmp was etc/domains/bank.conf || return 1
    fails 1 "write ram:SIZE" policy enable other --pool ram:much || return 1
    fails 1 "would be wrong" policy enable other --pool ram:1G --ram-budget 64M || return 1
    fails 1 "cannot stand in a file" policy enable other --pool $'dir:/x\n[guard]\nenforce=off' || return 1
    fails 1 "can have no file" policy enable ../other || return 1
    fails 1 "can have no file" policy disable $'a\033[2J' || return 1
    fails 1 "absolute" "$B/ephemctl" enable other --config-dir etc || return 1
    fails 1 "missing" "$B/ephemctl" enable other --config-dir "$work/none" || return 1
    fails 1 "give its name" "$B/ephemctl" enable 5 --config-dir etc || return 1
    fails 1 "name a guest" "$B/ephemctl" enable Domain-0 --config-dir etc && [ ! -e etc/domains/5.conf ] || return 1
    fails 2 "which domain" policy enable || return 1
    fails 2 "unrecognized option" policy disable bank --pool ram:1G || return 1
    chmod go+w etc/domains
    fails 1 "others than root" policy enable other || return 1
    chmod go-w etc/domains
    only was etc/domains/bank.conf
}

# Ten at once, each with a key of its own or the same one: nobody's is lost.
together() {
    fresh && mkdir -p etc
    for i in $(seq 5); do
        policy enable bank --pool dir:/srv/pool &
        policy enable bank --quota "${i}G" &
    done
    wait
    cat etc/domains/bank.conf
    [ "$(grep -c . etc/domains/bank.conf)" = 5 ] && grep -qx pool=dir:/srv/pool etc/domains/bank.conf &&
        grep -qx 'quota=[1-5]G' etc/domains/bank.conf && only etc/domains/bank.conf
}

check "convert: a twin, and xl reads it as meant" twin
check "convert: a twin is its own twin" twin_of_a_twin
check "convert: where it is written, and where not" places
check "convert: a twin has the rights of the file" rights
check "convert: --json" as_json
check "convert: other ways to keep something are warned of" warned
check "convert: what has no twin is refused with its line" refusals
check "convert: hostile and huge files" hostile
if unshare --mount true 2>/dev/null && [ "$(id -u)" = 0 ]; then
    check "convert: no room, no file" no_room
    check "convert: a twin that is started at boot" started_at_boot
else
    echo "skip convert: no room, started at boot: mounting needs root"
fi
check "convert: agrees with xl's own parser on random texts" "$B/tests/xlagree" -n 30000
check "enable: marks, and keeps what is there" marked
check "enable, disable: --json" marked_json
check "enable, disable: beside the defaults" marked_anyway
check "enable, disable: what is wrong is told, and stays" badly
check "enable: many at once" together

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
