// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * index: against a plain array, across node and region boundaries, with failing allocations, and
 * within the memory the design allows.
 */
#include "unit.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "index.h"
#include "util.h"

#define MODEL_BLOCKS (3u * INDEX_REGION_BLOCKS + 777u)

struct model {
    struct index *index;
    uint32_t *state;
    uint32_t next;   /* slot */
    uint8_t *let_go; /* by slot */
    uint32_t reported, wrong;
};

static void model_drop(void *arg, uint32_t slot)
{
    struct model *model = arg;

    model->wrong += slot >= model->next || model->let_go[slot];
    if (slot < model->next)
        model->let_go[slot] = 1;
    model->reported++;
}

static void model_open(struct model *model, bool blank, uint32_t slots)
{
    *model = (struct model){.state = malloc(MODEL_BLOCKS * sizeof(uint32_t)),
                            .let_go = calloc(slots, 1)};
    for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
        model->state[i] = blank ? INDEX_ZERO : INDEX_BASE;
    CU_ASSERT_EQUAL_FATAL(index_open(&model->index, MODEL_BLOCKS, blank), 0);
}

static void model_close(struct model *model)
{
    index_close(model->index);
    free(model->state);
    free(model->let_go);
}

static uint32_t model_differences(const struct model *model, uint32_t first, uint32_t count)
{
    uint32_t n = 0;

    for (uint32_t i = first; i < first + count && i < MODEL_BLOCKS; i++)
        n += index_get(model->index, i) != model->state[i];
    return n;
}

static void model_set(struct model *model, uint32_t block)
{
    uint32_t before = 0, slot = model->next++;

    CU_ASSERT_EQUAL_FATAL(index_set(model->index, block, slot, &before), 0);
    model->wrong += before != model->state[block];
    model->state[block] = slot;
}

static void model_zero(struct model *model, uint32_t first, uint32_t count)
{
    uint32_t expect = 0, reported = model->reported;

    for (uint32_t i = first; i < first + count; i++) {
        expect += model->state[i] <= INDEX_MAX_SLOT;
        model->state[i] = INDEX_ZERO;
    }
    CU_ASSERT_EQUAL_FATAL(index_zero(model->index, first, count, model_drop, model), 0);
    model->wrong += model->reported - reported != expect;
}

/* Favours the neighbourhood of boundaries. */
static uint32_t pick_block(uint64_t *seed)
{
    uint64_t unit = 1ull << (unit_below(seed, 8) + 9);

    if (unit_below(seed, 3) == 0)
        return (uint32_t)unit_below(seed, MODEL_BLOCKS);
    uint64_t at = unit_below(seed, MODEL_BLOCKS / unit + 1) * unit + unit_below(seed, 7);
    return (uint32_t)(at < 3 ? at : at - 3 < MODEL_BLOCKS ? at - 3 : MODEL_BLOCKS - 1);
}

static void random_against_model(void)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint64_t random = seed;
        struct model model;

        model_open(&model, seed % 2, 300000);
        for (int i = 0; i < 400; i++) {
            uint32_t at = pick_block(&random), left = MODEL_BLOCKS - at;
            uint32_t reach = 1u << unit_below(&random, i % 50 ? 10 : 18);
            uint32_t count = 1 + (uint32_t)unit_below(&random, min_u32(reach, left));
            uint64_t what = unit_below(&random, 10);
            if (what < 4)
                model_zero(&model, at, count);
            else if (what < 7)
                for (uint32_t j = 0; j < min_u32(count, 512); j++)
                    model_set(&model, at + j);
            else
                for (uint32_t j = 0; j < 400; j++)
                    model_set(&model, pick_block(&random));
            model.wrong += model_differences(&model, at ? at - 1 : 0, count + 2);
        }
        CU_ASSERT_EQUAL(model_differences(&model, 0, MODEL_BLOCKS), 0);
        model_zero(&model, 0, MODEL_BLOCKS);
        CU_ASSERT_EQUAL(model_differences(&model, 0, MODEL_BLOCKS), 0);
        CU_ASSERT_EQUAL(model.wrong, 0);
        /* Over a base what lies behind the end is not zero with it. */
        CU_ASSERT(index_memory(model.index) < (seed % 2 ? 256 : 4096));
        CU_ASSERT_EQUAL(
            index_zero(model.index, MODEL_BLOCKS - 777, INDEX_REGION_BLOCKS, model_drop, &model),
            0);
        CU_ASSERT(index_memory(model.index) < 256);
        model_close(&model);
    }
}

