#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who sees what: connections of one volume, servers on one base, the pool file, the next start.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

BASE=$WORK/base
head -c 16M /dev/urandom >"$BASE"
SUM=$(sha256sum "$BASE")
# The marker stands in no command line: only its seed does.
MARKER=$(printf 'seed %s' "$$" | sha512sum | cut -c1-64)
serve --volume "xvda=cow:$BASE" --volume xvdc=blank:256M

connections_agree() {
    python3 "$RAW" "$SOCK" agree
}

fill_with_marker() {
    local i
    for ((i = 0; i < 16; i++)); do echo -n "$MARKER"; done >"$WORK/kib"
    for ((i = 0; i < 16384; i++)); do cat "$WORK/kib"; done >"$WORK/marked"
    rm "$WORK/kib"
    nbdcopy "$WORK/marked" "$(uri xvdc)"
    qemu-img compare -f raw -F raw "$WORK/marked" "$(uri xvdc)"
}

only_ciphertext() {
    local file
    file=$(pool_file)
    [ -z "$(ls -A "$POOL")" ]
    [ "$(stat -Lc %b "$file")" -ge $((16 * 2048)) ]
    grep -qaF "$MARKER" "$WORK/marked"
    absent -qaF "$MARKER" "$file"
    ciphertext_only "$file" 4096
}

# ciphertext_only FILE N: at least N blocks were written, and none of them compresses; slots not in use yet are zero
ciphertext_only() {
    python3 - "$1" "$2" <<'END'
import sys, zlib
written = 0
with open(sys.argv[1], "rb") as pool:
    while block := pool.read(4096):
        if any(block):
            written += 1
            if len(zlib.compress(block, 1)) < 4080:
                sys.exit("block %d compresses" % (pool.tell() // 4096 - 1))
print(written, "blocks")
sys.exit(written < int(sys.argv[2]))
END
}

neighbours_do_not_see() {
    local sock=$SOCK
    SOCK=$WORK/sock2 POOL=$WORK/pool2
    mkdir "$POOL"
    serve --volume "xvda=cow:$BASE"
    qio xvda "write -P 0x33 0 1M" "read -P 0x33 0 1M"
    SOCK=$sock
    qemu-img compare -f raw -F raw "$BASE" "$(uri xvda)"
    SOCK=$WORK/sock2
    serve_end
}

pristine_again() {
    qio xvda "write -P 0x44 0 2M"
    serve_end
    serve --volume "xvda=cow:$BASE" --volume xvdc=blank:256M
    qemu-img compare -f raw -F raw "$BASE" "$(uri xvda)"
    qio xvdc "read -P 0 0 16M"
    serve_end
}

killed_leaves_nothing() {
    serve --volume "xvda=cow:$BASE" --volume xvdc=blank:256M
    qio xvdc "write -P 0x55 0 8M"
    kill -KILL "$PID"
    [ "$(serve_status)" = 137 ]
    [ -z "$(ls -A "$POOL")" ]
    # Its socket file is a leftover and must not keep the next one from starting.
    serve --volume "xvda=cow:$BASE"
    qemu-img compare -f raw -F raw "$BASE" "$(uri xvda)"
    serve_end
}

base_untouched() {
    [ "$(sha256sum "$BASE")" = "$SUM" ]
}

try "two connections see each other's writes" connections_agree
try "a marker fills a volume" fill_with_marker
if is_root; then
    try "the pool holds only ciphertext" only_ciphertext
else
    skip "the pool holds only ciphertext" "needs root to open /proc/PID/fd of the server"
fi
rm -f "$WORK/marked"
try "two servers on one base do not see each other's writes" neighbours_do_not_see
try "the next start is pristine" pristine_again
try "SIGKILL leaves nothing in the pool" killed_leaves_nothing
try "the base is unchanged" base_untouched
