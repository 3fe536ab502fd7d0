#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How verdicts reach people: from a bed's console that mixes lines and is read while it is written (tests/bed/results.sh),
# from a test to check.sh, and from a suite's log to the end of `make test` (tests/failed.sh).
# shellcheck disable=SC2030,SC2031,SC2034,SC2317,SC2329 # what results.sh takes from bed.sh
set -u

here=$(dirname "$(readlink -f "$0")")
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT

VERDICT=$run/last
# shellcheck source=tests/sim/verdict.sh
. "$here/verdict.sh"

# ---- a bed ----

# bed LINE...: what bed.sh makes of that console, and of the archive in kept_lines; prints as it does, and its sum
bed() (
    passed=0 failed=0 started=0 shown=0
    CASES="one two"
    say() { echo "bed: $*"; }
    pass() { passed=$((passed + 1)); echo "pass $1"; }
    fail() { failed=$((failed + 1)); echo "FAIL $*"; }
    # shellcheck source=tests/bed/results.sh
    . "$here/../bed/results.sh"
    : >"$run/serial.log"
    for piece in "$@"; do
        printf '%b' "$piece" >>"$run/serial.log"
        while read -r line; do
            shown=$((shown + 1))
            arrives "$line" || say "other: $line"
        done < <(bed_lines | tail -n "+$((shown + 1))")
    done
    rm -rf "$run/logs"
    mkdir -p "$run/logs/bed"
    [ -z "$kept_lines" ] || printf '%b' "$kept_lines" >"$run/logs/bed/results"
    [ -z "$kept_lines" ] || wc -l <"$run/logs/bed/results" >"$run/logs/bed/end"
    check_complete
    reported | sed 's/^/reported /'
    echo "$passed passed, $failed failed"
)
kept_lines='pass one/a\npass one/b\ndone one 1 s\nfail two/c why\nabsent two seed\ndone two 2 s\n'
whole='BED: 1 pass one/a\r\nBED: 2 pass one/b\r\nBED: 3 done one 1 s\r\nBED: 4 fail two/c why\r\nBED: 5 absent two seed\r\n'
whole="$whole"'BED: 6 done two 2 s\r\nBED: end 6\r\n'