static void sizes(void)
{
    struct index *index;
    uint32_t before;

    CU_ASSERT_EQUAL(index_open(&index, INDEX_MAX_BLOCKS + 1, true), -EFBIG);
    CU_ASSERT_EQUAL_FATAL(index_open(&index, 1, false), 0);
    CU_ASSERT_EQUAL(index_get(index, 0), INDEX_BASE);
    CU_ASSERT_EQUAL(index_set(index, 0, INDEX_MAX_SLOT, &before), 0);
    CU_ASSERT_EQUAL(before, INDEX_BASE);
    CU_ASSERT_EQUAL(index_get(index, 0), INDEX_MAX_SLOT);
    index_close(index);
    CU_ASSERT_EQUAL_FATAL(index_open(&index, INDEX_MAX_BLOCKS, true), 0);
    CU_ASSERT_EQUAL(index_set(index, INDEX_MAX_BLOCKS - 1, 5, &before), 0);
    CU_ASSERT_EQUAL(index_get(index, INDEX_MAX_BLOCKS - 1), 5);
    CU_ASSERT_EQUAL(index_get(index, INDEX_MAX_BLOCKS - 2), INDEX_ZERO);
    index_close(index);
}

/* One call, failing at every allocation until it succeeds; the state checked each time. */
static void fail_each(struct model *model, bool zero, uint32_t at, uint32_t count)
{
    int err = -ENOMEM;

    for (uint64_t nth = 1; err && nth < 100; nth++) {
        uint32_t before, reported = model->reported, lost = 0, done = 0;
        alloc_fail_from(nth);
        err = zero ? index_zero(model->index, at, count, model_drop, model)
                   : index_set(model->index, at, model->next, &before);
        bool failed = alloc_heal();
        CU_ASSERT(err == 0 || (err == -ENOMEM && failed));
        while (zero && done < count && index_get(model->index, at + done) == INDEX_ZERO) {
            lost += model->state[at + done] <= INDEX_MAX_SLOT;
            model->state[at + done++] = INDEX_ZERO;
        }
        if (!zero && !err)
            model->state[at] = model->next++;
        model->wrong += zero && model->reported - reported != lost;
        model->wrong += model_differences(model, at ? at - 1 : 0, count + 2);
    }
    CU_ASSERT_EQUAL(err, 0);
}

static void out_of_memory(void)
{
    uint64_t random = 99;
    struct model model;

    if (!alloc_works()) {
        printf(" (skipped: not linked with --wrap) ");
        return;
    }
    model_open(&model, false, 300000);
    for (int i = 0; i < 3000; i++) {
        uint32_t at = pick_block(&random);
        uint32_t count = 1 + (uint32_t)unit_below(&random, min_u32(900, MODEL_BLOCKS - at));
        if (i % 8 == 0)
            fail_each(&model, true, at, count);
        else
            fail_each(&model, false, i % 2 ? at : (uint32_t)(i * 7) % 4096, 1);
    }
    CU_ASSERT_EQUAL(model.wrong, 0);
    CU_ASSERT_EQUAL(model_differences(&model, 0, MODEL_BLOCKS), 0);
    model_close(&model);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct index *index = NULL;
        alloc_fail_from(nth);
        CU_ASSERT_EQUAL(index_open(&index, 1000, true), -ENOMEM);
        CU_ASSERT(alloc_heal());
    }
}

