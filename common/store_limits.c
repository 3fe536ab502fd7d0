// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_limits: the numbers an operator writes beside a pool.  One table for the daemon's files and
 * for the options of `serve`, so that both know the same words and bounds.  0 lifts a limit.
 */
#include "store.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include "util.h"

#define LIMITS_MOST ((uint64_t)1 << 44) /* bytes; an overlay has no more */
#define LIMITS_IOPS 1000000000u

static const struct {
    const char *key;
    size_t at;
    uint64_t least, most;
    const char *remedy;
} limits_table[] = {
    {"ram-budget", offsetof(struct store_limits, ram_budget), STORE_POOL_LEAST, LIMITS_MOST,
     "a size from 8M to 16T, or 0 for none"},
    {"quota", offsetof(struct store_limits, quota), STORE_POOL_LEAST, LIMITS_MOST,
     "a size from 8M to 16T, or 0 for none"},
    {"low-water", offsetof(struct store_limits, low_water), 1, LIMITS_MOST,
     "a size up to 16T, or 0 for none"},
    {"iops", offsetof(struct store_limits, iops), 1, LIMITS_IOPS,
     "requests a second, up to 1000000000, or 0 for no limit"},
    {"bandwidth", offsetof(struct store_limits, bandwidth), BLOCK_SIZE, LIMITS_MOST,
     "bytes a second from 4K to 16T, such as 100M, or 0 for no limit"},
};

static int limits_switch(struct store_limits *limits, const char *value, char text[STORE_TEXT])
{
    bool on = !strcmp(value, "on");

    if (!on && strcmp(value, "off"))
        return store_fail(text, -EINVAL, "'%.40s': write on or off", value);
    limits->no_integrity = !on;
    return 0;
}

int store_set_limit(struct store_limits *limits, const char *key, const char *value,
                    char text[STORE_TEXT])
{
    uint64_t number;
    size_t i = 0;

    if (!strcmp(key, "integrity"))
        return limits_switch(limits, value, text);
    while (i < ARRAY_SIZE(limits_table) && strcmp(limits_table[i].key, key))
        i++;
    if (i == ARRAY_SIZE(limits_table))
        return store_fail(text, -ENOENT, "%.40s: no such limit", key);
    int err = strcmp(key, "iops") ? parse_size(value, &number)
                                  : parse_u64(value, LIMITS_IOPS, &number);
    if (err || number > limits_table[i].most || (number && number < limits_table[i].least))
        return store_fail(text, -EINVAL, "'%.40s': write %s", value, limits_table[i].remedy);
    memcpy((char *)limits + limits_table[i].at, &number, sizeof(number));
    return 0;
}

int store_check_limits(const struct store_pool_spec *spec, const struct store_limits *limits,
                       const char **key, char text[STORE_TEXT])
{
    bool ram = spec->kind == WIRE_POOL_RAM;
    uint64_t most = ram ? spec->bytes : limits->quota;

    *key = "ram-budget";
    if (ram && limits->ram_budget)
        return store_fail(text, -EINVAL, "a ram: pool is in memory already: write 0 or nothing");
    *key = "quota";
    if (ram && limits->quota)
        return store_fail(text, -EINVAL,
                          "a ram: pool is bounded by its own size: write 0 or nothing");
    if (spec->kind == WIRE_POOL_BLOCK && limits->quota)
        return store_fail(text, -EINVAL,
                          "a block: pool that is not shared is bounded by its own size: write 0 "
                          "or nothing");
    *key = "low-water";
    if (most && limits->low_water >= most)
        return store_fail(text, -EINVAL,
                          "not below the %s, it would warn from the start: write less",
                          ram ? "pool's size" : "quota");
    *key = "integrity";
    if (spec->kind == WIRE_POOL_SHARED && limits->no_integrity)
        return store_fail(text, -EINVAL,
                          "a shared device needs it, since other guests' workers can write there: "
                          "write on");
    return 0;
}
