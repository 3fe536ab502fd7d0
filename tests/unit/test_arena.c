// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arena: runs never overlap, come back wiped, and whoever waits is called, whatever he did meanwhile.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "arena.h"
#include "memfile.h"

#define PAGES 128u

static struct arena *arena;

static void open_arena(void)
{
    CU_ASSERT_EQUAL_FATAL(arena_open(&arena, PAGES * ARENA_PAGE), 0);
    CU_ASSERT_EQUAL(arena_pages(arena), PAGES);
}

static void runs(void)
{
    struct {
        uint8_t *buf;
        uint32_t pages;
        uint8_t mark;
    } r[24] = {0};
    uint64_t random = 1;
    uint32_t in_use = 0, wrong = 0;

    open_arena();
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t k = (uint32_t)unit_below(&random, 24);
        if (r[k].buf) {
            for (size_t b = 0; b < (size_t)r[k].pages * ARENA_PAGE; b += 512)
                wrong += r[k].buf[b] != r[k].mark;
            arena_put(arena, r[k].buf, r[k].pages);
            in_use -= r[k].pages;
            for (size_t b = 0; b < (size_t)r[k].pages * ARENA_PAGE; b += 64)
                wrong += r[k].buf[b] != 0;
            r[k].buf = NULL;
        } else {
            r[k].pages = 1 + (uint32_t)unit_below(&random, i % 4 ? 6 : 70);
            r[k].mark = (uint8_t)(i | 1);
            r[k].buf = arena_get(arena, r[k].pages);
            if (r[k].buf) {
                wrong += ((uintptr_t)r[k].buf % ARENA_PAGE) != 0;
                memset(r[k].buf, r[k].mark, (size_t)r[k].pages * ARENA_PAGE);
                in_use += r[k].pages;
            }
        }
        wrong += arena_in_use(arena) != in_use;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (uint32_t k = 0; k < 24; k++)
        arena_put(arena, r[k].buf, r[k].pages);
    CU_ASSERT_EQUAL(arena_in_use(arena), 0);
    arena_trim(arena);
    uint8_t *all = arena_get(arena, PAGES);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    CU_ASSERT_EQUAL(all[5 * ARENA_PAGE], 0);
    CU_ASSERT_PTR_NULL(arena_get(arena, 1));
    arena_trim(arena);
    arena_put(arena, all, PAGES);
    CU_ASSERT_PTR_NULL(arena_get(arena, PAGES + 1));
    arena_close(arena);
}

struct waiter {
    struct arena_waiter wait;
    uint32_t called, wait_again;
};

static void waiter_ready(struct arena_waiter *wait)
{
    struct waiter *waiter = container_of(wait, struct waiter, wait);

    waiter->called++;
    if (waiter->wait_again) {
        waiter->wait_again--;
        arena_wait(arena, wait);
    }
}

static void waiter_open(struct waiter *waiter, uint32_t again)
{
    memset(waiter, 0, sizeof(*waiter));
    waiter->wait.ready = waiter_ready;
    list_init(&waiter->wait.link);
    waiter->wait_again = again;
    arena_wait(arena, &waiter->wait);
}

static void stir(void)
{
    arena_put(arena, arena_get(arena, 1), 1);
}

static void waiters(void)
{
    struct waiter a, b;

    open_arena();
    waiter_open(&a, 1);
    waiter_open(&b, 0);
    arena_wake(arena);
    CU_ASSERT(a.called == 0 && b.called == 0);
    stir();
    CU_ASSERT(arena_stirred(arena));
    arena_wake(arena);
    CU_ASSERT(a.called == 1 && b.called == 1);
    CU_ASSERT_FALSE(arena_stirred(arena));
    stir();
    arena_wake(arena);
    CU_ASSERT(a.called == 2 && b.called == 1);
    stir();
    arena_wake(arena);
    CU_ASSERT(a.called == 2);
    arena_close(arena);
}

/* A queue that is served again while it waits for a buffer waits a second time. */
static void waiting_twice(void)
{
    struct waiter a, b;

    open_arena();
    waiter_open(&a, 0);
    waiter_open(&b, 0);
    arena_wait(arena, &a.wait);
    stir();
    arena_wake(arena);
    CU_ASSERT_EQUAL(a.called, 1);
    CU_ASSERT_EQUAL(b.called, 1);
    arena_close(arena);
}

static void leaving(void)
{
    struct waiter a, b;

    open_arena();
    waiter_open(&a, 0);
    waiter_open(&b, 0);
    list_remove(&a.wait.link);
    stir();
    arena_wake(arena);
    CU_ASSERT(a.called == 0 && b.called == 1);
    arena_close(arena);
}

/* Pages of memory that it has. */
static uint64_t pages_held(void)
{
    struct stat st;

    CU_ASSERT_EQUAL_FATAL(fstat(arena_fd(arena), &st), 0);
    return (uint64_t)st.st_blocks * 512 / ARENA_PAGE;
}

/* An idle arena costs nothing; to wipe it for good takes no new page. */
static void idle(void)
{
    open_arena();
    CU_ASSERT_EQUAL(pages_held(), 0);
    uint8_t *buf = arena_get(arena, 10);
    memset(buf, 0x5a, 10 * ARENA_PAGE);
    CU_ASSERT_EQUAL(pages_held(), 10);
    memfile_wipe(arena_fd(arena));
    CU_ASSERT_EQUAL(pages_held(), 10);
    for (uint32_t i = 0; i < 10 * ARENA_PAGE; i++)
        if (buf[i])
            CU_FAIL_FATAL("not wiped");
    arena_put(arena, buf, 10);
    arena_trim(arena);
    CU_ASSERT_EQUAL(pages_held(), 0);
    memfile_wipe(arena_fd(arena));
    CU_ASSERT_EQUAL(pages_held(), 0);
    arena_close(arena);
}

/* Locked and not to be dumped. */
static void locked(void)
{
    char line[512];
    bool inside = false, lo = false, dd = false;

    open_arena();
    unsigned long at = (unsigned long)arena_get(arena, PAGES), from, to;
    FILE *f = fopen("/proc/self/smaps", "re");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= at && at < to;
        if (!inside || strncmp(line, "VmFlags:", 8))
            continue;
        lo = strstr(line, " lo") != NULL;
        dd = strstr(line, " dd") != NULL;
    }
    fclose(f);
    CU_ASSERT(dd);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
    CU_ASSERT(lo);
#endif
#endif
    (void)lo;
    arena_put(arena, (uint8_t *)at, PAGES);
    arena_close(arena);
}

int suite_arena(void)
{
    static const struct unit_case cases[] = {
        {"runs", runs},       {"waiters", waiters}, {"waiting twice", waiting_twice},
        {"leaving", leaving}, {"idle", idle},       {"locked", locked},
    };

    return UNIT_SUITE("arena", cases);
}
