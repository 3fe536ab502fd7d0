#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# coverage.sh BUILD - what a guest's requests and keys pass through is reached by unit tests: of each file
# named below at least LEAST per cent of the lines, and every branch, both ways.
#
# BUILD/unit was built with gcc --coverage.  Only the suites of these files are run: what other
# tests reach by chance does not count.  Prints a table, and each branch never taken with its line;
# branch N is gcov's number.  The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit 1
B=${1:-build-coverage}
LEAST=95
files="blkback-ephem/ring blkback-ephem/request blkback-ephem/pump blkback-ephem/queue blkback-ephem/overlay
       xenstore-glue/xenbus xenstore-glue/keys"
suites="ring ring_judge request pump pump_faults pump_short overlay xenbus keys"
passed=0 failed=0

# Branches that cannot be taken, as "file|text of the line|why".  An entry that excuses nothing fails.
excused() {
    cat <<'END'
END
}

verdict() {
    if [ "$1" = 0 ]; then
        echo "ok coverage/$2"
        passed=$((passed + 1))
    else
        echo "not ok coverage/$2"
        failed=$((failed + 1))
    fi
}

# gcov's text of FILE.c -> "line NUMBER reached|missed" and "branch NUMBER WHICH taken|never TEXT".
# Branches by which a call throws are the compiler's.
figures() {
    gcov -b -c -t "$B/obj/$1.gcda" 2>/dev/null | awk -v source="$1.c" '
        /^ *-: *0:Source:/ { ours = $0 ~ "Source:" source "$"; next }
        !ours { next }
        /^branch/ && !/\(throw\)/ {
            print "branch", number, $2, (/taken [1-9]/ ? "taken" : "never"), text
            next
        }
        /^ *[-#=0-9]+\*?: *[0-9]+:/ {
            text = $0
            sub(/^[^:]*:[^:]*: */, "", text)
            number = $0
            sub(/^[^:]*: */, "", number)
            sub(/:.*/, "", number)
            count = $1
            sub(/:.*/, "", count)
            if (count != "-")
                print "line", number, (count ~ /^[1-9]/ ? "reached" : "missed")
        }'
}

# Branches never taken and not excused; notes which excuses were needed.
unreached() {
    local kind number which state text excuse
    while read -r kind number which state text; do
        [ "$kind $state" = "branch never" ] || continue
        excuse=$(excused | grep -nF "$1.c|$text|" | cut -d: -f1 | head -n 1)
        if [ -n "$excuse" ]; then
            echo "$excuse" >>"$scratch/needed"
        else
            echo "    $1.c:$number: branch $which is never taken: $text"
        fi
    done <"$scratch/figures"
}

measure() {
    local lines reached branches taken
    figures "$1" >"$scratch/figures"
    lines=$(grep -c '^line' "$scratch/figures")
    reached=$(grep -c '^line .* reached$' "$scratch/figures")
    branches=$(grep -c '^branch' "$scratch/figures")
    taken=$(grep -cE '^branch [0-9]+ [0-9]+ taken' "$scratch/figures")
    unreached "$1" >"$scratch/never"
    awk -v f="$1.c" -v l="$lines" -v r="$reached" -v b="$branches" -v t="$taken" 'BEGIN {
        printf "%-26s lines %3d of %3d (%5.1f %%), branches %3d of %3d\n", f, r, l, l ? 100 * r / l : 0, t, b }'
    cat "$scratch/never"
    [ "$lines" -gt 0 ] && [ $((reached * 100)) -ge $((lines * LEAST)) ]
    verdict $? "$1-lines"
    [ "$branches" -gt 0 ] && [ ! -s "$scratch/never" ]
    verdict $? "$1-branches"
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
touch "$scratch/needed"

find "$B" -name '*.gcda' -delete
# shellcheck disable=SC2086 # a list
"$B/unit" $suites >"$scratch/unit" 2>&1
status=$?
[ $status = 0 ] || cat "$scratch/unit"
verdict $status "tests"
for file in $files; do measure "$file"; done

n=0 stale=0
while IFS= read -r excuse; do
    n=$((n + 1))
    grep -qx "$n" "$scratch/needed" && continue
    echo "    excuses nothing: $excuse"
    stale=1
done < <(excused)
verdict $stale excuses

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