/* Bytes malloc has handed out; 0 where a sanitizer's allocator does not say. */
static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void measure(const char *what, uint64_t volume, uint32_t n, uint64_t stride, uint32_t run,
                    double most)
{
    size_t start = heap();
    struct index *index;
    uint32_t before, slot = 0;
    uint64_t random = 7;

    CU_ASSERT_EQUAL_FATAL(index_open(&index, volume, true), 0);
    for (uint32_t i = 0; i < n; i += run) {
        uint64_t at = stride ? i / run * stride : unit_below(&random, volume - run);
        for (uint32_t j = 0; j < run; j++)
            CU_ASSERT_EQUAL_FATAL(index_set(index, at + j, slot++, &before), 0);
    }
    double counted = (double)index_memory(index), real = (double)(heap() - start);
    if (real < counted / 2) /* a sanitizer */
        real = counted;
    printf("\n    %-34s %8u blocks: %5.2f bytes each counted, %5.2f taken", what, n, counted / n,
           real / n);
    CU_ASSERT(counted <= most * n + (1 << 20));
    CU_ASSERT(real <= most * n + (1 << 20));
    index_close(index);
}

static void memory(void)
{
    const uint64_t tera = 1ull << 28;

    measure("sequential, 4 GiB", 1 << 20, 1 << 20, 1, 1, 4.2);
    measure("4 KiB over 1 TiB", tera, 20000, 0, 1, 20);
    measure("4 KiB over 1 TiB", tera, 400000, 0, 1, 20);
    measure("4 KiB over 1 TiB", tera, 3000000, 0, 1, 20);
    measure("64 KiB over 1 TiB", tera, 1600000, 0, 16, 20);
    measure("4 KiB every 512 KiB of 1 TiB", tera, 2000000, 128, 1, 20);
}

/* Runs that lie so that every split leaves almost nothing on its lower side. */
static void memory_lopsided(void)
{
    const uint64_t tera = 1ull << 28;
    const uint32_t regions = (uint32_t)(tera / INDEX_REGION_BLOCKS);
    struct index *index;
    uint32_t before, slot = 0;

    CU_ASSERT_EQUAL_FATAL(index_open(&index, tera, true), 0);
    for (uint64_t r = 0; r < regions; r += 8)
        for (uint32_t i = 0; i < 520; i++) {
            uint64_t lonely = INDEX_REGION_BLOCKS - (INDEX_REGION_BLOCKS >> i % 8);
            uint64_t at = i < 7 ? lonely : INDEX_REGION_BLOCKS - 520 + i;
            CU_ASSERT_EQUAL_FATAL(index_set(index, r * INDEX_REGION_BLOCKS + at, slot++, &before),
                                  0);
        }
    double each = (double)(index_memory(index) - 65536) / slot;
    printf(" %.1f bytes each ", each);
    CU_ASSERT(each <= 20);
    index_close(index);
}

static void ignore(void *arg, uint32_t slot)
{
    (void)arg;
    (void)slot;
}

/* What was discarded may not cost more than what was written. */
static void memory_of_discards(void)
{
    const uint64_t tera = 1ull << 28;

    for (int base = 0; base < 2; base++) {
        struct index *index;
        uint32_t before, n = 100000;
        uint64_t random = 5;
        CU_ASSERT_EQUAL_FATAL(index_open(&index, tera, !base), 0);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t at = unit_below(&random, tera);
            CU_ASSERT_EQUAL_FATAL(index_set(index, at, i, &before), 0);
            CU_ASSERT_EQUAL_FATAL(index_zero(index, at, 1, ignore, NULL), 0);
        }
        double each = (double)index_memory(index) / n;
        printf("\n    %s: %u blocks written and discarded: %.1f bytes each",
               base ? "over a base" : "blank", n, each);
        CU_ASSERT(index_memory(index) <= 20ull * n + (1 << 20));
        index_close(index);
    }
}

