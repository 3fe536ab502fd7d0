// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: waiters and threads: forgotten, closed while somebody waits or the keeper is at it, held
 * writes, many threads at once, memory that cannot be had.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "fake_backing.h"
#include "pool.h"
#include "shake.h"
#include "slots.h"
#include "util.h"

#define THREADS 4u

static struct fake_backing fake;
static struct pool *pool;

static void open_pool(struct pool_config config)
{
    pool = fake_pool(&fake, &config);
}

static void close_pool(void)
{
    pool_close(pool);
    CU_ASSERT_EQUAL(fake.wrong, 0);
    CU_ASSERT_EQUAL(fake.backing.fd, -1);
}

static void forgotten(void)
{
    uint32_t slot[2];
    uint64_t generation[2];
    struct pool_slots one = {.n = 1, .slot = slot, .generation = generation}, two = one;
    struct unit_waiter gone, stays;

    open_pool((struct pool_config){.id = 1});
    waiter_init(&gone);
    waiter_init(&stays);
    fake.pause_ms = 50; /* so that neither is kicked before one is forgotten */
    CU_ASSERT_EQUAL(pool_take(pool, &one, true, &gone.waiter), -EAGAIN);
    CU_ASSERT_EQUAL(pool_take(pool, &two, true, &stays.waiter), -EAGAIN);
    pool_forget(pool, &gone.waiter);
    pool_forget(pool, &gone.waiter); /* twice is harmless */
    CU_ASSERT(waiter_wait(&stays, 20000));
    CU_ASSERT_EQUAL(waiter_kicks(&gone), 0);
    CU_ASSERT_EQUAL(pool_take(pool, &two, true, &stays.waiter), 0);
    pool_give(pool, 1, slot);
    CU_ASSERT_EQUAL(waiter_kicks(&gone), 0);
    close_pool();
}

static bool is_growing(void *arg)
{
    return ((struct fake_backing *)arg)->growing;
}

/* A keeper in the middle of something is waited for; waiters are simply left. */
static void closing(void)
{
    uint32_t slot[1];
    uint64_t generation[1];
    struct pool_slots one = {.n = 1, .slot = slot, .generation = generation};
    struct unit_waiter waiter;

    waiter_init(&waiter);
    open_pool((struct pool_config){.id = 1});
    fake.pause_ms = 100;
    CU_ASSERT_EQUAL(pool_take(pool, &one, true, &waiter.waiter), -EAGAIN);
    CU_ASSERT_FATAL(unit_until(is_growing, &fake));
    close_pool(); /* the fake counts as wrong to be closed while it grows */
    CU_ASSERT_FALSE(fake.growing);
    waiter_init(&waiter);
    open_pool((struct pool_config){.id = 1});
    fake.allowed = 0;
    int err;
    while ((err = pool_take(pool, &one, true, &waiter.waiter)) == -EAGAIN)
        CU_ASSERT_FATAL(waiter_wait(&waiter, 20000));
    CU_ASSERT_EQUAL(err, -ENOSPC);
    close_pool();
    waiter_init(&waiter);
    open_pool((struct pool_config){.id = 1});
    close_pool(); /* nobody ever wanted anything */
}

static void never_started(void)
{
    struct pool_config config = {.kind = POOL_RAM, .fd = -1, .bytes = 16 << 20};
    unsigned int fds = unit_fds();

    CU_ASSERT_EQUAL_FATAL(pool_open(&pool, &config), 0);
    pool_close(pool);
    pool_close(NULL);
    if (!alloc_works()) {
        printf(" (half skipped: not linked with --wrap) ");
        return;
    }
    int err = -ENOMEM;
    for (uint64_t nth = 1; err && nth < 20; nth++) {
        alloc_fail_from(nth);
        err = pool_open(&pool, &config);
        bool failed = alloc_heal();
        CU_ASSERT(err == 0 || (err == -ENOMEM && failed));
    }
    CU_ASSERT_EQUAL_FATAL(err, 0);
    pool_close(pool);
    CU_ASSERT_EQUAL(unit_fds(), fds);
}

static void holding(void)
{
    uint64_t since = 1;

    open_pool((struct pool_config){.id = 1});
    CU_ASSERT(pool_held(pool, &since) == 0 && since == 0);
    unit_capture_start();
    for (int i = 0; i < 5; i++)
        pool_hold(pool);
    unsigned int lines = unit_capture_count("\n");
    uint32_t held = pool_held(pool, &since);
    for (int i = 0; i < 4; i++)
        pool_unhold(pool);
    uint64_t still = 0;
    uint32_t one = pool_held(pool, &still);
    pool_unhold(pool);
    unit_capture_end();
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT(held == 5 && since > 0 && one == 1 && still == since);
    CU_ASSERT(pool_held(pool, &since) == 0 && since == 0);
    close_pool();
}

