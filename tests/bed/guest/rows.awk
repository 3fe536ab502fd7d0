# SPDX-License-Identifier: GPL-2.0-or-later
#
# rows.awk - the rows of hostile.tbl that are played on real Xen, with -v size=short or long. Long: all that a guest can
# play. Short: those whose outcome Xen has a part in, that is, grants and pages that change under us, floods, what the ring
# page and the event channel do, states, and references and ports in xenstore that are not what they should be. The
# others are numbers to be refused before anything is done with them: tests/sim/test_hostile.sh plays them all.
BEGIN { FS = " *[|] *" }
/^#/ || /^endless/ || $5 != "both" { next }
size == "long" { print; next }
$2 ~ /^(request (7|9|10|11)|guest|XSA-)/ || $2 ~ /XSA-155/ { print; next }
$3 ~ /^(page|channel|ref-twice|readonly|padding)/ || $3 ~ /=(@ref|@port|1|4294967295)$/ { print }
