# SPDX-License-Identifier: GPL-2.0-or-later
# What reads the lines of JSON that benches write: include "figures" with jq -L bench.

# Of an even number the mean of the middle two; of none nothing
def median: sort | length as $n | if $n == 0 then null elif $n % 2 == 1 then .[$n / 2 | floor] else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;
def fixed: . * 100 | round / 100;
# How far apart the runs are, as a share of their median: (most - least) / median, in percent
def spread: if length < 2 then "-" else (max - min) / median * 100 | round | tostring + "%" end;
def verdict(name; ok; text): "\(if ok then "met    " else "not met" end)  \(name): \(text)";
# Of a list of names those that some key of RATES ends with: who was measured at all
def measured(rates): map(select(. as $name | rates | keys | any(endswith(" " + $name))));
# judged NAME ROWS: a target that nothing was measured for is said to be so, and is no success
def judged(name; f): if length == 0 then "not measured  \(name)" else f end;
