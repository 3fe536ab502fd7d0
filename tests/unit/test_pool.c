// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: on storage that fails, waits or runs out whenever a test likes (fake_backing).  What a real
 * file system does with it is in test_pool_file, memory in front in test_tier.
 */
#include "unit.h"

#include <errno.h>

#include <stdlib.h>
#include <string.h>
#include "fake_backing.h"
#include "index.h"
#include "pool.h"
#include "slots.h"
#include "util.h"

#define NEVER      UINT32_MAX /* refusals that are not waited for */
#define BLOCKS_MAX 257u       /* of a request */
#define MOST       (8u * SLOTS_PER_EXTENT)

static struct fake_backing fake;
static struct pool *pool;
static struct unit_waiter waiter;
static uint32_t slot[MOST];
static uint64_t generation[MOST];

static void open_pool(struct pool_config config)
{
    pool = fake_pool(&fake, &config);
    waiter_init(&waiter);
}

static void close_pool(void)
{
    pool_close(pool);
    CU_ASSERT_EQUAL(fake.wrong, 0);
    CU_ASSERT_EQUAL(fake.backing.fd, -1);
}

/* n slots into slot[at...]; whether they lie on storage. */
static int take(uint32_t at, uint32_t n, bool first, uint32_t refusals)
{
    struct pool_slots slots = {.n = n, .slot = slot + at, .generation = generation + at};
    int err = waiter_take(&waiter, pool, &slots, first, refusals);

    for (uint32_t i = at; !err && i < at + n; i++)
        fake.wrong += slots.ram || !fake_is_there(&fake, pool_offset(pool, slot[i]));
    return err;
}

static struct pool_stats stats(void)
{
    struct pool_stats all;

    pool_stats(pool, &all);
    return all;
}

/* The keeper gives back, in its own time. */
static bool few_are_there(void *arg)
{
    return fake_blocks(&fake) <= *(uint64_t *)arg;
}

static void taking(void)
{
    struct pool_slots slots = {.n = BLOCKS_MAX, .slot = slot, .generation = generation};
    uint64_t few = 2 * SLOTS_PER_EXTENT;

    open_pool((struct pool_config){.id = 9});
    CU_ASSERT(pool_id(pool) == 9 && pool_fd(pool) == fake.backing.fd && !pool_has_memory(pool));
    CU_ASSERT(pool_take(pool, &slots, true, &waiter.waiter) == -EAGAIN); /* nothing is there yet */
    CU_ASSERT(waiter_wait(&waiter, 20000));
    CU_ASSERT_EQUAL(pool_take(pool, &slots, true, &waiter.waiter), 0);
    CU_ASSERT_FALSE(slots.ram);
    uint32_t got = BLOCKS_MAX;
    for (; got < 4100; got += BLOCKS_MAX)
        CU_ASSERT_EQUAL(take(got, BLOCKS_MAX, true, 0), 0);
    uint32_t again[] = {slot[0], INDEX_BASE, slot[got - 1]};
    uint64_t with[] = {0, 77, 0};
    pool_generations(pool, 3, again, with);
    CU_ASSERT(with[0] == generation[0] && with[1] == 77 && with[2] == generation[got - 1]);
    CU_ASSERT_EQUAL(stats().used, (uint64_t)got * BLOCK_SIZE);
    CU_ASSERT(stats().taken >= (uint64_t)got * BLOCK_SIZE && stats().ram == 0);
    pool_give(pool, 0, NULL);
    pool_give(pool, got, slot);
    CU_ASSERT_EQUAL(stats().used, 0);
    CU_ASSERT(unit_until(few_are_there, &few));
    CU_ASSERT(fake.punches > 0 && fake.homes <= 2);
    close_pool();
}

/* The largest request, whatever is left when it comes: what is grown for it is not given back before
 * it has got it. */
