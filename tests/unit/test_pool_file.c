// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: on a real unlinked file, with real writes: its storage is there before a slot is handed out,
 * goes back when slots do, and stays near what is live whatever the guest does; and no block of it is
 * ever lost or mixed up.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fake_backing.h"
#include "index.h"
#include "pool.h"
#include "slots.h"
#include "util.h"

#define LIVE (64u << 8) /* blocks: 64 MiB */
/* Besides a quarter of the live data: the extent written to and the one that comes next, and what
 * the file system needs to describe the file. */
#define FIXED ((2 * BACKING_EXTENT) + (1 << 20))

static struct pool *pool;
static struct unit_waiter waiter;
static int file;
static uint32_t *where, *version;
static uint64_t random_state, most;

static void open_file(struct pool_config config)
{
    file = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CU_ASSERT_FATAL(file >= 0);
    config.fd = file;
    config.kind = POOL_DIR;
    CU_ASSERT_EQUAL_FATAL(pool_open(&pool, &config), 0);
    CU_ASSERT_EQUAL_FATAL(pool_start(pool), 0);
    waiter_init(&waiter);
    random_state = 1;
    most = 0;
    where = malloc(LIVE * sizeof(*where));
    version = calloc(LIVE, sizeof(*version));
    CU_ASSERT_FATAL(where && version);
    memset(where, 0xff, LIVE * sizeof(*where));
}

static void close_file(void)
{
    pool_close(pool);
    CU_ASSERT_EQUAL(fcntl(file, F_GETFD), -1);
    free(where);
    free(version);
}

static uint64_t stored(void)
{
    struct stat st;
    uint64_t bytes = fstat(file, &st) ? UINT64_MAX : (uint64_t)st.st_blocks * 512;

    most = bytes > most ? bytes : most;
    return bytes;
}

static void fill(uint32_t block, uint64_t *page)
{
    for (uint32_t i = 0; i < BLOCK_SIZE / 8; i++)
        page[i] = (uint64_t)block << 32 | version[block];
}

/* Writes one run of blocks as a volume does: takes, writes, gives back what they were in before. */
static int write_run(uint32_t block, uint32_t run)
{
    uint32_t slot[64], before[64], n = 0;
    uint64_t generation[64], page[BLOCK_SIZE / 8];
    struct pool_slots slots = {.n = run, .slot = slot, .generation = generation};
    struct pool_stats stats;
    bool first = false;

    for (uint32_t i = 0; i < run; i++)
        first |= where[block + i] > INDEX_MAX_SLOT;
    int err = waiter_take(&waiter, pool, &slots, first, 1);
    if (err)
        return err;
    pool_stats(pool, &stats);
    CU_ASSERT(stored() >= stats.used);
    for (uint32_t i = 0; i < run; i++) {
        version[block + i]++;
        fill(block + i, page);
        if (pwrite(file, page, BLOCK_SIZE, (off_t)pool_offset(pool, slot[i])) != BLOCK_SIZE)
            return -EIO;
        if (where[block + i] <= INDEX_MAX_SLOT)
            before[n++] = where[block + i];
        where[block + i] = slot[i];
    }
    pool_give(pool, n, before);
    return 0;
}

/* All that lives reads as it was written. */
static uint32_t spoilt_blocks(void)
{
    uint64_t page[BLOCK_SIZE / 8], expect[BLOCK_SIZE / 8];
    uint32_t wrong = 0;

    for (uint32_t block = 0; block < LIVE; block++) {
        if (where[block] > INDEX_MAX_SLOT)
            continue;
        fill(block, expect);
        wrong += pread(file, page, BLOCK_SIZE, (off_t)pool_offset(pool, where[block])) !=
                     BLOCK_SIZE ||
                 memcmp(page, expect, BLOCK_SIZE);
    }
    return wrong;
}

static bool fits(void *arg)
{
    return stored() <= *(uint64_t *)arg;
}

static void discard(uint32_t percent)
{
    for (uint32_t block = 0; block < LIVE; block++) {
        if (where[block] > INDEX_MAX_SLOT || unit_below(&random_state, 100) >= percent)
            continue;
        pool_give(pool, 1, &where[block]);
        where[block] = UINT32_MAX;
    }
}

static void overwriting(void)
{
    const uint64_t live = (uint64_t)LIVE * BLOCK_SIZE;
    struct pool_stats stats;
    uint64_t few = FIXED;

    open_file((struct pool_config){.id = 2});
    for (uint32_t at = 0; at < LIVE; at += 64)
        CU_ASSERT_EQUAL_FATAL(write_run(at, 64), 0);
    for (uint64_t written = 0, run; written < 4ull * LIVE; written += run) {
        run = 1 + unit_below(&random_state, written % 3 ? 4 : 32);
        uint32_t at = (uint32_t)unit_below(&random_state, LIVE - run);
        CU_ASSERT_EQUAL_FATAL(write_run(at, (uint32_t)run), 0);
    }
    printf("\n    64 MiB overwritten 4 times: %.3f of it stored at most",
           (double)most / (double)live);
    CU_ASSERT(most <= live * 5 / 4);
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    discard(90);
    pool_stats(pool, &stats);
    uint64_t bound = stats.used * 5 / 4 + FIXED;
    CU_ASSERT(stats.used > live / 12 && stats.used < live / 8);
    CU_ASSERT(unit_until(fits, &bound));
    printf("\n    nine tenths discarded: %.1f MiB stored for %.1f", (double)stored() / (1 << 20),
           (double)stats.used / (1 << 20));
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    for (uint32_t at = 0; at < LIVE; at += 16) /* into what was punched */
        CU_ASSERT_EQUAL_FATAL(write_run(at, 16), 0);
    CU_ASSERT_EQUAL(spoilt_blocks(), 0);
    CU_ASSERT(stored() <= live * 5 / 4);
    discard(100);
    CU_ASSERT(unit_until(fits, &few));
    printf("\n    all discarded: %.1f MiB stored", (double)stored() / (1 << 20));
    close_file();
}

static void quota(void)
{
    const uint64_t bytes = 48 << 20;

    open_file((struct pool_config){.id = 2, .bytes = bytes});
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t at = 0;
        while (at < LIVE && write_run(at, 16) == 0)
            at += 16;
        CU_ASSERT(at < LIVE && at > 32 << 8);
        CU_ASSERT_EQUAL(spoilt_blocks(), 0);
        for (uint32_t i = 0; i < 1000; i++) /* overwrites go on */
            CU_ASSERT_EQUAL(write_run((uint32_t)unit_below(&random_state, at / 16) * 16, 16), 0);
        CU_ASSERT_EQUAL(spoilt_blocks(), 0);
        discard(round % 2 ? 85 : 22);
    }
    printf(" %.2f of it stored at most ", (double)most / (double)bytes);
    CU_ASSERT(most <= bytes + (1 << 20));
    close_file();
}

int suite_pool_file(void)
{
    static const struct unit_case cases[] = {
        {"overwriting", overwriting},
        {"quota", quota},
    };

    return UNIT_SUITE("pool_file", cases);
}
