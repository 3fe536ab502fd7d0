// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tier: memory in front of storage: what was written is found, in memory or below, while frames are
 * spilled under readers' eyes; the budget holds; storage that fails costs nothing but time.  Memory
 * only is in test_tier_ram.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake_backing.h"
#include "index.h"
#include "pool.h"
#include "slots.h"
#include "util.h"

#define BLOCKS  16384u /* of the disk: 64 MiB */
#define BUDGET  (16u << 20)
#define WRITERS 2u
#define READERS 3u
#define LOCKS   64u

static struct fake_backing fake;
static struct pool *pool;

/* A volume as simple as can be: each block's slot and version under one of a few locks. */
static pthread_rwlock_t locks[LOCKS];
static uint32_t where[BLOCKS], version[BLOCKS];
static _Atomic uint32_t wrong, in_memory, below, over;
static _Atomic bool stop;

static void open_pool(struct pool_config config)
{
    pool = fake_pool(&fake, &config);
    memset(where, 0xff, sizeof(where));
    memset(version, 0, sizeof(version));
    wrong = in_memory = below = over = 0;
    stop = false;
    for (uint32_t i = 0; i < LOCKS; i++)
        pthread_rwlock_init(&locks[i], NULL);
}

static void close_pool(void)
{
    pool_close(pool);
    CU_ASSERT_EQUAL(fake.wrong, 0);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(over, 0);
    for (uint32_t i = 0; i < LOCKS; i++)
        pthread_rwlock_destroy(&locks[i]);
}

static void fill(uint32_t block, uint32_t as, uint8_t *page)
{
    uint64_t words[BLOCK_SIZE / 8];

    for (uint32_t i = 0; i < BLOCK_SIZE / 8; i++)
        words[i] = (uint64_t)block << 32 | as;
    memcpy(page, words, BLOCK_SIZE);
}

static void check_budget(void)
{
    struct pool_stats stats;

    pool_stats(pool, &stats);
    over += stats.ram > BUDGET;
}

/* Writes one block; 0 or waiter_take's error. */
static int write_block(struct unit_waiter *waiter, uint32_t block, bool fresh, uint32_t refusals)
{
    uint32_t slot, before, next;
    uint64_t generation;
    uint8_t page[BLOCK_SIZE];
    struct pool_slots slots = {.n = 1, .slot = &slot, .generation = &generation};
    int err = waiter_take(waiter, pool, &slots, fresh, refusals);

    if (err)
        return err;
    check_budget();
    next = version[block] + 1; /* only one thread writes it */
    fill(block, next, page);
    if (slots.ram) {
        memcpy(pool_memory(pool, slot), page, BLOCK_SIZE);
        pool_settle(pool, &slots);
    } else {
        wrong += !fake_is_there(&fake, pool_offset(pool, slot));
        wrong += pwrite(pool_fd(pool), page, BLOCK_SIZE, (off_t)pool_offset(pool, slot)) !=
                 BLOCK_SIZE;
    }
    pthread_rwlock_wrlock(&locks[block % LOCKS]);
    before = where[block];
    where[block] = slot;
    version[block] = next;
    pthread_rwlock_unlock(&locks[block % LOCKS]);
    if (before <= INDEX_MAX_SLOT)
        pool_give(pool, 1, &before);
    return 0;
}

static void discard_block(uint32_t block)
{
    pthread_rwlock_wrlock(&locks[block % LOCKS]);
    uint32_t before = where[block];
    where[block] = UINT32_MAX;
    pthread_rwlock_unlock(&locks[block % LOCKS]);
    if (before <= INDEX_MAX_SLOT)
        pool_give(pool, 1, &before);
}

static void read_block(uint32_t block)
{
    uint8_t page[BLOCK_SIZE], expect[BLOCK_SIZE];

    pthread_rwlock_rdlock(&locks[block % LOCKS]);
    uint32_t slot = where[block];
    fill(block, version[block], expect);
    if (slot <= INDEX_MAX_SLOT) {
        pool_read_lock(pool);
        const uint8_t *memory = pool_peek(pool, slot);
        uint64_t offset = memory ? 0 : pool_offset(pool, slot);
        if (memory)
            memcpy(page, memory, BLOCK_SIZE);
        pool_read_unlock(pool);
        in_memory += memory != NULL;
        below += !memory;
        wrong += !memory && pread(pool_fd(pool), page, BLOCK_SIZE, (off_t)offset) != BLOCK_SIZE;
        wrong += memcmp(page, expect, BLOCK_SIZE) != 0;
    }
    pthread_rwlock_unlock(&locks[block % LOCKS]);
}