static void largest_request(void)
{
    for (uint32_t left = 440; left < 700; left += 10) {
        open_pool((struct pool_config){.id = 1});
        uint32_t got = 0, goal = 5 * SLOTS_PER_EXTENT - left;
        for (uint32_t n; got < goal; got += n) {
            n = min_u32(goal - got, 101);
            CU_ASSERT_EQUAL(take(got, n, false, 0), 0);
        }
        uint32_t grows = fake.grows;
        CU_ASSERT_EQUAL(take(got, BLOCKS_MAX, true, 0), 0);
        CU_ASSERT(fake.grows <= grows + 2);
        close_pool();
    }
}

/* Crumbs lie everywhere and nobody writes: the keeper grows what it wants, and rests. */
static void resting(void)
{
    uint32_t back[MOST], n = 0, pauses = 0;

    for (uint32_t every = 5; every < 9; every++) {
        open_pool((struct pool_config){.id = 1});
        for (uint32_t at = 0; at < MOST; at += 256)
            CU_ASSERT_EQUAL(take(at, 256, true, 0), 0);
        for (uint32_t at = n = 0; at < MOST; at += every)
            back[n++] = slot[at];
        pool_give(pool, n, back);
        for (uint32_t i = 0; i < 8; i++)
            CU_ASSERT_EQUAL(take(0, 97, false, 0), 0);
        unit_sleep(20);
        uint32_t grows = fake.grows, punches = fake.punches;
        unit_sleep(20);
        pauses += fake.grows <= grows + 1 && fake.punches <= punches + 1024;
        close_pool();
    }
    CU_ASSERT_EQUAL(pauses, 4);
}

/* Every other block goes: single runs are punched, and grown again before they are used. */
static void single_runs(void)
{
    uint32_t back[MOST / 2], n = 0;
    uint64_t few = (MOST / 2 + MOST / 12) + 2 * SLOTS_PER_EXTENT;

    open_pool((struct pool_config){.id = 1});
    for (uint32_t at = 0; at < MOST; at += 256)
        CU_ASSERT_EQUAL(take(at, 256, true, 0), 0);
    for (uint32_t at = 0; at < MOST; at += 2)
        back[n++] = slot[at];
    for (uint32_t at = 0; at < n; at += 256)
        pool_give(pool, 256, back + at);
    CU_ASSERT(unit_until(few_are_there, &few));
    for (uint32_t at = 1; at < MOST; at += 2)
        fake.wrong += !fake_is_there(&fake, pool_offset(pool, slot[at]));
    for (uint32_t at = 0; at < MOST / 2; at += 128)
        CU_ASSERT_EQUAL(take(at, 128, true, 0), 0);
    close_pool();
}

/* It fails at each growth in turn; who waits is told, and succeeds once it is healed. */
static void failing_growth(void)
{
    static const int errors[] = {-ENOSPC, -EIO, -EPERM};

    for (uint32_t e = 0; e < ARRAY_SIZE(errors) * 4; e++) {
        uint32_t nth = 1 + e % 4, got = 0;
        int err;
        open_pool((struct pool_config){.id = 1});
        fake.error = errors[e / 4];
        fake.fail_at = nth;
        while (!(err = take(got, 257, true, 0)))
            got += 257;
        CU_ASSERT_EQUAL(err, -ENOSPC);
        CU_ASSERT(fake.failed >= 1 && waiter.told == 1);
        CU_ASSERT(got + 257 + POOL_RESERVE > (nth - 1) * SLOTS_PER_EXTENT);
        CU_ASSERT(got + (got ? POOL_RESERVE : 0) <= (nth - 1) * SLOTS_PER_EXTENT);
        CU_ASSERT_EQUAL(stats().used, (uint64_t)got * BLOCK_SIZE);
        CU_ASSERT_EQUAL(stats().taken, (uint64_t)(nth - 1) * BACKING_EXTENT);
        struct pool_slots slots = {.n = 257, .slot = slot + got, .generation = generation};
        CU_ASSERT(pool_take(pool, &slots, true, &waiter.waiter) < 0);
        CU_ASSERT(waiter_wait(&waiter, 20000)); /* it was tried again, in vain */
        fake.fail_at = 0;
        CU_ASSERT_EQUAL(take(got, 257, true, NEVER), 0);
        close_pool();
    }
}

