// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: against a model that remembers every (slot, generation) ever handed out, over growing,
 * emptying and growing again, and at the end of a slot's generations.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "slots.h"
#include "util.h"

#define EXTENTS 12u
#define PLACES  (EXTENTS * SLOTS_PER_EXTENT)

struct model {
    struct slots *slots;
    uint32_t last[PLACES]; /* generation */
    bool used[PLACES], backed[EXTENTS], punching[EXTENTS];
    uint32_t held[PLACES], count; /* in no order */
    uint32_t wrong;
};

static struct model model;

static void model_open(uint32_t extents)
{
    memset(&model, 0, sizeof(model));
    CU_ASSERT_EQUAL_FATAL(slots_open(&model.slots, extents), 0);
}

static uint32_t model_take(uint32_t want, bool scrape)
{
    uint32_t slot[512], generation[512];
    uint32_t got = slots_take(model.slots, want, scrape, slot, generation);

    for (uint32_t i = 0; i < got; i++) {
        uint32_t s = slot[i];
        model.wrong += model.used[s] || !model.backed[s / SLOTS_PER_EXTENT];
        model.wrong += generation[i] <= model.last[s];
        model.wrong += slots_generation(model.slots, s) != generation[i];
        model.last[s] = generation[i];
        model.used[s] = true;
        model.held[model.count++] = s;
    }
    return got;
}

static bool model_grow(void)
{
    uint32_t extent = slots_grow_next(model.slots);

    if (extent == SLOTS_NO_EXTENT)
        return false;
    model.wrong += model.backed[extent] || model.punching[extent];
    model.backed[extent] = true;
    slots_grown(model.slots, extent);
    return true;
}

static void model_give(uint32_t which)
{
    uint32_t slot = model.held[which];
    uint32_t empty = slots_give(model.slots, slot);

    model.used[slot] = false;
    model.held[which] = model.held[--model.count];
    if (empty == SLOTS_NO_EXTENT)
        return;
    model.wrong += !model.backed[empty];
    model.backed[empty] = false;
    model.punching[empty] = true;
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        model.wrong += model.used[empty * SLOTS_PER_EXTENT + i];
}

/* What was emptied is punched, later than it was emptied. */
static void model_punch(void)
{
    for (uint32_t i = 0; i < EXTENTS; i++)
        if (model.punching[i])
            slots_punched(model.slots, i);
    memset(model.punching, 0, sizeof(model.punching));
}

static void model_check(void)
{
    uint64_t backed = 0;

    for (uint32_t i = 0; i < EXTENTS; i++)
        backed += model.backed[i] ? SLOTS_PER_EXTENT : 0;
    model.wrong += slots_backed(model.slots) != backed;
    model.wrong += slots_used(model.slots) != model.count;
    model.wrong += slots_free(model.slots) != backed - model.count;
}

static void random_against_model(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t random = seed, regrown = 0;
        model_open(EXTENTS);
        for (uint32_t i = 0; i < 6000; i++) {
            uint32_t want = 1 + (uint32_t)unit_below(&random, i % 7 ? 40 : 512);
            bool filling = i / 700 % 2 == 0;
            if (unit_below(&random, 8) < (filling ? 6 : 2)) {
                uint32_t got = model_take(want, false);
                while (got < want && model_grow()) {
                    regrown++;
                    got += model_take(want - got, false);
                }
                if (got < want)
                    model_take(want - got, true);
            } else {
                for (; want && model.count; want--)
                    model_give((uint32_t)unit_below(&random, model.count));
            }
            if (model.count && i % 9 == 0) {
                uint32_t s = model.held[unit_below(&random, model.count)];
                uint32_t renewed = slots_renew(model.slots, s);
                model.wrong += renewed <= model.last[s];
                model.last[s] = renewed;
            }
            if (i % 5 == 0)
                model_punch();
            model_check();
        }
        while (model.count)
            model_give(model.count - 1);
        model_check();
        CU_ASSERT_EQUAL(model.wrong, 0);
        CU_ASSERT(regrown > EXTENTS);
        CU_ASSERT(slots_backed(model.slots) <= SLOTS_PER_EXTENT);
        slots_close(model.slots);
    }
}

