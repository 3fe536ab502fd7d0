// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: on a real unlinked file (storage is there before slots are handed out and gone after they
 * came back), and on one that fails whenever it likes.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "index.h"
#include "pool.h"
#include "slots.h"
#include "util.h"

#define MANY 600u

static uint32_t slot[MANY * 6], generation[MANY * 6];
static uint64_t taken, used;

static uint64_t stored(int fd)
{
    struct stat st;

    return fstat(fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

static void on_a_file(void)
{
    int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct pool *pool;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(
        pool_open_on(&pool, &(struct pool_config){.fd = fd, .id = 9}, &pool_dir_ops), 0);
    CU_ASSERT(pool_fd(pool) == fd && pool_id(pool) == 9);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(pool_take(pool, 0, MANY, slot + i * MANY, generation + i * MANY), 0);
    pool_usage(pool, &taken, &used);
    CU_ASSERT_EQUAL(used, 4 * MANY * 4096);
    CU_ASSERT(taken >= used && stored(fd) >= taken);
    uint32_t again[MANY + 1], with[MANY + 1] = {0};
    for (uint32_t i = 0; i < MANY; i++)
        again[i] = slot[i];
    again[MANY] = INDEX_BASE;
    with[MANY] = 77;
    pool_generations(pool, MANY + 1, again, with);
    for (uint32_t i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(with[i], generation[i]);
    CU_ASSERT_EQUAL(with[MANY], 77);
    pool_give(pool, 4 * MANY, slot);
    pool_usage(pool, &taken, &used);
    CU_ASSERT_EQUAL(used, 0);
    CU_ASSERT(taken <= SLOTS_PER_EXTENT * 4096);
    CU_ASSERT(stored(fd) <= taken + (64 << 10));
    pool_give(pool, 0, NULL);
    pool_close(pool);
    CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
}

static uint32_t grows, fail_at, punches;
static int fail_with;

static int grow(int fd, uint64_t offset, uint64_t length)
{
    (void)fd;
    CU_ASSERT_EQUAL(length, SLOTS_PER_EXTENT * 4096);
    CU_ASSERT_EQUAL(offset % length, 0);
    return ++grows >= fail_at ? fail_with : 0;
}

static void punch(int fd, uint64_t offset, uint64_t length)
{
    (void)fd, (void)offset, (void)length;
    punches++;
}

static const struct pool_ops ops = {.grow = grow, .punch = punch};

/* Takes until it fails at each growth in turn: all or nothing, and nothing lost. */
static void failing_growth(void)
{
    static const int errors[] = {-ENOSPC, -EIO, -EPERM};

    for (uint32_t e = 0; e < ARRAY_SIZE(errors); e++) {
        for (fail_at = 1; fail_at < 5; fail_at++) {
            struct pool *pool;
            uint32_t got = 0;
            grows = punches = 0;
            fail_with = errors[e];
            CU_ASSERT_EQUAL_FATAL(
                pool_open_on(&pool, &(struct pool_config){.fd = memfd_create("p", MFD_CLOEXEC)},
                             &ops),
                0);
            int err;
            while (!(err = pool_take(pool, 0, 257, slot, generation)))
                got += 257;
            CU_ASSERT_EQUAL(err, errors[e]);
            CU_ASSERT_EQUAL(got, (fail_at - 1) * SLOTS_PER_EXTENT / 257 * 257);
            pool_usage(pool, &taken, &used);
            CU_ASSERT_EQUAL(used, (uint64_t)got * 4096);
            CU_ASSERT_EQUAL(taken, (uint64_t)(fail_at - 1) * SLOTS_PER_EXTENT * 4096);
            uint32_t rest = (fail_at - 1) * SLOTS_PER_EXTENT - got;
            if (fail_with == -ENOSPC && rest)
                CU_ASSERT_EQUAL(pool_take(pool, 0, rest, slot, generation), 0);
            fail_with = 0;
            CU_ASSERT_EQUAL(pool_take(pool, 0, 257, slot, generation), 0);
            pool_close(pool);
        }
    }
}

/* A full pool takes crumbs from wherever they are. */
static void scraping(void)
{
    struct pool *pool;
    uint32_t back[64], n = 0;

    grows = punches = 0;
    fail_at = 3;
    fail_with = -ENOSPC;
    CU_ASSERT_EQUAL_FATAL(
        pool_open_on(&pool, &(struct pool_config){.fd = memfd_create("p", MFD_CLOEXEC)}, &ops), 0);
    CU_ASSERT_EQUAL(pool_take(pool, 0, 2048, slot, generation), 0);
    CU_ASSERT_EQUAL(pool_take(pool, 0, 1, back, generation), -ENOSPC);
    for (uint32_t i = 0; i < 2048; i += 32)
        back[n++] = slot[i];
    pool_give(pool, n, back);
    CU_ASSERT_EQUAL(pool_take(pool, 0, n + 1, slot, generation), -ENOSPC);
    CU_ASSERT_EQUAL(pool_take(pool, 0, n, slot, generation), 0);
    for (uint32_t i = 0; i < n; i++)
        CU_ASSERT(generation[i] > 1);
    CU_ASSERT_EQUAL(punches, 0);
    pool_close(pool);
}

/* First touches leave a reserve in a pool that cannot grow; others may take it, and give it back. */
static void reserve(void)
{
    struct pool *pool;
    uint32_t got = 0, n = 0;

    grows = punches = 0;
    fail_at = 4;
    fail_with = -ENOSPC;
    CU_ASSERT_EQUAL_FATAL(
        pool_open_on(&pool, &(struct pool_config){.fd = memfd_create("p", MFD_CLOEXEC)}, &ops), 0);
    while (pool_take(pool, POOL_RESERVE, 100, slot + got, generation) == 0)
        got += 100;
    CU_ASSERT(got + POOL_RESERVE <= 3 * SLOTS_PER_EXTENT);
    CU_ASSERT(got + POOL_RESERVE + 100 > 3 * SLOTS_PER_EXTENT);
    for (; n < 20; n++) {
        CU_ASSERT_EQUAL(pool_take(pool, 0, 100, slot + got, generation), 0);
        pool_give(pool, 100, slot);
        for (uint32_t i = 0; i < got; i++)
            slot[i] = slot[i + 100];
        CU_ASSERT_EQUAL(pool_take(pool, POOL_RESERVE, 100, slot + got, generation), -ENOSPC);
    }
    pool_usage(pool, &taken, &used);
    CU_ASSERT_EQUAL(used, got * 4096ull);
    pool_close(pool);
}

static void holding(void)
{
    struct pool *pool;
    uint64_t since = 1;

    CU_ASSERT_EQUAL_FATAL(
        pool_open_on(&pool, &(struct pool_config){.fd = memfd_create("p", MFD_CLOEXEC)}, &ops), 0);
    CU_ASSERT(pool_held(pool, &since) == 0 && since == 0);
    unit_capture_start();
    for (int i = 0; i < 5; i++)
        pool_hold(pool);
    unsigned int lines = unit_capture_count("\n");
    uint32_t held = pool_held(pool, &since);
    for (int i = 0; i < 5; i++)
        pool_unhold(pool);
    unit_capture_end();
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT(held == 5 && since > 0);
    CU_ASSERT(pool_held(pool, &since) == 0 && since == 0);
    pool_close(pool);
}

int suite_pool(void)
{
    static const struct unit_case cases[] = {
        {"on a file", on_a_file}, {"growth that fails", failing_growth},
        {"scraping", scraping},   {"reserve", reserve},
        {"holding", holding},
    };

    return UNIT_SUITE("pool", cases);
}