/* Storage comes while somebody waits: nobody else has to ask. */
static void storage_comes(void)
{
    struct pool_slots slots = {.n = 257, .slot = slot, .generation = generation};
    int err;

    open_pool((struct pool_config){.id = 1});
    fake.allowed = 0;
    CU_ASSERT_EQUAL(take(0, 257, true, 3), -ENOSPC);
    CU_ASSERT_EQUAL(waiter.told, 4);
    while ((err = pool_take(pool, &slots, true, &waiter.waiter)) == -EAGAIN)
        CU_ASSERT_FATAL(waiter_wait(&waiter, 20000));
    CU_ASSERT_EQUAL(err, -ENOSPC);
    fake.allowed = 1;
    CU_ASSERT_EQUAL(take(0, 257, true, NEVER), 0);
    close_pool();
}

/* A full pool takes crumbs from wherever they are. */
static void scraping(void)
{
    uint32_t back[64], n = 0;

    open_pool((struct pool_config){.id = 1});
    fake.allowed = 2;
    for (uint32_t at = 0; at < 2048; at += 128)
        CU_ASSERT_EQUAL(take(at, 128, false, 2), 0);
    CU_ASSERT_EQUAL(take(2048, 1, false, 0), -ENOSPC);
    for (uint32_t i = 0; i < 2048; i += 32)
        back[n++] = slot[i];
    pool_give(pool, n, back);
    CU_ASSERT_EQUAL(take(2048, n + 1, false, 1), -ENOSPC);
    CU_ASSERT_EQUAL(take(2048, n, false, 1), 0);
    for (uint32_t i = 0; i < n; i++)
        CU_ASSERT(generation[2048 + i] > 1);
    CU_ASSERT_EQUAL(fake.punches, 0);
    close_pool();
}

/* First touches leave a reserve; with that, overwrites go on in a full pool for ever. */
static void reserve(void)
{
    uint32_t got = 0, at = 0, refused = 0;

    open_pool((struct pool_config){.id = 1});
    fake.allowed = 3;
    while (take(got, 100, true, 1) == 0)
        got += 100;
    CU_ASSERT(got + POOL_RESERVE <= 3 * SLOTS_PER_EXTENT);
    CU_ASSERT(got + POOL_RESERVE + 100 > 3 * SLOTS_PER_EXTENT);
    for (uint32_t round = 0; round < 10000; round++) {
        refused += take(got, 100, false, 0) != 0;
        pool_give(pool, 100, slot + at);
        memcpy(slot + at, slot + got, 100 * sizeof(*slot));
        at = (at + 100) % got;
        if (round % 2000 == 0)
            CU_ASSERT_EQUAL(take(got, 100, true, 0), -ENOSPC);
    }
    CU_ASSERT_EQUAL(refused, 0);
    CU_ASSERT_EQUAL(stats().used, (uint64_t)got * BLOCK_SIZE);
    CU_ASSERT_EQUAL(fake.homes, 3);
    close_pool();
}

static void untaking(void)
{
    uint32_t seen = 0;

    open_pool((struct pool_config){.id = 1});
    fake.allowed = 1;
    CU_ASSERT_EQUAL(take(0, 100, true, 0), 0);
    struct pool_slots good = {.n = 50, .slot = slot}, bad = {.n = 50, .slot = slot + 50};
    pool_untake(pool, &good, false);
    CU_ASSERT_EQUAL(stats().used, 50 * BLOCK_SIZE);
    pool_untake(pool, &bad, true);
    CU_ASSERT_EQUAL(stats().used, 0);
    CU_ASSERT_EQUAL(take(100, SLOTS_PER_EXTENT - 49, false, 1), -ENOSPC);
    CU_ASSERT_EQUAL(take(100, SLOTS_PER_EXTENT - 50, false, 1), 0);
    for (uint32_t i = 100; i < 50 + SLOTS_PER_EXTENT; i++)
        for (uint32_t k = 50; k < 100; k++)
            seen += slot[i] == slot[k];
    CU_ASSERT_EQUAL(seen, 0);
    close_pool();
}

