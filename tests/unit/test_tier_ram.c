// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tier: a pool that is memory only: no more than its bound, found as written, and the memory really
 * goes back, by what the kernel says.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "fake_backing.h"
#include "index.h"
#include "pool.h"
#include "slots.h"
#include "util.h"

#define BYTES  ((uint64_t)32 << 20)
#define BLOCKS ((uint32_t)(BYTES / BLOCK_SIZE))
#define MIB    ((uint64_t)1 << 20)

static struct pool *pool;
static struct unit_waiter waiter;
static uint32_t where[BLOCKS], version[BLOCKS];

static void open_ram(void)
{
    struct pool_config config = {.kind = POOL_RAM, .fd = -1, .id = 4, .bytes = BYTES};

    CU_ASSERT_EQUAL_FATAL(pool_open(&pool, &config), 0);
    CU_ASSERT_EQUAL_FATAL(pool_start(pool), 0);
    waiter_init(&waiter);
    memset(where, 0xff, sizeof(where));
    memset(version, 0, sizeof(version));
}

static struct pool_stats stats(void)
{
    struct pool_stats all;

    pool_stats(pool, &all);
    return all;
}

/* Bytes of frames that are in memory: of mappings no dump has and no huge page may have, in units of
 * 4 MiB.  A sanitizer's shadow is such a mapping too, but larger. */
static uint64_t resident(void)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    unsigned long long from, to, rss = 0, sum = 0, bytes = 0;
    char line[512];

    CU_ASSERT_PTR_NOT_NULL_FATAL(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2)
            bytes = to - from;
        sscanf(line, "Rss: %llu kB", &rss);
        if (!strncmp(line, "VmFlags:", 8) && strstr(line, " dd") && strstr(line, " nh") &&
            bytes % BACKING_EXTENT == 0 && bytes <= 64 * MIB)
            sum += rss << 10;
    }
    fclose(smaps);
    return sum;
}

static bool resident_is_below(void *arg)
{
    return resident() <= *(uint64_t *)arg;
}

static int write_block(uint32_t block, bool first)
{
    uint32_t slot;
    uint64_t generation;
    struct pool_slots slots = {.n = 1, .slot = &slot, .generation = &generation};
    int err = waiter_take(&waiter, pool, &slots, first, 1);

    if (err)
        return err;
    CU_ASSERT(slots.ram);
    uint32_t words[2] = {block, ++version[block]};
    uint8_t *memory = pool_memory(pool, slot);
    memset(memory, (int)(block % 255), BLOCK_SIZE);
    memcpy(memory, words, sizeof(words));
    pool_settle(pool, &slots);
    if (where[block] <= INDEX_MAX_SLOT)
        pool_give(pool, 1, &where[block]);
    where[block] = slot;
    return 0;
}

static uint32_t spoilt_blocks(void)
{
    uint8_t expect[BLOCK_SIZE];
    uint32_t wrong = 0;

    for (uint32_t block = 0; block < BLOCKS; block++) {
        if (where[block] > INDEX_MAX_SLOT)
            continue;
        uint32_t words[2] = {block, version[block]};
        memset(expect, (int)(block % 255), BLOCK_SIZE);
        memcpy(expect, words, sizeof(words));
        pool_read_lock(pool);
        const uint8_t *memory = pool_peek(pool, where[block]);
        wrong += !memory || memcmp(memory, expect, BLOCK_SIZE);
        pool_read_unlock(pool);
    }
    return wrong;
}

static uint32_t fill(void)
{
    uint32_t n = 0;

    for (uint32_t block = 0; block < BLOCKS; block++) {
        if (where[block] > INDEX_MAX_SLOT && write_block(block, true))
            break;
        n++;
    }
    return n;
}

static void bounded(void)
{
    uint64_t random = 1;
    uint32_t held = 0;

    open_ram();
    CU_ASSERT(pool_has_memory(pool));
    uint32_t n = fill();
    CU_ASSERT_EQUAL(n, BLOCKS - POOL_RESERVE);
    CU_ASSERT_EQUAL(waiter.told, 2);
    CU_ASSERT_EQUAL(stats().used, (uint64_t)n * BLOCK_SIZE);
    CU_ASSERT(resident() >= stats().used && resident() <= BYTES);
    for (uint32_t i = 0; i < 20000; i++)
        held += write_block((uint32_t)unit_below(&random, n), false) != 0;
    CU_ASSERT_EQUAL(held, 0);
    CU_ASSERT(resident() <= BYTES && stats().ram <= BYTES && stats().taken <= BYTES);
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    unit_capture_start();
    pool_hold(pool);
    CU_ASSERT_EQUAL(unit_capture_count("bound"), 1);
    unit_capture_end();
    pool_close(pool);
    CU_ASSERT_EQUAL(resident(), 0);
}

static void discard(uint64_t *random, uint32_t percent)
{
    for (uint32_t block = 0; block < BLOCKS; block++) {
        if (where[block] > INDEX_MAX_SLOT || unit_below(random, 100) >= percent)
            continue;
        pool_give(pool, 1, &where[block]);
        where[block] = UINT32_MAX;
    }
}

/* The keeper may still be at it: what was never touched is not resident, and counts as taken. */
static bool counted_is_below(void *arg)
{
    uint64_t most = *(uint64_t *)arg;

    return stats().ram <= most && stats().taken <= most;
}

static void given_back(void)
{
    uint64_t random = 2, few = 8 * MIB;

    open_ram();
    for (uint32_t round = 0; round < 3; round++) {
        CU_ASSERT(fill() >= BLOCKS - POOL_RESERVE);
        discard(&random, 90);
        uint64_t most = stats().used * 5 / 4 + 8 * MIB;
        CU_ASSERT(stats().used > BYTES / 20 && stats().used < BYTES / 5);
        CU_ASSERT(unit_until(resident_is_below, &most));
        CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    }
    printf("\n    nine tenths discarded: %.1f MiB resident for %.1f", (double)resident() / MIB,
           (double)stats().used / MIB);
    CU_ASSERT(fill() >= BLOCKS - POOL_RESERVE);
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    discard(&random, 100);
    CU_ASSERT(unit_until(resident_is_below, &few));
    printf("\n    all discarded: %.1f MiB resident", (double)resident() / MIB);
    CU_ASSERT_EQUAL(stats().used, 0);
    CU_ASSERT(unit_until(counted_is_below, &few));
    pool_close(pool);
}

/* A frame cannot be had for once: whoever wanted it is told to try again. */
static void out_of_memory(void)
{
    uint32_t slot;
    uint64_t generation;
    struct pool_slots slots = {.n = 1, .slot = &slot, .generation = &generation};

    if (!alloc_works()) {
        printf(" (skipped: not linked with --wrap) ");
        return;
    }
    open_ram();
    CU_ASSERT_EQUAL(pool_take(pool, &slots, true, &waiter.waiter), -EAGAIN);
    CU_ASSERT(waiter_wait(&waiter, 20000));
    alloc_fail_from(1);
    int err = pool_take(pool, &slots, true, &waiter.waiter);
    CU_ASSERT(alloc_heal());
    CU_ASSERT(err == -EAGAIN || err == -ENOSPC);
    CU_ASSERT_EQUAL(stats().used, 0);
    CU_ASSERT(waiter_wait(&waiter, 5000));
    CU_ASSERT_EQUAL(write_block(0, true), 0);
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    pool_close(pool);
}

int suite_tier_ram(void)
{
    static const struct unit_case cases[] = {
        {"bounded", bounded},
        {"given back", given_back},
        {"out of memory", out_of_memory},
    };

    return UNIT_SUITE("tier_ram", cases);
}