# gives SUM LINES WORDS PIECE...: the sum, how many lines the host has at its end, and a line there must be
gives() {
    local sum=$1 lines=$2 words=$3
    shift 3
    bed "$@" | tee "$run/bed"
    [ "$(tail -n 1 "$run/bed")" = "$sum" ] && [ "$(grep -c '^reported ' "$run/bed")" = "$lines" ] &&
        { [ -z "$words" ] || grep -qxF "$words" "$run/bed"; }
}
without_archive() { (kept_lines='' && gives "$@"); }
of_pieces() {
    local pieces=() text at
    text=$(printf '%b' "$whole")
    for ((at = 0; at < ${#text}; at += 7)); do pieces+=("${text:at:7}"); done
    without_archive '2 passed, 1 failed' 6 'FAIL two/c why' "${pieces[@]}" "\n"
}

check "a bed's lines as they are" gives '2 passed, 1 failed' 6 'FAIL two/c why' "$whole"
check "and without the archive" without_archive '2 passed, 1 failed' 6 'FAIL two/c why' "$whole"
check "read while they are being written" of_pieces
check "behind a message of Xen's" gives '2 passed, 1 failed' 6 'pass one/b' "${whole/BED: 2/(XEN) words BED: 2}"
check "with one in the middle of a number" gives '2 passed, 1 failed' 6 'pass one/b' "${whole/BED: 2 /BED: (d5) SeaBIOS\n2 }"
check "and in the middle of a name: once" gives '2 passed, 1 failed' 6 'reported pass one/b' "${whole/pass one\/b/pass one\/(d5) x\nb}"
again='BED: 2 pass one/b\nBED: 3'
check "a line that comes twice" without_archive '2 passed, 1 failed' 6 'pass one/b' "${whole/BED: 3/$again}"
check "a failure that is lost is a failure" gives '2 passed, 1 failed' 6 'FAIL two/c why' "${whole/BED: 4/BED(XEN) x\n: 4}"
check "a question that is lost is asked" gives '2 passed, 1 failed' 6 'reported absent two seed' "${whole/BED: 5/BE}"
check "an end that is lost" gives '2 passed, 1 failed' 6 '' "${whole/BED: end 6/BED: e}"
check "a case's end that is lost" gives '2 passed, 1 failed' 6 '' "${whole/BED: 6 done/BED: 6 }"
check "lost in both: a failure" without_archive '1 passed, 2 failed' 5 'FAIL host/results dom0 counted 6, 5 arrived' "${whole/BED: 2/BE}"
check "no end in either, too" without_archive '2 passed, 2 failed' 6 'FAIL host/results dom0 counted nothing, 6 arrived' "${whole/BED: end 6/}"
check "a case that did not end" without_archive '2 passed, 3 failed' 5 'FAIL two/complete the machine stopped before it ended' "${whole/BED: 6 done two 2 s/}"

# ---- check.sh ----

# counted OUTPUT STATUS WORDS SUM: check.sh on a test that prints so and ends so
mkdir -p "$run/tests/sim" "$run/b"
: >"$run/b/blkback-ephem"
cp "$here/../check.sh" "$run/tests"
counted() {
    printf '#!/bin/sh\nprintf "%%b" "%s"\nexit %s\n' "$1" "$2" >"$run/tests/sim/test_one.sh"
    printf '#!/bin/sh\nprintf "%%b" "%s"\nexit %s\n' "$1" "$2" >"$run/b/unit"
    chmod +x "$run/tests/sim/test_one.sh" "$run/b/unit"
    "$run/tests/check.sh" "$run/b" "${5:-one}" >"$run/check" 2>&1
    cat "$run/check"
    grep -qx "$3" "$run/check" && [ "$(tail -n 1 "$run/check")" = "$4" ]
}
check "a test that fails" counted 'ok a\nnot ok b\n    words\n1 passed, 1 failed\n' 1 'not ok b' '1 passed, 1 failed'
check "one that does not say in what" counted 'ok a\nwords\n1 passed, 1 failed\n' 1 'not ok one: 1 failed without a word; .*' '1 passed, 1 failed'
has_words() { grep -qx '    words' "$run/check"; }
check "its words are there" has_words
check "one that breaks off" counted 'ok a\nwords\n' 3 'not ok one: ended with status 3' '0 passed, 1 failed'
check "one of the unit tests" counted 'Suite s, Test t had failures:\n    1. words\n387 passed, 1 failed\n' 1 \
    'not ok unit s: t' '387 passed, 1 failed' unit

# ---- the end of make test ----

# shellcheck source=tests/failed.sh
. "$here/../failed.sh"
ends() { # LOG STATUS WORDS
    printf '%b' "$1" >"$run/log"
    failed_of suite "$run/log" "$2" >"$run/ends"
    cat "$run/ends"
    grep -qxF "$3" "$run/ends"
}
log='ok a\nnot ok b\n    words of b\nok c\n    other words\nFAIL case/d\n    words of d\n1 passed, 2 failed\n'
check "names what failed" ends "$log" 1 'suite: not ok b'
check "in a bed, too" ends "$log" 1 'suite: FAIL case/d'
check "with its words" ends "$log" 1 'suite:     words of d'
no_others() { ! grep 'other words' "$run/ends"; }
check "and no others" no_others
check "a suite that says nothing" ends 'make: *** Error 2\n' 2 'suite:     make: *** Error 2'
check "a sum without a name" ends 'words\n1 passed, 1 failed\n' 1 'suite:     words'
good() { ! ends 'ok a\n1 passed, 0 failed\n' 0 ''; }
check "a good one is not mentioned" good

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