static void read_all(void)
{
    for (uint32_t block = 0; block < BLOCKS; block++)
        read_block(block);
}

/* Four times the memory is written, some of it over and over, some discarded. */
static void spilling(void)
{
    struct unit_waiter waiter;
    uint64_t random = 1;

    open_pool((struct pool_config){.id = 1, .ram = BUDGET});
    waiter_init(&waiter);
    CU_ASSERT(pool_has_memory(pool));
    for (uint32_t block = 0; block < BLOCKS; block++)
        wrong += write_block(&waiter, block, true, 0) != 0;
    CU_ASSERT(in_memory == 0 && below == 0);
    read_all();
    CU_ASSERT(in_memory > 1024 && below > BLOCKS / 2);
    for (uint32_t i = 0; i < 3 * BLOCKS; i++) {
        uint32_t block = (uint32_t)unit_below(&random, i % 3 ? BLOCKS : 1000);
        if (i % 10 == 0)
            discard_block(block);
        else
            wrong += write_block(&waiter, block, where[block] > INDEX_MAX_SLOT, 0) != 0;
        read_block((uint32_t)unit_below(&random, BLOCKS));
    }
    read_all();
    struct pool_stats stats;
    unit_sleep(300); /* the keeper comes to rest */
    pool_stats(pool, &stats);
    /* What was punched does not come back when what lies around it is spilled again. */
    CU_ASSERT(fake_blocks(&fake) * BLOCK_SIZE <= stats.taken);
    CU_ASSERT(stats.write_blocks > BLOCKS && stats.writes < stats.write_blocks / 8);
    printf("\n    %llu blocks spilled in %llu frames; %.2f of the live data stored",
           (unsigned long long)stats.write_blocks, (unsigned long long)stats.writes,
           (double)fake_blocks(&fake) * BLOCK_SIZE / (double)stats.used);
    close_pool();
}

struct user {
    pthread_t thread;
    uint32_t number;
};

static void *writer_main(void *arg)
{
    const struct user *me = arg;
    struct unit_waiter waiter;
    uint64_t random = me->number;

    waiter_init(&waiter);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint32_t block = (uint32_t)unit_below(&random, BLOCKS / WRITERS) * WRITERS + me->number;
        if (i % 16 == 0)
            discard_block(block);
        else
            wrong += write_block(&waiter, block, true, 0) != 0;
    }
    return NULL;
}

static void *reader_main(void *arg)
{
    const struct user *me = arg;
    uint64_t random = me->number;

    while (!stop)
        read_block((uint32_t)unit_below(&random, BLOCKS));
    return NULL;
}

static void racing(void)
{
    struct user users[WRITERS + READERS];

    open_pool((struct pool_config){.id = 1, .ram = BUDGET});
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        users[i].number = i;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&users[i].thread, NULL,
                                             i < WRITERS ? writer_main : reader_main, &users[i]),
                              0);
    }
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        stop = i >= WRITERS;
        pthread_join(users[i].thread, NULL);
    }
    read_all();
    CU_ASSERT(in_memory > 0 && below > 0);
    close_pool();
}

static bool few_are_there(void *arg)
{
    return fake_blocks(&fake) <= *(uint64_t *)arg;
}

enum failure { GROW_ENOSPC, GROW_EIO, WRITE, FAILURES };

static void fail(enum failure how, bool on)
{
    fake.error = how == GROW_EIO ? -EIO : -ENOSPC;
    fake.fail_at = on && how != WRITE;
    if (how == WRITE)
        fake_break(&fake, on);
}

/* Spilling fails: what is in memory stays readable, takes are held once it is used up, and all goes
 * on when it is healed. */