static void first_touch_in_runs(void)
{
    uint32_t slot[3], generation[3], next = 0, breaks = 0;

    model_open(8);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t got = slots_take(model.slots, 3, false, slot, generation);
        while (got < 3) {
            CU_ASSERT_FATAL(model_grow());
            got += slots_take(model.slots, 3 - got, false, slot + got, generation + got);
        }
        for (uint32_t j = 0; j < 3; j++) {
            breaks += slot[j] != next;
            next = slot[j] + 1;
            CU_ASSERT_EQUAL(generation[j], 1);
        }
    }
    CU_ASSERT_EQUAL(breaks, 0);
    slots_close(model.slots);
}

/* Reuse needs a quarter of an extent; crowded ones are left alone until asked. */
static void reuse(void)
{
    model_open(4);
    CU_ASSERT_EQUAL(model_take(1, false), 0);
    CU_ASSERT_EQUAL(model_take(1, true), 0);
    model_grow();
    model_grow();
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(model_take(512, false), 512);
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT / 4 - 1; i++)
        model_give(0);
    uint32_t in_first = 0;
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        in_first += !model.used[i];
    CU_ASSERT_EQUAL(model_take(1, false), in_first >= SLOTS_PER_EXTENT / 4);
    CU_ASSERT_EQUAL(model_take(1, true), 1);
    CU_ASSERT(model_grow());
    CU_ASSERT(model_grow());
    CU_ASSERT_FALSE(model_grow());
    CU_ASSERT_EQUAL(model.wrong, 0);
    slots_close(model.slots);
}

/* The last generation is handed out once; then the slot is out of use, whatever happens. */
static void last_generation(void)
{
    model_open(1);
    model_grow();
    for (uint32_t s = 0; s < SLOTS_PER_EXTENT; s++)
        slots_age(model.slots, s, UINT32_MAX - 2);
    CU_ASSERT_EQUAL(model_take(512, false) + model_take(512, false), SLOTS_PER_EXTENT);
    CU_ASSERT_EQUAL(slots_renew(model.slots, 5), UINT32_MAX);
    model.last[5] = UINT32_MAX;
    CU_ASSERT_EQUAL(slots_renew(model.slots, 5), 0);
    CU_ASSERT_EQUAL(slots_generation(model.slots, 5), UINT32_MAX);
    while (model.count)
        model_give(0);
    model_punch();
    if (!model.backed[0])
        model_grow();
    uint32_t got = model_take(512, true) + model_take(512, true);
    CU_ASSERT_EQUAL(got, SLOTS_PER_EXTENT - 1);
    CU_ASSERT_FALSE(model.used[5]);
    CU_ASSERT_EQUAL(model_take(1, true), 0);
    while (model.count)
        model_give(0);
    CU_ASSERT_EQUAL(model_take(1, true), 0);
    model_punch();
    CU_ASSERT_EQUAL(model.wrong, 0);
    slots_close(model.slots);
}

static void out_of_memory(void)
{
    struct slots *slots = NULL;

    if (!alloc_works())
        return;
    alloc_fail_from(1);
    CU_ASSERT(slots_open(&slots, 4) < 0);
    alloc_heal();
    model_open(EXTENTS);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        for (uint64_t nth = 1; nth < 3; nth++) {
            alloc_fail_from(nth);
            uint32_t extent = slots_grow_next(model.slots);
            bool failed = alloc_heal();
            CU_ASSERT_EQUAL(extent == SLOTS_NO_EXTENT, failed);
            if (failed)
                continue;
            model.backed[extent] = true;
            slots_grown(model.slots, extent);
            break;
        }
        if (slots_backed(model.slots) <= i * SLOTS_PER_EXTENT)
            CU_ASSERT(model_grow());
    }
    CU_ASSERT_EQUAL(slots_backed(model.slots), PLACES);
    slots_close(model.slots);
}

int suite_slots(void)
{
    static const struct unit_case cases[] = {
        {"random against a model", random_against_model},
        {"first touch in runs", first_touch_in_runs},
        {"reuse", reuse},
        {"last generation", last_generation},
        {"out of memory", out_of_memory},
    };

    return UNIT_SUITE("slots", cases);
}
