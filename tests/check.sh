#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh BUILD_DIR [TEST...]: the unit tests, the stand-ins' own test and the tests of the product
# on the stand-ins, all against the programs in BUILD_DIR. Each test prints "ok NAME", "not ok NAME"
# with the words that explain it, or "skip NAME: WHY"; the last line is "N passed, N failed" over
# all of them. Exit 1 if anything failed. TEST is a name such as unit, ring or life; default: all.
#
# Tests share nothing and wait a lot, so two run at a time (CHECK_JOBS); what one prints appears
# when it ends. A test that ends without its own last line, or not within CHECK_TIMEOUT seconds,
# counts as one failure.
set -u

here=$(cd "$(dirname "$0")" && pwd)

# Runs one test; leaves $CHECK_DIR/NAME with its output and NAME.status.
one() {
    began=$(date +%s)
    command=$here/sim/test_$1.sh
    [ "$1" != unit ] || command=$B/unit
    timeout -k 10 "${CHECK_TIMEOUT:-900}" "$command" >"$CHECK_DIR/$1" 2>&1 </dev/null
    status=$?
    figures=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$CHECK_DIR/$1")
    {
        flock 9
        echo "== $1, $(($(date +%s) - began)) s"
        if [ "$1" = unit ] && [ $status = 0 ]; then
            echo "ok ${figures% *} unit tests"
        else
            sed '/^[0-9]* passed, [0-9]* failed$/d' "$CHECK_DIR/$1"
        fi
        if [ -z "$figures" ] || { [ $status != 0 ] && [ "${figures#* }" = 0 ]; }; then
            echo "not ok $1: ended with status $status"
            figures="$((${figures% *} + 0)) 1"
        fi
        echo "$figures" >"$CHECK_DIR/$1.figures"
    } 9>"$CHECK_DIR/lock"
}

if [ "${1-}" = --one ]; then
    one "$2"
    exit 0
fi

B=$(cd "${1:?usage: tests/check.sh BUILD_DIR [TEST...]}" && pwd) || exit 2
shift
CHECK_DIR=$(mktemp -d)
export B CHECK_DIR
trap 'rm -rf "$CHECK_DIR"' EXIT
trap 'exit 130' INT TERM

# 1024 clients of the daemon are tried.
# shellcheck disable=SC3045 # dash and bash have it
limit=$(ulimit -Hn)
# shellcheck disable=SC3045
[ "$limit" = unlimited ] || [ "$(ulimit -n)" -ge "$limit" ] || ulimit -n "$limit"

# The longest first.
if [ $# = 0 ]; then
    set -- unit hostile life scale
    for test in "$here"/sim/test_*.sh; do
        name=${test##*/test_}
        case " $* " in
        *" ${name%.sh} "*) ;;
        *) set -- "$@" "${name%.sh}" ;;
        esac
    done
fi
for test in "$@"; do
    if [ "$test" = unit ] && [ ! -x "$B/unit" ]; then
        echo "skip unit: $B/unit is not built" >&2
    else
        echo "$test"
    fi
done | xargs -P "${CHECK_JOBS:-2}" -n 1 "$0" --one

cat "$CHECK_DIR"/*.figures /dev/null |
    awk '{ passed += $1; failed += $2 }
        END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 || !passed }'
