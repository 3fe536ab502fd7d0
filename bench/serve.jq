# SPDX-License-Identifier: GPL-2.0-or-later
# Of the lines of JSON that bench/serve.sh has written: a table of each store and load, then the NBD door's targets, met,
# not met or not measured.  jq -L bench -rs -f

include "figures";

["ring", "ringbare", "ephem", "bare", "raw", "luks", "qsd", "nbdkit", "fio"] as $order |
{ring: "ring", ringbare: "ring, integrity off", ephem: "NBD", bare: "NBD, integrity off", raw: "qsd raw", luks: "qsd LUKS",
    qsd: "qsd qcow2+LUKS", nbdkit: "nbdkit luks+cow", fio: "fio, no server"} as $titles |
(group_by([.store, .touch, .load, .server]) | map({store: .[0].store, touch: .[0].touch, load: .[0].load, server: .[0].server,
    rate: (map(.per_second) | median), mb: (map(.mb_per_second) | median), us: (map(.cpu_us) | median), apart: (map(.per_second) | spread),
    p50: (map(.p50_us) | median), p99: (map(.p99_us) | median), p999: (map(.p999_us) | median),
    kib: (map(.resident_kib // empty) | median)})) as $rows |
def row(store; touch; load; server): $rows | map(select(.store == store and .touch == touch and .load == load and .server == server));
# us of OURS beside those of qsd
def dearer(store; load; ours; most): row(store; "over"; load; ours) as $a | row(store; "over"; load; "qsd") as $b |
    "NBD door, \($titles[ours]), \(store), \(load): CPU a request beside qcow2+LUKS at most 1/\(most)" as $name |
    [$a[], $b[]] | if length < 2 then "not measured  \($name)" else
        verdict($name; .[0].us * most <= .[1].us; "\(.[0].us | fixed) to \(.[1].us | fixed) us: 1/\(.[1].us / .[0].us | fixed); \(
            .[0].rate / .[1].rate | fixed) times the rate") end;

(($rows | group_by([.store, .touch, .load])[] | .[0] as $first |
    "", "\($first.store), \($first.load), \(if $first.touch == "first" then "first touch" else "overwritten before" end)",
    "  |a second|MB/s|us|p50|p99|p99.9|KiB|apart",
    ($order[] as $server | .[] | select(.server == $server) |
        "  \($titles[$server])|\(.rate | round)|\(.mb | round)|\(.us | fixed)|\(.p50 | round)|\(.p99 | round)|\(.p999 | round)|\(
            .kib // "-")|\(.apart)")),
"",
(["tmpfs", "disk"][] as $store | select($rows | any(.store == $store)) | ["ephem", "bare"][] as $ours |
    (["randread 4k 32", "randwrite 4k 32"][] as $load | dearer($store; $load; $ours; 2.5)),
    (["read 64k 16", "write 64k 16"][] as $load | dearer($store; $load; $ours; 3))),
(select($rows | any(.store == "disk")) | ["ring", "ephem"][] as $ours | "first touch of 4 KiB at random, disk, \($titles[$ours]): at least 5 times qcow2+LUKS" as $name |
    [row("disk"; "first"; "randwrite 4k 32"; $ours)[], row("disk"; "first"; "randwrite 4k 32"; "qsd")[]] |
    if length < 2 then "not measured  \($name)" else
        verdict($name; .[0].rate >= 5 * .[1].rate; "\(.[0].rate | round) to \(.[1].rate | round) a second: \(.[0].rate / .[1].rate | fixed)") end))
