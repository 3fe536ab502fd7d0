// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_limits: the numbers beside a pool: each alone, and with the pool.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "store.h"
#include "util.h"

static const struct {
    const char *key, *value;
    int err;
    struct store_limits out;
} rows[] = {
    {"ram-budget", "8M", 0, {.ram_budget = 8 << 20}},
    {"ram-budget", "8388607", -EINVAL, {0}},
    {"ram-budget", "16T", 0, {.ram_budget = 1ull << 44}},
    {"ram-budget", "17T", -EINVAL, {0}},
    {"ram-budget", "0", 0, {0}},
    {"ram-budget", "", -EINVAL, {0}},
    {"quota", "1G", 0, {.quota = 1 << 30}},
    {"quota", "7M", -EINVAL, {0}},
    {"quota", "1g", -EINVAL, {0}},
    {"quota", "-1", -EINVAL, {0}},
    {"low-water", "1", 0, {.low_water = 1}},
    {"low-water", "1 M", -EINVAL, {0}},
    {"iops", "1", 0, {.iops = 1}},
    {"iops", "1000000000", 0, {.iops = 1000000000}},
    {"iops", "1000000001", -EINVAL, {0}},
    {"iops", "1K", -EINVAL, {0}},
    {"bandwidth", "4K", 0, {.bandwidth = 4096}},
    {"bandwidth", "4095", -EINVAL, {0}},
    {"bandwidth", "100M", 0, {.bandwidth = 100 << 20}},
    {"bandwidth", "99999999999999999999T", -EINVAL, {0}},
    {"integrity", "on", 0, {0}},
    {"integrity", "off", 0, {.no_integrity = true}},
    {"integrity", "", -EINVAL, {0}},
    {"integrity", "yes", -EINVAL, {0}},
    {"integrity", "0", -EINVAL, {0}},
    {"integrity", "On", -EINVAL, {0}},
    {"pool", "1M", -ENOENT, {0}},
    {"", "1M", -ENOENT, {0}},
    {"Quota", "1G", -ENOENT, {0}},
};

static void alone(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct store_limits limits = {0};
        char text[STORE_TEXT] = "";

        CU_ASSERT_EQUAL(store_set_limit(&limits, rows[i].key, rows[i].value, text), rows[i].err);
        CU_ASSERT_EQUAL(memcmp(&limits, &rows[i].out, sizeof(limits)), 0);
        CU_ASSERT_EQUAL(rows[i].err != 0, text[0] != '\0');
        CU_ASSERT(rows[i].err != -EINVAL || strstr(text, "write "));
    }
}

/* What was set is kept when something else is set, and lifted by 0. */
static void kept(void)
{
    struct store_limits limits = {0};
    char text[STORE_TEXT];

    CU_ASSERT_EQUAL(store_set_limit(&limits, "quota", "1G", text), 0);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "iops", "7", text), 0);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "quota", "nothing", text), -EINVAL);
    CU_ASSERT(limits.quota == 1 << 30 && limits.iops == 7);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "quota", "0", text), 0);
    CU_ASSERT(limits.quota == 0 && limits.iops == 7);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "integrity", "off", text), 0);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "integrity", "maybe", text), -EINVAL);
    CU_ASSERT(limits.no_integrity);
    CU_ASSERT_EQUAL(store_set_limit(&limits, "integrity", "on", text), 0);
    CU_ASSERT(!limits.no_integrity && limits.iops == 7);
}

static const struct {
    const char *pool;
    struct store_limits limits;
    const char *culprit; /* NULL: none */
} pairs[] = {
    {"dir:/x", {.quota = 1 << 30, .ram_budget = 8 << 20, .low_water = 1, .iops = 1}, NULL},
    {"dir:/x", {.low_water = 1ull << 40}, NULL},
    {"dir:/x", {.quota = 1 << 30, .low_water = 1 << 30}, "low-water"},
    {"dir:/x", {.quota = 1 << 30, .low_water = (1 << 30) - 1}, NULL},
    {"block:/x,shared", {.quota = 1 << 30, .ram_budget = 8 << 20}, NULL},
    {"block:/x", {.ram_budget = 8 << 20, .bandwidth = 4096}, NULL},
    {"block:/x", {.quota = 1 << 30}, "quota"},
    {"ram:8M", {.iops = 5, .low_water = 1 << 20}, NULL},
    {"ram:8M", {.quota = 8 << 20}, "quota"},
    {"ram:8M,lz4", {.ram_budget = 8 << 20}, "ram-budget"},
    {"ram:8M", {.low_water = 8 << 20}, "low-water"},
    {"block:/x,shared", {.no_integrity = true}, "integrity"},
    {"block:/x", {.no_integrity = true}, NULL},
    {"dir:/x", {.no_integrity = true}, NULL},
    {"ram:8M,lz4", {.no_integrity = true}, NULL},
};

static void together(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct store_pool_spec spec;
        char text[STORE_TEXT] = "";
        const char *key = NULL;

        CU_ASSERT_EQUAL_FATAL(store_parse_pool(pairs[i].pool, &spec, text), 0);
        int err = store_check_limits(&spec, &pairs[i].limits, &key, text);
        CU_ASSERT_EQUAL(err, pairs[i].culprit ? -EINVAL : 0);
        if (err) {
            CU_ASSERT_STRING_EQUAL(key, pairs[i].culprit);
            CU_ASSERT(strstr(text, "write ") != NULL);
        }
    }
}

int suite_store_limits(void)
{
    static const struct unit_case cases[] = {
        {"each alone", alone},
        {"what was set is kept", kept},
        {"with a pool", together},
    };

    return UNIT_SUITE("store_limits", cases);
}
