#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What an operator can get wrong: each is one line on stderr that names the thing and the remedy, a
# status other than 0, and nothing left behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

BASE=$WORK/base
head -c 1M /dev/urandom >"$BASE"
chmod 644 "$BASE"
NOBODY=65534
AS=() # how to run the server: as ourselves

# refused THING REMEDY ARG...: both are extended regular expressions for the one line.
refused() {
    local thing=$1 remedy=$2 rc=0
    shift 2
    timeout 10 "${AS[@]}" "$EPHEM" serve "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
    cat "$WORK/err"
    case $rc in 1 | 2) ;; *) echo "status $rc" && return 1 ;; esac
    [ "$(wc -l <"$WORK/err")" -eq 1 ] || { echo "not one line"; return 1; }
    grep -qE -- "$thing" "$WORK/err" || { echo "does not name $thing"; return 1; }
    grep -qE -- "$remedy" "$WORK/err" || { echo "no remedy like $remedy"; return 1; }
    [ ! -s "$WORK/out" ] || { echo "printed something"; return 1; }
    [ ! -e "$SOCK" ] || { echo "left its socket"; return 1; }
    [ -z "$(ls -A "$POOL")" ] || { echo "left something in the pool"; return 1; }
}

# The same with a good pool and socket, one volume SPEC.
base() { # THING REMEDY SPEC
    refused "$1" "$2" --volume "xvda=$3" --pool "dir:$POOL" --nbd "$SOCK"
}

pool() { # THING REMEDY POOL
    refused "$1" "$2" --volume "xvda=cow:$BASE" --pool "$3" --nbd "$SOCK"
}

limit() { # THING REMEDY POOL OPTION...
    local thing=$1 remedy=$2 where=$3
    shift 3
    refused "$thing" "$remedy" --volume "xvda=cow:$BASE" --pool "$where" --nbd "$SOCK" "$@"
}

open_for_writing() {
    exec 9>>"$BASE"
    base "base $BASE: open for writing" "close" "cow:$BASE"
    exec 9>&-
}

mounted_read_write() { # by a loop device over the file
    base "base $WORK/fs.img: open for writing" "close" "cow:$WORK/fs.img"
}

loop_device_mounted() {
    base "base $LOOP: mounted read-write" "unmount" "cow:$LOOP"
}

locked() {
    exec 9<"$BASE"
    flock -x 9
    base "base $BASE: locked" "stop" "cow:$BASE"
    exec 9>&-
}

socket_in_use() {
    serve --volume xvda=blank:1M
    local rc=0
    timeout 10 "$EPHEM" serve --volume xvda=blank:1M --pool "dir:$POOL" --nbd "$SOCK" \
        >"$WORK/out" 2>"$WORK/err" || rc=$?
    cat "$WORK/err"
    [ "$rc" -gt 0 ] && [ "$(wc -l <"$WORK/err")" -eq 1 ] && grep -q "$SOCK" "$WORK/err"
    nbdinfo --size "$(uri)" # the first one lives
    serve_end
}

as_nobody() {
    AS=(setpriv "--reuid=$NOBODY" "--regid=$NOBODY" --clear-groups --)
    chmod 755 "$WORK"
    cp "$EPHEM" "$WORK/blkback-ephem"
    chmod 755 "$WORK/blkback-ephem"
    EPHEM=$WORK/blkback-ephem
}

not_readable() {
    as_nobody
    chmod 600 "$WORK/secret"
    base "base $WORK/secret: not readable" "permission" "cow:$WORK/secret"
}

# Whether somebody writes another's file cannot be found out, unless nobody may
not_checkable() {
    as_nobody
    chmod u+w "$BASE"
    base "base $BASE: cannot be checked" "chmod a-w" "cow:$BASE"
}

not_writable() {
    as_nobody
    chmod a-w "$BASE"
    pool "pool dir:$POOL: not writable" "permissions|another directory" "dir:$POOL"
}

low_memlock() {
    as_nobody
    chmod 777 "$POOL" "$WORK"
    chmod a-w "$BASE"
    AS=(prlimit --memlock=65536:65536 -- "${AS[@]}")
    base "memory cannot be locked" "ulimit -l" "cow:$BASE"
}

truncate -s 0 "$WORK/empty"
truncate -s 1000 "$WORK/odd"
truncate -s 1M "$WORK/secret"

try "base missing" base "base $WORK/nosuch: " "check the path" "cow:$WORK/nosuch"
try "base under a file" base "base $BASE/x: " "check the path" "cow:$BASE/x"
try "base is a directory" base "base $WORK: a directory" "name a file" "cow:$WORK"
try "base is a device of no blocks" base "base /dev/null: neither" "file" "cow:/dev/null"
try "base empty" base "base $WORK/empty: empty" "blank:SIZE" "cow:$WORK/empty"
try "base not a multiple of 512" base "base $WORK/odd: .*1000 bytes" "truncate|pad" "cow:$WORK/odd"
try "base path relative" base "not an absolute path" "write" "cow:some/where"
try "base path of 5000 characters" base "path too long" "." "cow:/$(printf 'x%.0s' {1..5000})"
try "base open for writing" open_for_writing
try "base locked by another process" locked
for size in "" 0 -1 1.5G 1g 513 99999999999999999999999 18446744073709551615T 0x10 " 1G" "1G "; do
    try "blank size \"$size\"" base "blank:$size: not a size" "write" "blank:$size"
