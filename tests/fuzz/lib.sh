#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lib.sh: what run.sh and campaign.sh share: how a target is run.  To be sourced at the top of the tree.

# What libFuzzer is told beside the corpora.  A leak or a turn without end is a finding too.
fuzz_options() {
    local target=$1 length
    case $target in
    ring | life) length=1200 ;;
    nbd) length=2500 ;;
    wire_*) length=1600 ;;
    *) length=700 ;;
    esac
    echo "-max_len=$length -len_control=20 -timeout=20 -rss_limit_mb=2000 -print_final_stats=1"
    [ ! -f "tests/fuzz/$target.dict" ] || echo "-dict=tests/fuzz/$target.dict"
}

# fuzz_run BUILD TARGET SECONDS CORPUS LOG: the first corpus gets what is new.  Findings go to BUILD/findings.
fuzz_run() {
    local build=$1 target=$2 seconds=$3 corpus=$4 log=$5
    mkdir -p "$corpus" "$build/findings" "tests/fuzz/corpus/$target"
    # shellcheck disable=SC2046 # a list
    ASAN_OPTIONS=quarantine_size_mb=16:malloc_context_size=5:detect_stack_use_after_return=0 \
        "$build/$target" $(fuzz_options "$target") -max_total_time="$seconds" \
        -artifact_prefix="$build/findings/$target-" "$corpus" "tests/fuzz/corpus/$target" >"$log" 2>&1
}

fuzz_executions() {
    sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p' "$1" | tail -n 1
}

# The most edges any input reached.
fuzz_coverage() {
    sed -nE 's/^#[0-9]+.* cov: ([0-9]+) .*/\1/p' "$1" | sort -n | tail -n 1
}
