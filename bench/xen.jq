# SPDX-License-Identifier: GPL-2.0-or-later
# Of the lines of JSON that bench/xen.sh has written: a table, and one line a target, met or not.  jq -rs -f
#
# A load that was run several times counts with its median; the last column is how far its rates were apart.  CPU times are
# what is beyond those of a mark by itself.

include "figures";

def suffix(backend): backend | if index("+") then .[index("+"):] else "" end;

(map(select(.load == "idle")) | map(.dom0_ns) | median // 0) as $mark |
. as $all |
(map(select(.requests > 0)) | group_by([.backend, .load]) | map({
    backend: .[0].backend, load: .[0].load, runs: length,
    per_second: (map(.requests / .ms * 1000) | median), apart: (map(.requests / .ms * 1000) | spread),
    p50: (map(.p50_us) | median), p99: (map(.p99_us) | median),
    dom0_us: (map((.dom0_ns - $mark) / .requests / 1000) | median),
    store_us: (map(.store_ns / .requests / 1000) | median)})) as $rows |
["", "+disk", "+slow"] as $stores |
([$stores[] as $store | ["plain", "qubes", "qubes4k", "snapshot", "qcow2", "dir", "dir-off", "dir-qubes", "block", "block-off", "ram", "ram-off", "stubdom"][] | . + $store]) as $order |
["base-read", "base-sequential", "first-write", "first-sequential", "write-qd32", "read-qd32", "write-qd1", "read-qd1",
    "write-fsync", "write-sequential", "read-sequential"] as $loads |
def row(backend; load): $rows | map(select(.backend == backend and .load == load)) | first;
def ratio(backend; other; load): (row(backend; load).per_second // null) as $a | (row(other; load).per_second // null) as $b |
    if $a and $b then $a / $b else null end;
def start(backend): $all | map(select(.load == "start" and .backend == backend)) | first;

"load|backend|/s|of plain|of qubes|p50 us|p99 us|dom0 us|store us|apart",
($loads[] as $load | $order[] as $backend | row($backend; $load) | select(. != null) |
    "\($load)|\($backend)|\(.per_second | round)|\(ratio($backend; "plain" + suffix($backend); $load) | if . then fixed else "-" end)|\(
        ratio($backend; "qubes" + suffix($backend); $load) | if . then fixed else "-" end)|\(.p50 | round)|\(.p99 | round)|\(.dom0_us | fixed)|\(
        if .store_us > 0 then .store_us | fixed else "-" end)|\(.apart)"),
"start|backend|steps ms|ready ms",
($order[] as $backend | start($backend) | select(. != null) |
    "start|\($backend)|\(.steps_ns / 1e6 | round)|\(.ready_ns / 1e6 | round)"),
"",
($stores[] as $store | ["dir", "dir-qubes", "block", "ram", "stubdom"][] as $kind | ($kind + $store) as $ours | select($rows | any(.backend == $ours)) |
    ({"plain": {"write-fsync": 1.5, "first-write": 1.5, "first-sequential": 1.5, "write-qd32": 1, "write-qd1": 1,
            "write-sequential": 1, "base-read": 0.9, "base-sequential": 0.9},
      "qubes": {"write-fsync": 1.5, "first-write": 1.5, "first-sequential": 1.5, "write-qd32": 1.5, "write-qd1": 1.5,
            "write-sequential": 1.5, "base-read": 1, "base-sequential": 1, "read-qd32": 1, "read-qd1": 1, "read-sequential": 1}}
        | to_entries[]) as $other | ($other.value | to_entries[]) as $goal | "\($goal.key), \($ours) beside \($other.key + $store)" as $name |
    ratio($ours; $other.key + $store; $goal.key) | if . then verdict($name; . >= $goal.value; "\(fixed) of at least \($goal.value)") else
        "not measured  \($name)" end),
# The first guest that starts finds nothing in dom0's caches: of the kernel's own backends the fastest counts.
($stores[] as $store | ["dir", "dir-qubes", "block", "ram", "stubdom"][] as $kind | ($kind + $store) as $ours | start($ours) as $a | select($a) |
    "start, \($ours): added to blkback's beside the steps of qubes" as $name | start("qubes" + $store) as $c |
    ([("plain", "qubes", "snapshot") as $other | start($other + $store) | select(. != null) | .ready_ns] | min) as $b |
    if $b and $c and $c.steps_ns > 0 then ([0, $a.ready_ns - $b] | max) as $added |
        verdict($name; $added * 5 <= $c.steps_ns; "\($added / 1e6 | round) ms beside \($c.steps_ns / 1e6 | round)")
    else "not measured  \($name)" end)
