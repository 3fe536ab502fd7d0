#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lint.sh: what the compiler does not look at: who includes whom, formatting, sizes, licence lines,
# shell, Python.  One line a finding, "file:line: what"; the exit status is 1 when there was any.
# Looks at what git tracks or would track.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

findings=$(mktemp) || exit 2
trap 'rm -f "$findings"' EXIT

found()
{
    echo "$*" >>"$findings"
}

need()
{
    command -v "$1" >/dev/null || { echo "lint: $1 is missing: run make deps" >&2; exit 2; }
}
need clang-format
need shellcheck
need pyflakes3
need pycodestyle
need git

# Files git knows or would add, by pattern, that are there.
files()
{
    git ls-files -co --exclude-standard -- "$@" | while IFS= read -r f; do
        [ -f "$f" ] && [ ! -L "$f" ] && echo "$f"
    done
}
mapfile -t c < <(files '*.c' '*.h')
mapfile -t scripts < <(files '*.sh'; files | grep -v '\.sh$' | while IFS= read -r f; do
    head -c 64 "$f" | head -n 1 | grep -qaE '^#!.*\b(ba|da)?sh\b' && echo "$f"; done)
mapfile -t python < <(files '*.py' dom0-tools/qubes/qvm-ephemeral)

# --- includes: who may use which library ---------------------------------------------------------
# only PATTERN-OF-HEADERS PATTERN-OF-FILES-THAT-MAY
only()
{
    local line
    while IFS= read -r line; do
        found "$line: only for ${2//|/, }"
    done < <(grep -nHE "^ *# *include *<($1)" -- "${c[@]}" | grep -vE "^($2):" | cut -d: -f1,2,3-)
}
only 'openssl/' 'blkback-ephem/(cipher|key|seal|secret)\.c|tests/.*|bench/.*'
only 'libaio\.h' 'blkback-ephem/aio\.c|tests/.*|bench/.*'
only 'xengnttab' 'blkback-ephem/hv\.c|tests/.*|bench/.*'
only 'xen' 'blkback-ephem/(hv|syscalls)\.c|xenstore-glue/(xs|evtchn)\.[ch]|dom0-tools/(block-ephem|guard_xen)\.c|tests/.*|bench/.*'
only 'xenctrl' 'dom0-tools/guard_xen\.c|bench/xen_watch\.c|tests/.*'
only 'lz4\.h' 'blkback-ephem/press\.c|tests/.*'
only 'seccomp\.h' 'blkback-ephem/syscalls\.c|tests/.*'
only 'blkid/' 'common/store_signature\.c|tests/.*'
only 'ini\.h' 'xenstore-glue/rules\.c|tests/.*'
only 'jansson\.h' 'xenstore-glue/.*|dom0-tools/.*|tests/.*'

# --- includes: arrows between our own headers ----------------------------------------------------
# A module (a file's name without ending; * at the end for a family) and the modules it may include
# besides itself and common/.  Downward only; what is not listed may include nothing.
arrows='
main            guest serve sandbox secret
guest*          guest* door engine iothread mailbox nbd pool pool_extents pump sandbox volume
serve           engine lane limit mailbox nbd sandbox volume
door            engine iothread mailbox pump volume
engine          arena cipher hv iothread key lane limit pool pump seal secret undertaker
nbd*            nbd* arena iothread limit mailbox volume
pump            request hv limit ring volume
queue           pump request hv limit ring volume
request         pump arena iothread hv limit ring volume
volume*         volume* lane overlay pool iothread aio arena mailbox
lane*           lane* sweep volume aio cipher pool iothread press seal slots
sweep           lane* pool press
press           arena
overlay         index
pool*           pool* backing index pack slots
keeper          pool_state
tier            pool_state
pack            slots
slots           extent
extent          slots
index           node
node            index
seal            cipher key secret
cipher          key secret
key             secret
secret          memfile
arena           memfile
undertaker      memfile syscalls
sandbox         syscalls
iothread        aio arena mailbox
'
pure=' index node slots extent overlay ring cipher seal '
pure_system='errno|limits|stdbool|stddef|stdint|stdlib|string|openssl/.*'

our_headers()
{
    grep -nE '^ *# *include *"' "$1" | sed -E 's/^([0-9]+):.*"([^"]*)".*/\1 \2/'
}

may_include()
{
    local from=$1 to=$2
    [ "$from" = "$to" ] && return 0
    awk -v from="$from" -v to="$to" '
        function fits(pattern, name) {
            if (pattern ~ /\*$/)
                return index(name, substr(pattern, 1, length(pattern) - 1)) == 1
            return pattern == name
        }
        NF && fits($1, from) { for (i = 2; i <= NF; i++) if (fits($i, to)) ok = 1 }
        END { exit !ok }' <<<"$arrows"
}