static void whole_discard(void)
{
    struct index *index;
    uint32_t before;

    CU_ASSERT_EQUAL_FATAL(index_open(&index, INDEX_MAX_BLOCKS, false), 0);
    size_t empty = index_memory(index);
    for (uint64_t i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(index_set(index, i * (INDEX_MAX_BLOCKS / 1000), (uint32_t)i, &before), 0);
    CU_ASSERT_EQUAL(index_zero(index, 0, INDEX_MAX_BLOCKS, ignore, NULL), 0);
    CU_ASSERT_EQUAL(index_memory(index), empty);
    CU_ASSERT(empty <= (1 << 20) + 4096);
    for (uint64_t i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(index_get(index, i * (INDEX_MAX_BLOCKS / 1000)), INDEX_ZERO);
    index_close(index);
}

/* Every step of growing, blank or not: the old part keeps its states, the new one is untouched, also
 * behind a discard up to the old end; a failure changes nothing. */
static void grow(void)
{
    const uint64_t sizes[] = {1,
                              700,
                              INDEX_REGION_BLOCKS - 1,
                              INDEX_REGION_BLOCKS,
                              INDEX_REGION_BLOCKS + 1,
                              5 * INDEX_REGION_BLOCKS + 3};

    for (int blank = 0; blank < 2; blank++) {
        struct index *index;
        uint32_t before, wrong = 0, untouched = blank ? INDEX_ZERO : INDEX_BASE;

        CU_ASSERT_EQUAL_FATAL(index_open(&index, sizes[0], blank), 0);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            uint64_t old = i ? sizes[i - 1] : 0;
            size_t memory = index_memory(index);
            alloc_fail_from(alloc_works() ? 1 : 0);
            int err = index_grow(index, sizes[i]);
            if (alloc_heal()) {
                CU_ASSERT_EQUAL(err, -ENOMEM);
                CU_ASSERT_EQUAL(index_memory(index), memory);
                CU_ASSERT_EQUAL(index_grow(index, sizes[i]), 0);
            }
            for (uint64_t b = old; b < sizes[i]; b++)
                wrong += index_get(index, b) != untouched;
            for (uint64_t b = 0; b + 1 < old; b++)
                wrong += index_get(index, b) != INDEX_ZERO;
            wrong += old && index_get(index, old - 1) != old;
            CU_ASSERT_EQUAL(index_zero(index, 0, sizes[i], ignore, NULL), 0);
            CU_ASSERT_EQUAL(index_set(index, sizes[i] - 1, (uint32_t)sizes[i], &before), 0);
            wrong += before != INDEX_ZERO;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(index_grow(index, INDEX_MAX_BLOCKS + 1), -EFBIG);
        CU_ASSERT_EQUAL(index_grow(index, INDEX_MAX_BLOCKS), 0);
        CU_ASSERT_EQUAL(index_get(index, INDEX_MAX_BLOCKS - 1), untouched);
        index_close(index);
    }
}

/* To the end of a region that is cut short: all of it falls back, without memory. */
static void zero_behind_the_end(void)
{
    struct index *index;
    uint32_t before;

    CU_ASSERT_EQUAL_FATAL(index_open(&index, 777, false), 0);
    size_t empty = index_memory(index);
    for (uint32_t i = 0; i < 777; i++)
        CU_ASSERT_EQUAL(index_set(index, i, i, &before), 0);
    alloc_fail_from(alloc_works() ? 1 : 0);
    CU_ASSERT_EQUAL(index_zero(index, 0, INDEX_REGION_BLOCKS, ignore, NULL), 0);
    alloc_heal();
    CU_ASSERT_EQUAL(index_memory(index), empty);
    index_close(index);
}

int suite_index(void)
{
    static const struct unit_case cases[] = {
        {"random against a model", random_against_model},
        {"smallest and largest", sizes},
        {"out of memory at every place", out_of_memory},
        {"memory", memory},
        {"memory, lopsided splits", memory_lopsided},
        {"memory of discards", memory_of_discards},
        {"discard of 16 TiB", whole_discard},
        {"growing", grow},
        {"discard behind the end", zero_behind_the_end},
    };

    return UNIT_SUITE("index", cases);
}
