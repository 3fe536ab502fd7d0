// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots at the end of their generations: the last is handed out once, an empty extent begins anew,
 * and nothing wraps at the end of the epochs.  And how the maps that thinning gives are walked.
 */
#include "unit.h"

#include <string.h>
#include "slots.h"

#define N          SLOTS_PER_EXTENT
#define COUNT_LAST 0xffffffu

static struct slots *slots;
static uint32_t slot[2 * N];
static uint64_t generation[2 * N];

/* One extent, all free, with counts and epoch as told. */
static void open_aged(uint32_t count, uint32_t epoch)
{
    CU_ASSERT_EQUAL_FATAL(slots_open(&slots, 1), 0);
    CU_ASSERT_EQUAL_FATAL(slots_grow(slots, false), 0);
    for (uint32_t s = 0; s < N; s++)
        slots_age(slots, s, count, epoch);
    slots_grown(slots, 0, true);
}

static uint32_t take(uint32_t want)
{
    return slots_take(slots, want, SLOTS_ANY, slot, generation);
}

/* How many of the first n taken have another generation. */
static uint32_t strays(uint32_t n, uint64_t expect)
{
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < n; i++)
        wrong += generation[i] != expect;
    return wrong;
}

static void give(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        slots_give(slots, slot[i]);
}

/* Storage goes away and comes back; false: there was nothing to thin. */
static bool thin_and_grow(bool *empty)
{
    uint64_t map[SLOTS_WORDS];

    slots_freeze(slots, 0); /* so that it is not the one taken from */
    slots_thaw(slots, 0);
    uint32_t extent = slots_thin(slots, 1, NULL, NULL, map, empty);
    if (extent == SLOTS_NO_EXTENT)
        return false;
    slots_thaw(slots, extent);
    CU_ASSERT_EQUAL(slots_grow(slots, false), extent);
    slots_grown(slots, extent, true);
    return true;
}

static void last_count(void)
{
    bool empty = true;

    open_aged(COUNT_LAST - 1, 7);
    CU_ASSERT_EQUAL(take(10), 10);
    CU_ASSERT_EQUAL(strays(10, 7ull << 24 | COUNT_LAST), 0);
    give(1, 10);
    CU_ASSERT_EQUAL(slots_free(slots), N - 10);
    /* One is still in use: what is retired stays so, its storage going and coming or not. */
    CU_ASSERT(thin_and_grow(&empty));
    CU_ASSERT_FALSE(empty);
    CU_ASSERT_EQUAL(slots_free(slots), N - 10);
    CU_ASSERT_EQUAL(slots_generation(slots, slot[0]), 7ull << 24 | COUNT_LAST);
    /* None is: a new epoch, and all are back, with greater generations. */
    give(0, 1);
    CU_ASSERT(thin_and_grow(&empty));
    CU_ASSERT(empty);
    CU_ASSERT_EQUAL(slots_free(slots), N);
    CU_ASSERT_EQUAL(take(N), N);
    CU_ASSERT_EQUAL(strays(N, 8ull << 24 | 1), 0);
    CU_ASSERT_EQUAL(take(1), 0);
    slots_close(slots);
}

/* All of an extent at its end at once, as it comes when a guest writes evenly. */
static void all_at_last_count(void)
{
    bool empty = false;

    open_aged(COUNT_LAST - 1, 0);
    CU_ASSERT_EQUAL(take(N), N);
    give(0, N);
    CU_ASSERT_EQUAL(slots_used(slots), 0);
    CU_ASSERT(slots_free(slots) == 0 || slots_free(slots) == N);
    CU_ASSERT(slots_free(slots) == N || (thin_and_grow(&empty) && empty));
    CU_ASSERT_EQUAL(slots_free(slots), N);
    CU_ASSERT_EQUAL(take(N), N);
    CU_ASSERT_EQUAL(strays(N, 1ull << 24 | 1), 0);
    slots_close(slots);
}

static void last_epochs(void)
{
    bool empty = false;

    open_aged(COUNT_LAST - 1, UINT32_MAX - 1);
    CU_ASSERT_EQUAL(take(1), 1);
    CU_ASSERT_EQUAL(generation[0], (uint64_t)(UINT32_MAX - 1) << 24 | COUNT_LAST);
    give(0, 1);
    CU_ASSERT(thin_and_grow(&empty) && empty);
    CU_ASSERT_EQUAL(take(N), N);
    CU_ASSERT_EQUAL(strays(N, (uint64_t)UINT32_MAX << 24 | 1), 0);
    slots_close(slots);
}