for f in "${c[@]}"; do
    dir=${f%/*} module=$(basename "${f%.*}")
    while read -r line header; do
        to=${header%.h}
        case $dir in
        common)
            [ -f "common/$header" ] || found "$f:$line: common includes $header, which is not common"
            ;;
        blkback-ephem)
            if [ -f "common/$header" ]; then
                [[ $pure != *" $module "* || $to = util ]] ||
                    found "$f:$line: $module is pure and includes $header"
            elif [ ! -f "blkback-ephem/$header" ]; then
                found "$f:$line: the data plane includes $header, which is not its own"
            elif ! may_include "$module" "$to"; then
                found "$f:$line: $module must not include $to (the arrows are in tests/lint.sh)"
            fi
            ;;
        dom0-tools)
            # The hotplug helper, audit, scan and the guard speak xenstore, through the one module that may;
            # enable and disable read the operator's files as the daemon does.
            [[ -f common/$header || -f dom0-tools/$header ]] ||
                [[ " block-ephem cmd_audit cmd_scan audit_disks audit_given disk_find plug storage cmd_stubdom stubdom_find stubdom_pairs stubdom_show " = *" $module "* && " paths.h xs.h " = *" $header "* ]] ||
                [[ $module = plug && $header = frontend.h ]] ||
                [[ $module = stubdom_pairs && $header = stubdom.h ]] ||
                [[ $module =~ ^(own_rules|stubdom_rules)$ && $header = rules.h ]] ||
                [[ $module = guard* && " paths.h rules.h stubdom.h xs.h " = *" $header "* ]] ||
                found "$f:$line: dom0-tools includes $header, which is not its own"
            ;;
        xenstore-glue)
            [ -f "common/$header" ] || [ -f "$dir/$header" ] ||
                found "$f:$line: the control plane includes $header, which is not its own"
            ;;
        esac
    done < <(our_headers "$f")
    if [ "$dir" = blkback-ephem ] && [[ $pure = *" $module "* ]]; then
        while IFS=: read -r line _; do
            found "$f:$line: $module is pure and includes a header of the system"
        done < <(grep -nE '^ *# *include *<' "$f" | grep -vE "<($pure_system)(\.h)?>")
    fi
    if [ "$dir" = common ]; then
        while IFS=: read -r line _; do
            found "$f:$line: common includes more than libc"
        done < <(grep -nE '^ *# *include *<(xen|openssl|libaio|jansson|CUnit)' "$f")
    fi
done

# --- sizes -----------------------------------------------------------------------------------------
for f in "${c[@]}" "${python[@]}"; do
    n=$(wc -l <"$f")
    [ "$n" -le 400 ] || found "$f:$n: longer than 400 lines: split it along a data structure"
done
# A function's body is what stands between braces in the first column.
awk 'FNR == 1 { start = 0 }
     /^{/ { start = FNR }
     /^}/ && start { if (FNR - start - 1 > 50)
                         printf "%s:%d: a function of %d lines: at most 50\n", FILENAME, start,
                                FNR - start - 1
                     start = 0 }' "${c[@]}" >>"$findings"

# --- the Qubes extension: qubesd's modules are not for the tool -----------------------------------
for f in dom0-tools/qubes/qubes_ephemeral/*.py; do
    case $f in
    */extension.py) ;;
    *) grep -nHE '^ *(import|from) qubes(\.|$| )' "$f" | cut -d: -f1,2 |
        sed 's/$/: only extension.py may import modules of qubesd/' >>"$findings" ;;
    esac
done

# --- formatting, licence, leftovers, shell, Python ---------------------------------------------------------
clang-format --dry-run -Werror "${c[@]}" 2>&1 |
    sed -nE 's/^([^: ]+):([0-9]+):[0-9]+: error: .*/\1:\2: not formatted: run make format/p' |
    sort -t: -u -k1,1 >>"$findings"

mapfile -t sources < <(files '*.c' '*.h' '*.sh' '*.mk' '*.py' '*.pl' Makefile; printf '%s\n' "${scripts[@]}" "${python[@]}")
mapfile -t sources < <(printf '%s\n' "${sources[@]}" | sort -u)
for f in "${sources[@]}"; do
    [ -n "$f" ] || continue
    head -n 2 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' ||
        found "$f:1: no SPDX-License-Identifier: GPL-2.0-or-later"
    case $f in
    *.c) [ "$(head -n 1 "$f")" = '// SPDX-License-Identifier: GPL-2.0-or-later' ] ||
        found "$f:1: the first line is not // SPDX-..." ;;
    *.h) [ "$(head -n 1 "$f")" = '/* SPDX-License-Identifier: GPL-2.0-or-later */' ] ||
        found "$f:1: the first line is not /* SPDX-... */" ;;
    esac
done
leftover='TO''DO|FIX''ME|X''XX'
{
    grep -nHE "\\b($leftover)\\b" -- "${sources[@]}" | cut -d: -f1,2 | sed 's/$/: a leftover: do it or drop it/'
    # Of a merge, in anything we wrote
    git grep -nE '^(<{7}|>{7}) ' | cut -d: -f1,2 | sed 's/$/: a conflict that nobody settled/'
} >>"$findings"

# SC1091: sourced files are looked at themselves; SC2119, SC2120: functions of theirs.
# E203, W503, W504: where blanks stand in slices, and operators at line breaks, is a matter of taste.
{
    shellcheck -f gcc -e SC1091,SC2119,SC2120 -- "${scripts[@]}"
    pycodestyle --max-line-length=100 --ignore=E203,W503,W504 -- "${python[@]}"
    pyflakes3 "${python[@]}"
} >>"$findings" 2>&1

sort -t: -k1,1 -k2,2n "$findings"
n=$(wc -l <"$findings")
echo "lint: ${#c[@]} C files, ${#scripts[@]} scripts, ${#python[@]} of Python, $n findings"
[ "$n" -eq 0 ]
