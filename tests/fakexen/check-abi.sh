#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-abi.sh FAKES: compares the symbols and version nodes that each stand-in in the folder FAKES
# exports with those of the distribution's library. One missing name would stop a program linked
# with BIND_NOW at its start.
set -eu

fakes=$1
status=0

PATH=$PATH:/usr/sbin:/sbin # ldconfig

names() {
    objdump -T "$1" | awk '$2 == "g" && $(NF - 1) ~ /^VERS_/ { print $(NF - 1), $NF }' | sort
}

for lib in libxenevtchn libxengnttab libxencall libxenforeignmemory; do
    real=$(ldconfig -p | awk -v n="$lib.so.1" '$1 == n { print $NF; exit }')
    real_names=$(names "$real")
    if [ -z "$real_names" ]; then
        echo "not ok $lib: nothing to compare with"
        status=1
    elif [ "$real_names" = "$(names "$fakes/$lib.so.1")" ]; then
        echo "ok $lib: $(echo "$real_names" | wc -l) names as in $real"
    else
        echo "not ok $lib differs from $real"
        status=1
    fi
done
exit $status
