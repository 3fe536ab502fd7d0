# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# failed.sh - for all.sh: what of a suite failed, from its log, for a reader who has only the end of the output.
#
#   failed_of NAME LOG STATUS   each check that failed, and the words under it; a sanitizer's first report; and the
#                               log's last lines, if the suite failed and no check in it says so
#   failed_names NAME LOG       the checks alone

failed_names() { sed -nE "s/^(not ok|FAIL) /$1: &/p" "$2" 2>/dev/null || true; }

# A verdict's words are indented. In the log of a bed those of its guests follow when the case has ended.
failed_of() {
    local name=$1 log=$2 status=$3
    awk -v name="$name" '/^(not ok|FAIL) /        { left = 20; report_lines = 0; print name ": " $0; next }
        /(WARNING|ERROR): [A-Za-z]*Sanitizer/ && !report++ { left = 40; report_lines = 1 }
        left > 0 && (report_lines || /^    /)     { left--; print name ": " $0; next }
                                                  { left = 0; report_lines = 0 }' "$log" 2>/dev/null
    if [ -z "$(failed_names "$name" "$log")" ] &&
        { [ "$status" != 0 ] || ! tail -n 1 "$log" 2>/dev/null | grep -qE '^[0-9]+ passed, 0 failed$'; }; then
        echo "$name: ended with status $status, and no check says why; its last lines:"
        tail -n 20 "$log" 2>/dev/null | sed "s/^/$name:     /"
    fi
}