static void counting(void)
{
    struct pool_stats stats;

    open_pool((struct pool_config){.id = 1, .bytes = 40 << 20});
    fake.left = 1 << 30;
    pool_count_write(pool, 3);
    pool_count_write(pool, 256);
    pool_look(pool);
    pool_stats(pool, &stats);
    CU_ASSERT(stats.writes == 2 && stats.write_blocks == 259);
    CU_ASSERT(stats.left == 40 << 20 && stats.taken == 0 && stats.used == 0 && stats.ram == 0);
    CU_ASSERT(stats.memory < 64 << 10);
    uint32_t slot[257];
    uint64_t generation[257];
    struct pool_slots slots = {.n = 257, .slot = slot, .generation = generation};
    struct unit_waiter waiter;
    waiter_init(&waiter);
    CU_ASSERT_EQUAL(waiter_take(&waiter, pool, &slots, true, 0), 0);
    pool_look(pool);
    pool_stats(pool, &stats);
    CU_ASSERT_EQUAL(stats.used, 257 * BLOCK_SIZE);
    CU_ASSERT(stats.taken >= BACKING_EXTENT && stats.taken % BACKING_EXTENT == 0);
    CU_ASSERT_EQUAL(stats.left, (40 << 20) - stats.taken);
    close_pool();
}

static _Atomic uint8_t owner[FAKE_HOMES * SLOTS_PER_EXTENT]; /* by place in the storage */
static _Atomic uint32_t shared, refused;

struct user {
    pthread_t thread;
    uint64_t seed;
    struct unit_waiter waiter;
    uint32_t n, slot[4096];
};

static void user_take(struct user *me, uint32_t want, bool first)
{
    uint64_t generation[257];
    struct pool_slots slots = {.n = want, .slot = me->slot + me->n, .generation = generation};
    int err = waiter_take(&me->waiter, pool, &slots, first, first ? 0 : 3);

    refused += err != 0;
    for (uint32_t i = 0; !err && i < want; i++) {
        uint64_t at = pool_offset(pool, slots.slot[i]);
        shared += atomic_fetch_add(&owner[at / BLOCK_SIZE], 1);
        fake.wrong += !fake_is_there(&fake, at);
    }
    if (err != 0 && err != -ENOSPC)
        fake.wrong++;
    if (!err)
        me->n += want;
}

static void *user_main(void *arg)
{
    struct user *me = arg;

    for (uint32_t i = 0; i < 1500; i++) {
        uint32_t want = 1 + (uint32_t)unit_below(&me->seed, i % 5 ? 16 : 257);
        if (me->n + want <= ARRAY_SIZE(me->slot) && unit_below(&me->seed, 2)) {
            user_take(me, want, unit_below(&me->seed, 4));
            continue;
        }
        want = min_u32(want * (i / 400 % 2 ? 3 : 1), me->n);
        me->n -= want;
        for (uint32_t k = 0; k < want; k++)
            shared -= atomic_fetch_sub(&owner[pool_offset(pool, me->slot[me->n + k]) / BLOCK_SIZE],
                                       1) != 1;
        pool_give(pool, want, me->slot + me->n);
    }
    return NULL;
}

/* Nobody ever has what another has, and everybody gets on, in a pool that is full now and then. */
static void many_threads(void)
{
    static struct user users[THREADS];
    struct pool_stats stats;
    uint64_t used = 0;

    for (uint32_t round = 0; round < 3; round++) {
        memset(owner, 0, sizeof(owner));
        memset(users, 0, sizeof(users));
        shared = refused = 0;
        open_pool((struct pool_config){.id = 1});
        fake.allowed = round == 1 ? 1 : 30;
        shake(round == 2);
        for (uint32_t i = 0; i < THREADS; i++) {
            waiter_init(&users[i].waiter);
            users[i].seed = round * THREADS + i;
            CU_ASSERT_EQUAL(pthread_create(&users[i].thread, NULL, user_main, &users[i]), 0);
        }
        used = 0;
        for (uint32_t i = 0; i < THREADS; i++) {
            pthread_join(users[i].thread, NULL);
            used += users[i].n;
        }
        shake(false);
        pool_stats(pool, &stats);
        CU_ASSERT_EQUAL(stats.used, used * BLOCK_SIZE);
        CU_ASSERT_EQUAL(shared, 0);
        CU_ASSERT(round == 1 ? refused > 0 : refused == 0);
        for (uint32_t i = 0; i < THREADS; i++)
            pool_give(pool, users[i].n, users[i].slot);
        close_pool();
    }
}

/* Takes slots in memory until they have to wait; how many were given. */
static uint32_t take_memory(struct unit_waiter *waiter)
{
    uint32_t slot, n = 0;
    uint64_t generation;
    struct pool_slots one = {.n = 1, .slot = &slot, .generation = &generation};

    for (;;) {
        if (!pool_take(pool, &one, true, &waiter->waiter)) {
            pool_settle(pool, &one);
            n++;
        } else if (!waiter_wait(waiter, 300)) {
            return n; /* nobody kicks: only what lies below could help */
        }
    }
}

