# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# bash completion of ephemctl.  Knows no command by itself: commands are those of `ephemctl --help`, options
# those of `ephemctl COMMAND --help`, and a word that the usage line calls DOMAIN is a guest's name: its toolstack's
# choice, so it is never given to compgen -W, which would expand it.

_ephemctl_commands() {
    "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p'
}

_ephemctl_options() {
    "$1" "$2" --help 2>/dev/null | grep -oE -- '(^|[^-a-z])--?[a-z][a-z-]*' | grep -oE -- '--?[a-z][a-z-]*' | sort -u
}

# The name of the word at that place (1 is the first behind the command), as the usage line has it.
_ephemctl_word() {
    "$1" "$2" --help 2>/dev/null | sed -n '1s/^usage: ephemctl [a-z]* //p' | tr ' ' '\n' | tr -d '[]' |
        grep -v '^-' | sed -n "$3p"
}

_ephemctl_domains() {
    xenstore-list /local/domain 2>/dev/null | while read -r domid; do
        [ "$domid" = 0 ] || xenstore-read "/local/domain/$domid/name" 2>/dev/null
    done
}

# As completions, those lines that begin with WORD
_ephemctl_take() {
    local line
    while IFS= read -r line; do
        [[ $line != "$1"* ]] || COMPREPLY+=("$(printf %q "$line")")
    done
}

_ephemctl() {
    local program=$1 word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} place=0 i
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_ephemctl_commands "$program") --help" -- "$word")
        return
    fi
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_ephemctl_options "$program" "$command")" -- "$word")
        return
    fi
    for ((i = 2; i <= COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || place=$((place + 1))
    done
    case $(_ephemctl_word "$program" "$command" "$place") in
    *DOMAIN*) _ephemctl_take "$word" < <(_ephemctl_domains) ;;
    VDEV) mapfile -t COMPREPLY < <(compgen -W "$(echo xvd{a..p})" -- "$word") ;;
    FILE* | TARGET) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}

complete -F _ephemctl ephemctl