/* In the last epoch counts go on over emptying, to their end and no further. */
static void never_wraps(void)
{
    bool empty;

    open_aged(COUNT_LAST - 3, UINT32_MAX);
    for (uint32_t round = 3; round-- > 0;) {
        CU_ASSERT_EQUAL(take(N - 1), N - 1);
        CU_ASSERT_EQUAL(strays(N - 1, (uint64_t)UINT32_MAX << 24 | (COUNT_LAST - round)), 0);
        give(0, N - 1);
        empty = false;
        CU_ASSERT(thin_and_grow(&empty));
        CU_ASSERT(empty);
        CU_ASSERT_EQUAL(slots_free(slots), round ? N : 1);
    }
    for (uint32_t round = 0; round < 3; round++) {
        CU_ASSERT_EQUAL(take(2), 1); /* the one that was left out */
        CU_ASSERT_EQUAL(slot[0], N - 1);
        give(0, 1);
    }
    CU_ASSERT_EQUAL(take(1), 0);
    CU_ASSERT(!thin_and_grow(&empty) || take(1) == 0);
    slots_close(slots);
}

static void spoilt(void)
{
    bool empty = true;
    uint32_t bad, seen = 0;

    open_aged(0, 0);
    CU_ASSERT_EQUAL(take(20), 20);
    bad = slot[5];
    slots_spoil(slots, bad);
    CU_ASSERT_EQUAL(slots_used(slots), 19);
    CU_ASSERT_EQUAL(slots_free(slots), N - 20);
    CU_ASSERT(thin_and_grow(&empty));
    CU_ASSERT_FALSE(empty);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t got = slots_take(slots, N, SLOTS_ANY, slot + 20, generation + 20);
        CU_ASSERT_EQUAL(got, N - 20);
        for (uint32_t i = 0; i < got; i++)
            seen += slot[20 + i] == bad;
        give(20, 20 + got);
    }
    CU_ASSERT_EQUAL(seen, 0);
    slots_close(slots);
}

/* Runs found in a map are those it was made of, wherever words end. */
static void map_runs(void)
{
    static const uint32_t runs[][2] = {{0, 1},     {2, 61},    {64, 64},
                                       {130, 300}, {1000, 23}, {1023, 0}};
    uint64_t map[SLOTS_WORDS] = {0}, all[SLOTS_WORDS];
    uint32_t at = 0, sum = 0;

    CU_ASSERT_EQUAL(slots_map_run(map, &at), 0);
    CU_ASSERT_EQUAL(slots_map_count(map), 0);
    for (uint32_t r = 0; r < 6; r++)
        for (uint32_t i = 0; i < runs[r][1]; i++, sum++)
            map[(runs[r][0] + i) / 64] |= 1ull << ((runs[r][0] + i) % 64);
    CU_ASSERT_EQUAL(slots_map_count(map), sum);
    at = 0;
    for (uint32_t r = 0; r < 5; r++) {
        uint32_t n = slots_map_run(map, &at);
        CU_ASSERT(at == runs[r][0] && n == runs[r][1]);
        at += n;
    }
    CU_ASSERT_EQUAL(slots_map_run(map, &at), 0);
    memset(all, 0xff, sizeof(all));
    at = 0;
    CU_ASSERT(slots_map_run(all, &at) == N && at == 0);
    at = N - 1;
    CU_ASSERT(slots_map_run(all, &at) == 1 && at == N - 1);
    at = N;
    CU_ASSERT_EQUAL(slots_map_run(all, &at), 0);
    CU_ASSERT_EQUAL(slots_map_count(all), N);
}

int suite_slots_age(void)
{
    static const struct unit_case cases[] = {
        {"last count", last_count},   {"all at their last count", all_at_last_count},
        {"last epochs", last_epochs}, {"never wraps", never_wraps},
        {"spoilt", spoilt},           {"runs of a map", map_runs},
    };

    return UNIT_SUITE("slots_age", cases);
}
