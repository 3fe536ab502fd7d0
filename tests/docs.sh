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

verbs() { "$B/ephemctl" --help | sed -n 's/^ *ephemctl \([a-z]*\).*/\1/p;s/^usage: ephemctl \([a-z]*\).*/\1/p;s/^  \([a-z]\{3,\}\) .*/\1/p' | sort -u; }
# ephemctl's are those of all its subcommands.
helps() {
    local verb
    "$B/$1" --help
    [ "$1" != ephemctl ] || for verb in $(verbs); do "$B/ephemctl" "$verb" --help; done
}
help_options() { helps "$1" | grep -oE -- '--[a-z][a-z-]+' | sort -u; }
page_options() { grep -oE 'Fl Fl [a-z][a-z-]+' "docs/$1.8" | sed 's/Fl Fl /--/' | sort -u; }
same_options() { diff <(help_options "$1") <(page_options "$1"); }
sound() { ! mandoc -T lint -W warning "docs/$1" 2>&1 | grep -vE 'referenced manual not found|unusual Xr order' | grep .; }
version() { "$B/$1" --version | grep -qE "^$1 [^ ]+$"; }

for program in blkback-ephem blkback-ephemd ephemctl block-ephem ephem-guard; do
    check "docs/$program-page" sound "$program.8"
    check "docs/$program-options" same_options "$program"
done
for program in blkback-ephem blkback-ephemd ephem-guard; do
    check "docs/$program-version" version "$program"