done
try "size= no size" base "size=12x: not a size" "write" "cow:$BASE,size=12x"
try "a volume of more than 16 TiB" base "xvda: .*too large" "at most" "blank:17T"
try "a kind of volume that does not exist" base "xvda" "write" "raw:$BASE"
try "volume without a name" refused "--volume" "write NAME=" --volume "=blank:1G" \
    --pool "dir:$POOL" --nbd "$SOCK"
try "volume without a spec" refused "--volume xvda" "write NAME=" --volume xvda \
    --pool "dir:$POOL" --nbd "$SOCK"
try "volume named with a slash" refused "--volume" "letters" --volume "a/b=blank:1G" \
    --pool "dir:$POOL" --nbd "$SOCK"
try "volume named twice" refused "xvda" "name of its own" --volume xvda=blank:1M \
    --volume xvda=blank:2M --pool "dir:$POOL" --nbd "$SOCK"
try "no volume" refused "--volume" "--help|needed" --pool "dir:$POOL" --nbd "$SOCK"
try "pool missing" pool "pool dir:$WORK/nosuch: " "create it" "dir:$WORK/nosuch"
try "pool is a file" pool "pool dir:$BASE: " "directory" "dir:$BASE"
try "pool of an unknown kind" pool "pool tape:/x" "write dir:" "tape:/x"
try "pool is no device" pool "pool block:$BASE: not a block device" "name one" "block:$BASE"
try "pool with an unknown flag" pool "pool block:/dev/x: 'frce'" "write block:" "block:/dev/x,frce"
try "pool is shared" pool "pool block:/dev/x: shared" "leave ,shared away" "block:/dev/x,shared"
try "pool of too little memory" pool "pool ram:7M" "from 8M" "ram:7M"
try "ram-budget of a pool in memory" limit "--ram-budget: a ram: pool" "write 0" ram:64M \
    --ram-budget 8M
try "quota of a pool in memory" limit "--quota: a ram: pool" "write 0" ram:64M --quota 8M
try "low water above the quota" limit "--low-water: not below the quota" "write less" "dir:$POOL" \
    --quota 1G --low-water 1G
while read -r option value remedy; do
    try "--$option \"$value\"" limit "--$option '$value'" "$remedy" "dir:$POOL" "--$option" "$value"
done <<END
ram-budget 4M from 8M
quota 17T to 16T
quota 1g such|from 8M
low-water much up to
iops 1.5 requests a second
iops -1 requests a second
bandwidth 100 from 4K
integrity maybe on or off
END
try "socket path too long" refused "path too long" "at most" --volume xvda=blank:1M \
    --pool "dir:$POOL" --nbd "/$(printf 'x%.0s' {1..200})"
try "socket in a missing directory" refused "$WORK/nosuch/s: " "choose" --volume xvda=blank:1M \
    --pool "dir:$POOL" --nbd "$WORK/nosuch/s"
try "socket in use" socket_in_use
try "threads: none" refused "threads" "1 to" --volume xvda=blank:1M --pool "dir:$POOL" \
    --nbd "$SOCK" --threads 0

if is_root; then
    try "base not readable" not_readable
    try "pool not writable" not_writable
    try "low memlock limit" low_memlock
    try "base that cannot be checked for writers" not_checkable
    try "pool on a file system without O_TMPFILE" pool "pool dir:/proc: .*O_TMPFILE" "choose" \
        "dir:/proc"
else
    for name in "base not readable" "base that cannot be checked for writers" \
        "pool not writable" "low memlock limit" "pool on a file system without O_TMPFILE"; do
        skip "$name" "needs root"
    done
fi

mkdir "$WORK/ramfs" "$WORK/mnt"
if is_root && mount -t ramfs none "$WORK/ramfs" 2>/dev/null; then
    UNDO+=("umount -l '$WORK/ramfs'")
    cp "$BASE" "$WORK/ramfs/base"
    try "base on a file system without O_DIRECT" base "base $WORK/ramfs/base: .*O_DIRECT" \
        "move it" "cow:$WORK/ramfs/base"
    try "pool on a file system without O_DIRECT" pool "pool dir:$WORK/ramfs: .*(O_DIRECT|O_TMPFILE)" \
        "choose" "dir:$WORK/ramfs"
else
    skip "base and pool on a file system without O_DIRECT" "cannot mount a ramfs here"
fi

truncate -s 16M "$WORK/fs.img"
mkfs.ext4 -q "$WORK/fs.img" 2>/dev/null || true
if is_root && LOOP=$(losetup -f --show "$WORK/fs.img" 2>/dev/null); then
    UNDO+=("losetup -d '$LOOP'")
    try "base under a writable loop device" mounted_read_write
    if mount -t ext4 "$LOOP" "$WORK/mnt" 2>/dev/null; then
        UNDO+=("umount -l '$WORK/mnt'")
        try "base mounted read-write" mounted_read_write
        try "base is a device mounted read-write" loop_device_mounted
    else
        skip "base mounted read-write" "cannot mount a loop device here"
    fi
else
    skip "base mounted read-write" "no loop devices here"
fi
