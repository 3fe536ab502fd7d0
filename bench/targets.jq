# SPDX-License-Identifier: GPL-2.0-or-later
# Of the lines of JSON that bench/ring.sh has written: one line a target, met, not met or not measured, with the
# ratio.  jq -L bench -rs -f bench/targets.jq --argjson stores '["tmpfs", "disk"]'
#
# Medians count.  What a row's parts cost by themselves are the best of many short turns (bench/limits.c), so those
# bounds are strict.  Where a part is the pool its figure is CPU time, on tmpfs all that a pool takes.

include "figures";

def row(store; op; pattern; touch; bytes): map(select(.store == store and .op == op and .pattern == pattern and .touch == touch and
    .bytes == bytes and .queues == 1));
def of_one: map(select(.guests == 1));
def limit(what; f): map(select(.bench == "limit" and .what == what and f)) | map(.ns // (.cpu_us * 1000)) | min;
def rate(what; f): map(select(.bench == "limit" and .what == what and f)) | map(.mb_per_second) | max;
def xts(op): if op == "read" then "xts-decrypt" else "xts-encrypt" end;
# ns to copy and encrypt 64 KiB
def work(op): limit("memcpy"; .bytes == 65536 and .cold) + limit(xts(op); .bytes == 65536 and (.cold | not));

. as $all | ((map(.integrity // empty) | unique | reverse[]) as $integrity |
(map(select(.bench == "ring" and .integrity == $integrity))) as $rows | "integrity \($integrity)" as $how |
(
    (select($stores | index("tmpfs")) | ["read", "write"][] as $op | $rows | row("tmpfs"; $op; "random"; "over"; 4096) | of_one |
        map(select(.depth == 32)) | judged("4 KiB random \($op), tmpfs, \($how)"; map(.cpu_us) |
            verdict("4 KiB random \($op), tmpfs, \($how), CPU of the worker at most 6 us"; median <= 6;
                "\(median | fixed) us (\(min | fixed) to \(max | fixed)), \(6 / median | fixed) times as good"))),
    (select($stores | index("tmpfs")) | ["read", "write"][] as $op | $rows | row("tmpfs"; $op; "sequential"; "over"; 65536) | of_one |
        judged("64 KiB sequential \($op), tmpfs, \($how)"; (map(.cpu_us) | median) as $us |
            (($all | work($op)) + ($all | limit("pool-\($op)"; .bytes == 65536 and .store == "tmpfs")) | . / 1000) as $parts |
            verdict("64 KiB sequential \($op), tmpfs, \($how), at least 85 % of what its parts allow one core"; $parts / $us >= 0.85;
                "\($us | fixed) us of CPU, copy, XTS and pool alone \($parts | fixed): \($parts / $us | fixed)"))),
    (select($stores | index("disk")) | ["read", "write"][] as $op | $rows | row("disk"; $op; "sequential"; "over"; 65536) | of_one |
        judged("64 KiB sequential \($op), disk, \($how)"; (map(.mb_per_second) | median) as $mb |
            ([($all | rate("pool-\($op)"; .bytes == 65536 and .store == "disk")), 65536e3 / ($all | work($op))] | min) as $most |
            verdict("64 KiB sequential \($op), disk, \($how), at least 85 % of the slower of disk and copy with XTS"; $mb / $most >= 0.85;
                "\($mb | round) of \($most | round) MB/s: \($mb / $most | fixed)"))),
    (select($stores | index("tmpfs")) | [2, 4][] as $guests | ["read", "write"][] as $op |
        $rows | row("tmpfs"; $op; "random"; "over"; 4096) | map(select(.depth == 32)) |
        (map(select(.guests == 1).cpu_us) | median) as $one | map(select(.guests == $guests).cpu_us) |
        judged("\($guests) guests, 4 KiB random \($op), \($how)"; median as $many |
            verdict("\($guests) guests, 4 KiB random \($op), \($how), CPU a request at most 1.1 times that with one"; $many / $one <= 1.1;
                "\($many | fixed) after \($one | fixed) us: \($many / $one | fixed)")))
)),
(map(select(.bench == "idle").resident_kib) | judged("an idle guest's memory";
    verdict("an idle guest has at most 16 MiB resident"; max <= 16384; "\(max) KiB")))