done
verbs_in_page() {
    local verb
    [ -n "$(verbs)" ] || return 1
    for verb in $(verbs); do grep -qE "^\.(It )?Cm $verb|Cm $verb" docs/ephemctl.8 || { echo "$verb is not in ephemctl.8"; return 1; }; done
}
check docs/ephemctl-subcommands verbs_in_page
# Verb by verb: what one has is in its own lines of the synopsis, and no other's; --help tells each in a line of its own.
verb_synopsis() {
    awk -v verb="$1" '/^\.Sh SYNOPSIS/ {on = 1} /^\.Sh DESC/ {on = 0} on && /^\.Nm/ {mine = 0}
        on && /^\.Cm/ {for (i = 2; i <= NF; i++) if ($i == verb) mine = 1} mine' docs/ephemctl.8
}
verb_options() {
    local verb help
    for verb in $(verbs); do
        help=$("$B/ephemctl" "$verb" --help)
        diff <({ sed -n '1p;2,${/^       */p;/^[^ ]/q}' <<<"$help" | grep -oE -- '--?[a-z][a-z-]*'; } | grep -vx -- '-' | sort -u) \
            <(verb_synopsis "$verb" | sed 's/Fl Fl /--/g;s/Fl /-/g' | grep -oE -- '--?[a-z][a-z-]*' | sort -u) ||
            { echo "of $verb"; return 1; }
        grep -qE '^ .*--json +[a-z]' <<<"$help" || { echo "$verb does not explain --json"; return 1; }
        verb_synopsis "$verb" | grep -q 'Fl json' || { echo "$verb has no --json in the page"; return 1; }
    done
}
check docs/ephemctl-verbs verb_options
verb_examples() {
    local verb
    for verb in convert enable scan attach top metrics audit status; do
        sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' docs/ephemctl.8 | grep -q "ephemctl $verb" ||
            { echo "$verb has no example"; return 1; }
    done
}
check docs/ephemctl-examples verb_examples
# The completion, asked as bash asks it: every command of the program's own table, and every option.
completed() { bash -c '. dom0-tools/ephemctl.bash; p=$1; shift; COMP_WORDS=(ephemctl "$@"); COMP_CWORD=$#; _ephemctl "$p"; printf "%s\n" "${COMPREPLY[@]}"' _ "$B/ephemctl" "$@"; }
table() { sed -n '/^} ctl_commands\[\] = {$/,/^};/s/^    {"\([a-z]*\)",.*/\1/p' dom0-tools/ephemctl.c | sort; }
same_completion() {
    local verb
    [ "$(table | wc -l)" -ge 10 ] && diff <(table) <(completed "" | grep -v '^--' | sort) || return 1
    for verb in $(table); do
        diff <("$B/ephemctl" "$verb" --help | grep -oE -- '--[a-z][a-z-]+' | sort -u) <(completed "$verb" -- | sort) || return 1
    done
}
check docs/ephemctl-completion same_completion
# Guests are named by those who make them.
# shellcheck disable=SC2016,SC2317 # they are for the completion, and what must not be expanded
hostile_names() {
    xenstore-list() { printf '%s\n' 0 1 2; }
    xenstore-read() { case $1 in */1/name) echo 'bank' ;; *) echo 'b$(touch${IFS}'"$work"'/expanded)' ;; esac; }
    export -f xenstore-list xenstore-read
    export work
    work=$(mktemp -d)
    local got
    got=$(completed status b | wc -l)
    unset -f xenstore-list xenstore-read
    [ "$got" = 2 ] && rmdir "$work"
}
check docs/ephemctl-completion-names hostile_names
# The Qubes front: its options and commands, from its parser.
tool_words() { PYTHONPATH=dom0-tools/qubes /usr/bin/python3 -B -c 'import sys; from qubes_ephemeral import tool
for c, p in tool._parser()._subparsers._group_actions[0].choices.items():
    print(c, *(o for a in p._actions for o in a.option_strings if o.startswith("--")), sep="\n")' | sort -u; }
tool_page() { { grep -oE 'Fl Fl [a-z]+' docs/qvm-ephemeral.1 | sed 's/Fl Fl /--/'; sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' docs/qvm-ephemeral.1; } | sort -u; }
same_tool() { diff <(tool_words) <(tool_page); }
tool_features() {
    local name
    # shellcheck disable=SC2013 # words
    for name in $(sed -n 's/^[A-Z_]* = "\(ephemeral-backend[a-z-]*\)"$/\1/p' dom0-tools/qubes/qubes_ephemeral/policy.py); do
        grep -q "^\.It Sy $name$" docs/qvm-ephemeral.1 || { echo "$name is not in qvm-ephemeral.1"; return 1; }
    done
}
check docs/qvm-ephemeral-page sound qvm-ephemeral.1
check docs/qvm-ephemeral-options same_tool
check docs/qvm-ephemeral-features tool_features
# Keys of the configuration: the page's, the example's, and the program's own words.
page_keys() { sed -n 's/^\.It Ic //p' docs/blkback-ephem.conf.5 | sort; }
example_keys() { sed -n 's/^#\([a-z-]*\)=.*/\1/p' dom0-tools/blkback-ephem.conf | sort; }
program_keys() { sed -n '/rules_keys\[/,/^};/p' xenstore-glue/rules.c | grep -oE '"[a-z-]+"}' | tr -d '"}' | sort; }
same_keys() { [ -n "$(page_keys)" ] && diff <(page_keys) <(example_keys) && diff <(page_keys) <(program_keys); }
check docs/blkback-ephem.conf-page sound blkback-ephem.conf.5
check docs/blkback-ephem.conf-keys same_keys
# The walk-through: what it tells to run exists (tests/bed/cases/operator.sh compares what is printed).
walk_commands() { tests/transcript.sh docs/operator.md | sed -n 's/^# //p' | grep -oE '^ephemctl [^|;&]*'; }
walk_through() {
    local verb option words
    [ "$(walk_commands | wc -l)" -ge 8 ] || { echo "few commands of ephemctl are shown"; return 1; }
    while read -r _ verb words; do
        table | grep -qxF -- "$verb" || { echo "there is no ephemctl $verb"; return 1; }
        # shellcheck disable=SC2013 # words
        for option in $(grep -oE -- '(^| )--?[a-z][a-z-]*' <<<"$words"); do
            "$B/ephemctl" "$verb" --help | grep -qE -- "(^| )${option}[, ]" || { echo "ephemctl $verb has no $option"; return 1; }
        done
    done < <(walk_commands)
}
# Each command of the bed's case is in it, and no other.
walk_case() {
    diff <(tests/transcript.sh docs/operator.md | sed -n 's/^# \(ephemctl\|xl\|dpkg\) /\1 /p') \
        <(sed -n 's/^ran [a-z-]* [0-9]* "\(\(ephemctl\|xl\|dpkg\) .*\)"$/\1/p' tests/bed/cases/operator.sh)
}
check docs/operator-commands walk_through
check docs/operator-case walk_case
targets() {
    local target
    # shellcheck disable=SC2013 # words
    for target in $(grep -ohE 'make [a-z-]+' README.md CONTRIBUTING.md | cut -d' ' -f2 | sort -u); do
        grep -qE "^$target:" Makefile tests/*/rules.mk bench/rules.mk blkback-ephem/*/rules.mk || { echo "make $target is named but does not exist"; return 1; }
    done
}
check docs/targets targets
# Every test that stands beside a promise or a claim, and every link to a file of ours.
check docs/named-tests perl tests/named.pl docs/compare.md docs/security.md README.md

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