/* Who is to ask for places waits for the answer, and is told when there is one. */
static void later(void)
{
    struct unit_waiter waiter;

    open_pool((struct pool_config){.id = 1, .ram = 8u << 20});
    waiter_init(&waiter);
    fake.error = -EAGAIN;
    fake.fail_at = 1;
    CU_ASSERT(take_memory(&waiter) > SLOTS_PER_EXTENT);
    uint32_t asked = fake.grows;
    unit_sleep(200);
    CU_ASSERT(asked >= 1 && asked < 10);
    CU_ASSERT(fake.grows - asked < 3);
    fake.fail_at = 0;
    pool_look_again(pool);
    CU_ASSERT(waiter_wait(&waiter, 5000));
    uint32_t slot;
    uint64_t generation;
    struct pool_slots one = {.n = 1, .slot = &slot, .generation = &generation};
    CU_ASSERT_EQUAL(waiter_take(&waiter, pool, &one, true, 0), 0);
    pool_settle(pool, &one);
    close_pool();
}

#define TAGGED 6000u

static uint64_t memory(void)
{
    struct pool_stats stats;

    pool_stats(pool, &stats);
    return stats.memory;
}

/* Tags are given back with what they are for: all but a few extents'. */
static bool memory_is_back(void *arg)
{
    return memory() <= *(uint64_t *)arg;
}

/* 16 bytes a slot, each its own, as long as the slot is taken. */
static void tags(void)
{
    static uint32_t slot[TAGGED];
    uint64_t generation, plain = 0;
    struct unit_waiter waiter;

    for (int integrity = 0; integrity < 2; integrity++) {
        uint32_t wrong = 0;
        open_pool((struct pool_config){.id = 1, .integrity = integrity});
        waiter_init(&waiter);
        for (uint32_t i = 0; i < TAGGED; i++) {
            struct pool_slots one = {.n = 1, .slot = slot + i, .generation = &generation};
            CU_ASSERT_EQUAL_FATAL(waiter_take(&waiter, pool, &one, true, 0), 0);
            uint8_t *tag = pool_tag(pool, slot[i]);
            CU_ASSERT_EQUAL_FATAL(tag != NULL, integrity);
            for (uint32_t k = 0; tag && k < POOL_TAG; k++)
                tag[k] = (uint8_t)(slot[i] >> (k % 4 * 8));
        }
        for (uint32_t i = 0; integrity && i < TAGGED; i++)
            for (uint32_t k = 0; k < POOL_TAG; k++)
                wrong += pool_tag(pool, slot[i])[k] != (uint8_t)(slot[i] >> (k % 4 * 8));
        CU_ASSERT_EQUAL(wrong, 0);
        uint64_t before = memory();
        CU_ASSERT(!integrity || before >= plain + (uint64_t)TAGGED * POOL_TAG);
        CU_ASSERT(!integrity || before <= plain + (uint64_t)TAGGED * POOL_TAG * 5 / 4 +
                                              SLOTS_PER_EXTENT * POOL_TAG);
        plain = before;
        pool_give(pool, TAGGED, slot);
        uint64_t less = before - (uint64_t)integrity * (TAGGED - 3 * SLOTS_PER_EXTENT) * POOL_TAG;
        CU_ASSERT(unit_until(memory_is_back, &less));
        close_pool();
    }
}

/* Without memory for tags there are no slots; with the next there are. */
static void no_memory_for_tags(void)
{
    uint32_t slot;
    uint64_t generation;
    struct pool_slots one = {.n = 1, .slot = &slot, .generation = &generation};
    struct unit_waiter waiter;
    uint32_t failures = 0;

    if (!alloc_works()) {
        printf(" (skipped: not linked with --wrap) ");
        return;
    }
    for (uint64_t nth = 1; nth < 8; nth++) {
        open_pool((struct pool_config){.id = 1, .integrity = true});
        waiter_init(&waiter);
        alloc_fail_others(nth);
        int err = waiter_take(&waiter, pool, &one, true, 0);
        failures += alloc_others_failed();
        CU_ASSERT(!err || alloc_others_failed());
        alloc_fail_others(0);
        if (err)
            err = waiter_take(&waiter, pool, &one, true, 3);
        CU_ASSERT_EQUAL_FATAL(err, 0);
        memset(pool_tag(pool, slot), 1, POOL_TAG);
        close_pool();
    }
    CU_ASSERT(failures >= 3);
}

int suite_pool_life(void)
{
    static const struct unit_case cases[] = {
        {"a waiter forgotten", forgotten},
        {"closing", closing},
        {"never started", never_started},
        {"holding", holding},
        {"counting", counting},
        {"many threads", many_threads},
        {"an answer that comes later", later},
        {"tags", tags},
        {"no memory for tags", no_memory_for_tags},
    };

    return UNIT_SUITE("pool_life", cases);
}