/* The bound on the whole is kept, over punching and growing again too; and it is named. */
static void quota(void)
{
    const uint32_t extents = 20;
    const uint64_t blocks = (uint64_t)extents * SLOTS_PER_EXTENT;
    uint32_t *all = calloc(2 * blocks, sizeof(*all)), n = 0;
    uint64_t random = 1, with[64];

    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    open_pool((struct pool_config){.id = 1, .bytes = extents * BACKING_EXTENT});
    for (uint32_t round = 0; round < 12; round++) {
        struct pool_slots slots = {.n = 64, .slot = all + n, .generation = with};
        while (waiter_take(&waiter, pool, &slots, true, 2) == 0) {
            n += 64;
            slots.slot = all + n;
        }
        CU_ASSERT(n > blocks * 3 / 4 && n <= blocks);
        CU_ASSERT(stats().taken <= extents * BACKING_EXTENT);
        uint64_t percent = round % 2 ? 85 : 22, keep = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (unit_below(&random, 100) < percent)
                pool_give(pool, 1, all + i);
            else
                all[keep++] = all[i];
        }
        n = (uint32_t)keep;
    }
    CU_ASSERT(fake.most <= blocks);
    unit_capture_start();
    pool_hold(pool);
    CU_ASSERT_EQUAL(unit_capture_count("quota"), 1);
    unit_capture_end();
    close_pool();
    free(all);
}

/* Its storage is full long before: then the guest's quota is not blamed for what others took. */
static void storage_full(void)
{
    uint32_t taken[64];
    uint64_t with[64];
    struct pool_slots slots = {.n = 64, .slot = taken, .generation = with};

    open_pool((struct pool_config){.id = 1, .bytes = 20 * BACKING_EXTENT});
    fake.allowed = 2;
    while (waiter_take(&waiter, pool, &slots, true, 2) == 0)
        ;
    CU_ASSERT(stats().taken <= 2 * BACKING_EXTENT);
    unit_capture_start();
    pool_hold(pool);
    CU_ASSERT_EQUAL(unit_capture_count("quota"), 0);
    CU_ASSERT_EQUAL(unit_capture_count("free some space"), 1);
    unit_capture_end();
    close_pool();
}

static void low_water(void)
{
    const uint64_t mib = 1 << 20;

    open_pool((struct pool_config){.id = 1, .low_water = 80 * mib});
    CU_ASSERT_EQUAL(stats().left, UINT64_MAX);
    unit_capture_start();
    fake.left = 80 * mib;
    pool_look(pool);
    unsigned int at_mark = unit_capture_count("low-water");
    fake.left = 80 * mib - 1;
    pool_look(pool);
    pool_look(pool);
    unsigned int below = unit_capture_count("low-water");
    uint64_t since = stats().low_since;
    fake.left = 90 * mib - 1; /* not above it by an eighth yet */
    pool_look(pool);
    uint64_t still = stats().low_since;
    fake.left = 79 * mib;
    pool_look(pool);
    unsigned int again = unit_capture_count("low-water");
    fake.left = 90 * mib;
    pool_look(pool);
    uint64_t recovered = stats().low_since;
    CU_ASSERT_EQUAL(stats().left, 90 * mib);
    fake.left = 1;
    pool_look(pool);
    unsigned int second = unit_capture_count("low-water");
    unit_capture_end();
    CU_ASSERT(at_mark == 0 && below == 1 && again == 1 && second == 2);
    CU_ASSERT(since > 0 && still == since && recovered == 0);
    close_pool();
}

int suite_pool(void)
{
    static const struct unit_case cases[] = {
        {"taking and giving", taking},
        {"largest request", largest_request},
        {"resting", resting},
        {"single runs", single_runs},
        {"growth fails", failing_growth},
        {"storage comes", storage_comes},
        {"scraping", scraping},
        {"reserve", reserve},
        {"untaking", untaking},
        {"quota", quota},
        {"storage full", storage_full},
        {"low water", low_water},
    };

    return UNIT_SUITE("pool", cases);
}
