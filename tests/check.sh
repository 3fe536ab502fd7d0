#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh BUILD_DIR [TEST...]: the unit tests, the stand-ins' own test and the tests of the product
# on the stand-ins, all against the programs in BUILD_DIR. Each test prints "ok NAME", "not ok NAME"
# with the words that explain it, or "skip NAME: WHY"; the last line is "N passed, N failed" over
# all of them. Exit 1 if anything failed. TEST is a name such as unit, ring or life; default: all.
#
# Tests share nothing and wait a lot, so two run at a time on each CPU (CHECK_JOBS); what one prints appears
# when it ends. A test that ends without its own last line, or not within CHECK_TIMEOUT seconds,
# counts as one failure.
#
# ThreadSanitizer has nothing to say where each program has one thread, or the threads are not what the test
# is about: those tests are left out with it, and named.
set -u

here=$(cd "$(dirname "$0")" && pwd)

# A test that counts a failure has to name it
unnamed() {
    named=$(grep -cE '^(not ok |Suite .* had failures:$)' "$CHECK_DIR/$test")
    if [ "$named" -lt "$((${figures#* } + 0))" ]; then
        echo "not ok $test: $((${figures#* } - named)) failed without a word; it ended with:"
        tail -n 15 "$CHECK_DIR/$test" | sed 's/^/    /'
    fi
}

# Runs one test; leaves $CHECK_DIR/NAME with its output and NAME.status.
one() {
    test=$1
    began=$(date +%s)
    case $test in
    unit) set -- "$B/unit" ;;
    unit[0-2]) set -- env "UNIT_PART=${test#unit}/3" "$B/unit" ;;
    *) set -- "$here/sim/test_$test.sh" ;;
    esac
    timeout -k 10 "${CHECK_TIMEOUT:-900}" "$@" >"$CHECK_DIR/$test" 2>&1 </dev/null
    status=$?
    figures=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$CHECK_DIR/$test")
    {
        flock 9
        echo "== $test, $(($(date +%s) - began)) s"
        if [ "${test#unit}" != "$test" ] && [ $status = 0 ]; then
            echo "ok ${figures% *} unit tests"
        else
            sed '/^[0-9]* passed, [0-9]* failed$/d
                s/^Suite \(.*\), Test \(.*\) had failures:$/not ok unit \1: \2/' "$CHECK_DIR/$test"
        fi
        unnamed
        if [ -z "$figures" ] || { [ $status != 0 ] && [ "${figures#* }" = 0 ]; }; then
            echo "not ok $test: ended with status $status"
            figures="$((${figures% *} + 0)) 1"
        fi
        echo "$figures" >"$CHECK_DIR/$test.figures"
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

of_one_thread=
if grep -aq __tsan_init "$B/blkback-ephem"; then
    of_one_thread="attach audit convert extents fakexen guard limits look memscan qubes scan selftest xenstored"
fi

# The short form: the same tests run whole with AddressSanitizer, to which their time does not matter
elsewhere=
if [ -n "${CHECK_SHORT:-}" ]; then
    elsewhere="attach audit bad_input detach driver emulated extents grow guard hostile hvm takeover xenstored"
    [ -z "$of_one_thread" ] || elsewhere="bad_input detach driver hvm storage stubdom"
fi

# The longest first.
if [ $# = 0 ]; then
    for name in $of_one_thread; do echo "skip $name: it has no threads to watch"; done
    for name in $elsewhere; do echo "skip $name: CHECK_SHORT is set, and check SANITIZE=address has it"; done
    set -- unit0 unit1 unit2
    for test in hostile emulated takeover detach hvm guard audit extents xenstored life scale "$here"/sim/test_*.sh; do
        name=${test##*/test_}
        case " $* $of_one_thread $elsewhere " in
        *" ${name%.sh} "*) ;;
        *) set -- "$@" "${name%.sh}" ;;
        esac
    done
fi
for test in "$@"; do
    if [ "${test#unit}" != "$test" ] && [ ! -x "$B/unit" ]; then
        echo "skip $test: $B/unit is not built" >&2
    else
        echo "$test"
    fi
done | xargs -P "${CHECK_JOBS:-$(($(nproc) * 2))}" -n 1 "$0" --one

cat "$CHECK_DIR"/*.figures /dev/null |
    awk '{ passed += $1; failed += $2 }
        END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 || !passed }'