static void failing(void)
{
    for (enum failure how = GROW_ENOSPC; how < FAILURES; how++) {
        struct unit_waiter waiter;
        uint32_t n = 0;
        open_pool((struct pool_config){.id = 1, .ram = BUDGET});
        waiter_init(&waiter);
        fail(how, true);
        while (n < BLOCKS && write_block(&waiter, n, true, 1) == 0)
            n++;
        CU_ASSERT(n <= BUDGET / BLOCK_SIZE - POOL_RESERVE && n > BUDGET / BLOCK_SIZE * 3 / 4);
        CU_ASSERT_EQUAL(waiter.told, 2);
        read_all();
        CU_ASSERT(in_memory == n && below == 0);
        for (uint32_t i = 0; i < 200; i++) /* the reserve is there for overwrites */
            wrong += write_block(&waiter, i, false, 1) != 0;
        read_all();
        for (uint32_t i = 0; i < 100; i++)
            discard_block(i);
        fail(how, false);
        for (uint32_t block = n; block < BLOCKS; block++)
            wrong += write_block(&waiter, block, true, UINT32_MAX) != 0;
        read_all();
        CU_ASSERT(below > BLOCKS / 2);
        close_pool();
    }
}

/* One extent's storage is bad: what belongs there stays in memory, all else goes on. */
static void failing_in_one_place(void)
{
    struct unit_waiter waiter;

    open_pool((struct pool_config){.id = 1, .ram = BUDGET});
    fake_break_first(&fake);
    waiter_init(&waiter);
    for (uint32_t block = 0; block < BLOCKS; block++)
        wrong += write_block(&waiter, block, true, 5) != 0;
    read_all();
    CU_ASSERT(in_memory >= SLOTS_PER_EXTENT && below > BLOCKS / 2);
    close_pool();
}

/* Most of what was spilled is discarded and punched, some of it grown again; then storage runs out.
 * What overwrites get below must be there, and the keeper must not run in circles. */
static void full_with_holes_of(uint32_t extra)
{
    struct unit_waiter waiter;
    uint64_t random = 3;
    uint32_t n = 0;

    open_pool((struct pool_config){.id = 1, .ram = BUDGET});
    waiter_init(&waiter);
    for (uint32_t block = 0; block < BLOCKS; block++)
        wrong += write_block(&waiter, block, true, 0) != 0;
    for (uint32_t block = 0; block < BLOCKS; block++)
        if (unit_below(&random, 100) < 85)
            discard_block(block);
    uint64_t few = BLOCKS * 4 / 10;
    CU_ASSERT(unit_until(few_are_there, &few));
    for (; extra; n++)
        if (where[n] > INDEX_MAX_SLOT && extra--)
            wrong += write_block(&waiter, n, true, 0) != 0;
    fail(GROW_ENOSPC, true);
    for (; n < BLOCKS; n++)
        if (where[n] > INDEX_MAX_SLOT && write_block(&waiter, n, true, 1) != 0)
            break;
    CU_ASSERT(n < BLOCKS);
    for (uint32_t i = 0; i < 1000; i++)
        if (where[i] <= INDEX_MAX_SLOT && write_block(&waiter, i, false, 1) != 0)
            break;
    read_all();
    uint32_t grows = fake.grows;
    unit_sleep(500);
    CU_ASSERT(fake.grows - grows <= 4);
    fail(GROW_ENOSPC, false);
    for (uint32_t block = 0; block < BLOCKS; block++)
        wrong += write_block(&waiter, block, true, UINT32_MAX) != 0;
    read_all();
    close_pool();
}

static void full_with_holes(void)
{
    for (uint32_t extra = 5000; extra < 8000; extra += 1000)
        full_with_holes_of(extra);
}

/* Memory and storage are both full: what is written over goes on as before. */
static void overwriting_full(void)
{
    struct unit_waiter waiter;
    uint64_t random = 4;
    uint32_t n = 0, held = 0;

    open_pool((struct pool_config){.id = 1, .ram = BUDGET});
    waiter_init(&waiter);
    fake.allowed = 6;
    while (n < BLOCKS && write_block(&waiter, n, true, 1) == 0)
        n++;
    CU_ASSERT(n < BLOCKS && n > 8 * SLOTS_PER_EXTENT);
    for (uint32_t i = 0; i < 10000 && held < 5; i++)
        held += write_block(&waiter, (uint32_t)unit_below(&random, n), false, 1) != 0;
    CU_ASSERT_EQUAL(held, 0);
    read_all();
    close_pool();
}

int suite_tier(void)
{
    static const struct unit_case cases[] = {
        {"spilling", spilling},
        {"racing", racing},
        {"failing", failing},
        {"failing in one place", failing_in_one_place},
        {"full, with holes", full_with_holes},
        {"overwriting what is full", overwriting_full},
    };

    return UNIT_SUITE("tier", cases);
}
