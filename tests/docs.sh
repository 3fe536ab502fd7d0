#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# docs.sh BUILD - programs, man pages and README tell the same: every option and subcommand that --help
# names is in the man page and the other way round; pages are sound mdoc; targets the README names exist.
set -u
cd "$(dirname "$0")/.." || exit 1
B=${1:-build}
passed=0 failed=0

check() {
    local name=$1
    shift
    if out=$("$@" 2>&1); then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "not ok $name"
        printf '%s\n' "$out" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

help_options() { "$B/$1" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u; }
page_options() { grep -oE 'Fl Fl [a-z][a-z-]+' "docs/$1.8" | sed 's/Fl Fl /--/' | sort -u; }
same_options() { diff <(help_options "$1") <(page_options "$1"); }
sound() { ! mandoc -T lint -W warning "docs/$1" 2>&1 | grep -vE 'referenced manual not found|unusual Xr order' | grep .; }
version() { "$B/$1" --version | grep -qE "^$1 [^ ]+$"; }

for program in blkback-ephem blkback-ephemd ephemctl block-ephem; do
    check "docs/$program-page" sound "$program.8"
    check "docs/$program-options" same_options "$program"
done
for program in blkback-ephem blkback-ephemd; do
    check "docs/$program-version" version "$program"
done
verbs() { "$B/ephemctl" --help | sed -n 's/^ *ephemctl \([a-z]*\).*/\1/p;s/^usage: ephemctl \([a-z]*\).*/\1/p;s/^  \([a-z]\{3,\}\) .*/\1/p' | sort -u; }
verbs_in_page() {
    local verb
    [ -n "$(verbs)" ] || return 1
    for verb in $(verbs); do grep -qE "^\.(It )?Cm $verb|Cm $verb" docs/ephemctl.8 || { echo "$verb is not in ephemctl.8"; return 1; }; done
}
check docs/ephemctl-subcommands verbs_in_page
# Keys of the configuration: the page's, the example's, and the program's own words.
page_keys() { sed -n 's/^\.It Ic //p' docs/blkback-ephem.conf.5 | sort; }
example_keys() { sed -n 's/^#\([a-z-]*\)=.*/\1/p' dom0-tools/blkback-ephem.conf | sort; }
program_keys() { sed -n '/rules_keys\[/,/^};/p' xenstore-glue/rules.c | grep -oE '"[a-z-]+"}' | tr -d '"}' | sort; }
same_keys() { [ -n "$(page_keys)" ] && diff <(page_keys) <(example_keys) && diff <(page_keys) <(program_keys); }
check docs/blkback-ephem.conf-page sound blkback-ephem.conf.5
check docs/blkback-ephem.conf-keys same_keys
targets() {
    local target
    # shellcheck disable=SC2013 # words
    for target in $(grep -ohE 'make [a-z-]+' README.md CONTRIBUTING.md | cut -d' ' -f2 | sort -u); do
        grep -qE "^$target:" Makefile tests/*/rules.mk || { echo "make $target is named but does not exist"; return 1; }
    done
}
check docs/targets targets

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
