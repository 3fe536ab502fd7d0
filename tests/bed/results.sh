# shellcheck shell=bash disable=SC2154,SC2034 # of and for bed.sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# results.sh - how verdicts reach bed.sh. Dom0's lines come over a console that Xen shares: it says something between
# two pieces of a line when it likes, and a line is read while it is still being written. So only whole lines are
# read, and what the host must know is a numbered one:
#
#   BED: N pass CASE/NAME       BED: N done CASE SECONDS     BED: N absent NAME SEED
#   BED: N fail CASE/NAME WHY                                BED: N present NAME SEED
#
# Line N of the file `results` on the logs' disk says the same. What the console has lost or garbled is taken from
# there; what is in neither is a failure, for dom0 says at its end how many there are.

declare -A arrived=()

# Everything the machine says to us, as it comes; a Xen message may stand before it on the line
bed_lines() { { tr -d '\r' <"$run/serial.log"; echo; } | sed '$d' | grep -ao 'BED[:|] .*' || true; }

# arrives LINE: true if that is a numbered one; a verdict counts once
arrives() {
	[[ $1 =~ ^"BED: "([0-9]+)" "(pass|fail|done|absent|present)" "(.+)$ ]] || return 1
	[ -z "${arrived[${BASH_REMATCH[1]}]:-}" ] || return 0
	arrived[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
	case ${BASH_REMATCH[2]} in
	pass) pass "${BASH_REMATCH[3]}" ;;
	fail) fail "${BASH_REMATCH[3]}" ;;
	done) say "done ${BASH_REMATCH[3]} [$((SECONDS - started)) s]" ;;
	esac
}

kept() { awk '{ print "BED: " NR " " $0 }' "$run/logs/bed/results" 2>/dev/null || true; }

# All numbered lines without their numbers, as the disk has them if it does
reported() {
	{ kept; bed_lines; } | awk '/^BED: [0-9]+ / && !seen[$2]++ { sub(/^BED: [0-9]+ /, ""); print }'
}

# What the console has lost, when the machine is off
take_lost() {
	local line n
	while read -r line; do
		n=${line#BED: }
		n=${n%% *}
		if [ -z "${arrived[$n]:-}" ]; then
			say "line $n was lost on the console, and is on the logs' disk"
			arrives "$line" || fail "host/results line $n of the logs' disk is no verdict"
		elif [[ $line = "BED: $n fail "* ]] && [ "${arrived[$n]}" != fail ]; then
			fail "${line#BED: * fail }"
		fi
	done < <(kept)
}

# Did every case reach its end, and did no line get lost between dom0 and here?
check_complete() {
	local c counted
	take_lost
	for c in $CASES; do
		reported | grep -q "^done $c " || fail "$c/complete the machine stopped before it ended"
	done
	counted=$(bed_lines | sed -n 's/^BED: end \([0-9]*\)$/\1/p' | tail -n 1)
	[ -n "$counted" ] || counted=$(cat "$run/logs/bed/end" 2>/dev/null || true)
	[ "$counted" = "${#arrived[@]}" ] || fail "host/results dom0 counted ${counted:-nothing}, ${#arrived[@]} arrived"
}
