// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: against a model that knows of every slot what it is and every generation it ever had; the
 * order of first touches; how much is free of what is stored.  The end of generations is in
 * test_slots_age.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc.h"
#include "slots.h"
#include "util.h"

#define EXTENTS    10u
#define PLACES     (EXTENTS * SLOTS_PER_EXTENT)
#define AMPLE      192u
#define COUNT_LAST 0xffffffu

enum state { HOLE, FREE, USED };
enum frost { THAWED, FROZEN, GROWING, THINNING };

struct model {
    struct slots *slots;
    uint8_t state[PLACES];
    uint64_t last[PLACES]; /* generation */
    bool retired[PLACES];
    enum frost frost[EXTENTS];
    bool homed[EXTENTS];
    uint32_t held[PLACES], count; /* in no order */
    uint32_t limit;
    bool short_of_memory;
    uint32_t wrong, grown, thinned, emptied, refused;
};

static struct model model;

static void model_open(uint32_t extents)
{
    memset(&model, 0, sizeof(model));
    model.limit = extents;
    CU_ASSERT_EQUAL_FATAL(slots_open(&model.slots, extents), 0);
}

/* How many of an extent are free and not retired. */
static uint32_t model_free(uint32_t extent)
{
    uint32_t n = 0;

    for (uint32_t s = extent * SLOTS_PER_EXTENT; s < (extent + 1) * SLOTS_PER_EXTENT; s++)
        n += model.state[s] == FREE && !model.retired[s];
    return n;
}

static void model_check(void)
{
    uint64_t nfree = 0, ample = 0, stored = 0;

    for (uint32_t e = 0; e < slots_extents(model.slots); e++) {
        uint32_t f = model_free(e);
        nfree += f;
        if (e == slots_current(model.slots) || (model.frost[e] == THAWED && f >= AMPLE))
            ample += f;
        for (uint32_t i = 0; model.homed[e] && i < SLOTS_PER_EXTENT; i++)
            stored += model.state[e * SLOTS_PER_EXTENT + i] != HOLE;
        model.wrong += slots_frozen(model.slots, e) != (model.frost[e] != THAWED);
    }
    model.wrong += slots_free(model.slots) != nfree;
    model.wrong += slots_ample(model.slots) != ample;
    model.wrong += slots_used(model.slots) != model.count;
    model.wrong += slots_stored(model.slots) != stored;
}

static void model_taken(uint32_t s, uint64_t generation, enum slots_from from)
{
    uint32_t e = s / SLOTS_PER_EXTENT;

    model.wrong += model.state[s] != FREE || model.retired[s] || model.frost[e] != THAWED;
    model.wrong += from == SLOTS_HOMED && !model.homed[e];
    model.wrong += generation <= model.last[s];
    model.wrong += slots_generation(model.slots, s) != generation;
    model.last[s] = generation;
    model.retired[s] = (generation & COUNT_LAST) == COUNT_LAST;
    model.state[s] = USED;
    model.held[model.count++] = s;
}

/* Is there one it should have taken? */
static bool model_missed(enum slots_from from)
{
    for (uint32_t e = 0; e < EXTENTS; e++) {
        uint32_t least = from == SLOTS_AMPLE ? AMPLE : 1;
        if (model.frost[e] == THAWED && model_free(e) >= least &&
            (from != SLOTS_HOMED || model.homed[e]))
            return true;
    }
    return false;
}

static uint32_t model_take(uint32_t want, enum slots_from from)
{
    uint32_t slot[512];
    uint64_t generation[512];
    uint32_t got = slots_take(model.slots, want, from, slot, generation);

    for (uint32_t i = 0; i < got; i++)
        model_taken(slot[i], generation[i], from);
    model.wrong += got < want && model_missed(from);
    return got;
}

/* What was retired counts from a new beginning once hardly anything else is in its extent. */
static void model_emptied(uint32_t e)
{
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        if (model.state[e * SLOTS_PER_EXTENT + i] == USED)
            return;
    if (model_free(e) >= SLOTS_WORTH)
        return;
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        model.retired[e * SLOTS_PER_EXTENT + i] = false;
}

static void model_give(uint32_t which, bool spoil)
{
    uint32_t s = model.held[which];

    (spoil ? slots_spoil : slots_give)(model.slots, s);
    model.retired[s] |= spoil;
    model.state[s] = FREE;
    model.held[which] = model.held[--model.count];
    model_emptied(s / SLOTS_PER_EXTENT);
}

static bool model_grow(bool fresh)
{
    uint32_t count = slots_extents(model.slots), e = slots_grow(model.slots, fresh), holes = 0;

    if (e == SLOTS_NO_EXTENT)
        return false;
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        holes += model.state[e * SLOTS_PER_EXTENT + i] == HOLE;
    model.wrong += !holes || model.frost[e] != THAWED;
    model.wrong += fresh && e != count && count < model.limit && !model.short_of_memory;
    model.frost[e] = GROWING;
    return true;
}

static void model_grown(uint32_t e, bool ok)
{
    slots_grown(model.slots, e, ok);
    model.frost[e] = THAWED;
    model.grown += ok;
    for (uint32_t i = 0; ok && i < SLOTS_PER_EXTENT; i++)
        if (model.state[e * SLOTS_PER_EXTENT + i] == HOLE)
            model.state[e * SLOTS_PER_EXTENT + i] = FREE;
}

static bool model_skips(void *arg, uint32_t extent)
{
    bool skips = *(uint32_t *)arg >> extent & 1;

    model.refused += skips;
    return skips;
}

static void model_punched(uint32_t e, const uint64_t map[SLOTS_WORDS], bool empty)
{
    uint32_t used = 0, first = e * SLOTS_PER_EXTENT;

    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++) {
        bool punched = map[i / 64] >> (i % 64) & 1;
        model.wrong += punched != (model.state[first + i] == FREE);
        used += model.state[first + i] == USED;
        if (punched)
            model.state[first + i] = HOLE;
    }
    model.wrong += empty != !used;
    for (uint32_t i = 0; empty && i < SLOTS_PER_EXTENT; i++)
        model.retired[first + i] = false;
}

static bool model_thin(uint32_t least, uint32_t skip)
{
    uint64_t map[SLOTS_WORDS];
    uint32_t current = slots_current(model.slots), most = 0, nfree[EXTENTS] = {0};
    bool empty = false;

    for (uint32_t e = 0; e < EXTENTS; e++) {
        if (e == current || model.frost[e] != THAWED || skip >> e & 1)
            continue;
        nfree[e] = model_free(e);
        most = nfree[e] > most ? nfree[e] : most;
    }
    uint32_t e = slots_thin(model.slots, least, model_skips, &skip, map, &empty);
    if (e == SLOTS_NO_EXTENT) {
        model.wrong += most >= least;
        return false;
    }
    model.wrong += nfree[e] < least || nfree[e] / 64 != most / 64;
    model.frost[e] = THINNING;
    model_punched(e, map, empty);
    model.thinned++;
    model.emptied += empty;
    return true;
}

/* One extent, whatever is going on with it. */
static void model_shift(uint32_t e, uint64_t what)
{
    if (e >= slots_extents(model.slots))
        return;
    if (model.frost[e] == GROWING) {
        model_grown(e, what % 4);
    } else if (model.frost[e] == THINNING || model.frost[e] == FROZEN) {
        slots_thaw(model.slots, e);
        model.frost[e] = THAWED;
    } else if (what % 5 == 0) {
        slots_freeze(model.slots, e);
        model.frost[e] = FROZEN;
        model.wrong += slots_current(model.slots) == e;
    } else if (what % 5 == 1) {
        model.homed[e] = !model.homed[e];
        slots_home(model.slots, e, model.homed[e]);
    }
}

static void model_step(uint64_t *random, bool filling)
{
    static const uint32_t leasts[] = {1, 64, 200, SLOTS_PER_EXTENT};
    uint32_t want = 1 + (uint32_t)unit_below(random, unit_below(random, 7) ? 40 : 512);
    uint64_t what = unit_below(random, 20);

    if (what < (filling ? 9 : 3))
        model_take(want, (enum slots_from)unit_below(random, 3));
    else if (what < 13)
        for (want *= filling ? 1 : 2; want && model.count; want--)
            model_give((uint32_t)unit_below(random, model.count), unit_below(random, 400) == 0);
    else if (what < 15)
        model_grow(unit_below(random, 4) == 0);
    else if (what < 16)
        model_thin(leasts[unit_below(random, 4)],
                   (uint32_t)(unit_random(random) & unit_random(random)));
    else
        model_shift((uint32_t)unit_below(random, EXTENTS), unit_random(random));
}

static void random_against_model(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t random = seed;
        model_open(EXTENTS - (seed % 2));
        for (uint32_t i = 0; i < 6000; i++) {
            model_step(&random, i / 700 % 2 == 0);
            model_check();
        }
        for (uint32_t e = 0; e < EXTENTS; e++)
            if (model.frost[e] != THAWED)
                model_shift(e, 1);
        while (model.count)
            model_give(model.count - 1, false);
        while (model_thin(1, 0))
            ;
        model_check();
        CU_ASSERT_EQUAL(model.wrong, 0);
        CU_ASSERT(model.grown > EXTENTS && model.thinned > 50 && model.emptied >= EXTENTS - 2);
        CU_ASSERT(model.refused > 0);
        slots_close(model.slots);
    }
}

static void first_touch_in_runs(void)
{
    uint32_t slot[3], next = 0, breaks = 0;
    uint64_t generation[3];

    model_open(8);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t got = slots_take(model.slots, 3, SLOTS_AMPLE, slot, generation);
        while (got < 3) {
            uint32_t e = slots_grow(model.slots, false);
            CU_ASSERT_NOT_EQUAL_FATAL(e, SLOTS_NO_EXTENT);
            slots_grown(model.slots, e, true);
            got += slots_take(model.slots, 3 - got, SLOTS_AMPLE, slot + got, generation + got);
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

/* Growing fails at every allocation, in the middle of everything else. */
static void out_of_memory(void)
{
    uint64_t random = 4, failures = 0;
    struct slots *slots = NULL;

    if (!alloc_works()) {
        printf(" (skipped: not linked with --wrap) ");
        return;
    }
    alloc_fail_from(1);
    CU_ASSERT(slots_open(&slots, 4) < 0);
    CU_ASSERT(alloc_heal());
    for (uint32_t round = 0; round < 12; round++) {
        model_open(EXTENTS);
        model.short_of_memory = true;
        for (uint32_t i = 0; i < 1500; i++) {
            if (i % 100 == 0)
                alloc_fail_from(1 + round % 3);
            model_step(&random, i < 1000);
            if (i % 100 == 50)
                failures += alloc_heal();
            model_check();
        }
        failures += alloc_heal();
        CU_ASSERT_EQUAL(model.wrong, 0);
        slots_close(model.slots);
    }
    CU_ASSERT(failures >= 12);
}

/* A write takes first and gives the old places back afterwards, as volumes do. */
static void overwrite(uint32_t *slot, uint32_t live, uint32_t run, uint64_t *random)
{
    uint32_t at = (uint32_t)unit_below(random, live - run + 1), fresh[64], got = 0;
    uint64_t generation[64];

    while ((got += slots_take(model.slots, run - got, SLOTS_AMPLE, fresh + got, generation + got)) <
           run) {
        uint32_t e = slots_grow(model.slots, false);
        CU_ASSERT_NOT_EQUAL_FATAL(e, SLOTS_NO_EXTENT);
        slots_grown(model.slots, e, true);
        slots_home(model.slots, e, true);
    }
    for (uint32_t i = 0; i < run; i++) {
        if (slot[at + i] != UINT32_MAX)
            slots_give(model.slots, slot[at + i]);
        slot[at + i] = fresh[i];
    }
}

static void fragmentation_of(uint32_t live, uint32_t run)
{
    uint64_t random = live + run, most = 0;
    uint32_t *slot = malloc(live * sizeof(*slot));

    CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
    memset(slot, 0xff, live * sizeof(*slot));
    model_open((1u << 22) - 1);
    for (uint64_t written = 0; written < 12ull * live; written += run)
        overwrite(slot, live, run, &random); /* the first third or so touches everything */
    while (slots_used(model.slots) < live)   /* a few blocks chance has left out */
        overwrite(slot, live, run, &random);
    for (uint64_t written = 0; written < 4ull * live; written += run) {
        overwrite(slot, live, run, &random);
        most = slots_stored(model.slots) > most ? slots_stored(model.slots) : most;
    }
    printf("\n    %4u MiB live, written %2u blocks at a time: %.3f of it stored at most", live >> 8,
           run, (double)most / live);
    CU_ASSERT(most * 4 <= live * 5ull);
    CU_ASSERT(slots_used(model.slots) == live);
    slots_close(model.slots);
    free(slot);
}

static void fragmentation(void)
{
    fragmentation_of(64u << 8, 1);
    fragmentation_of(64u << 8, 37);
    fragmentation_of(256u << 8, 1);
    fragmentation_of(256u << 8, 37);
}

int suite_slots(void)
{
    static const struct unit_case cases[] = {
        {"random against a model", random_against_model},
        {"first touch in runs", first_touch_in_runs},
        {"out of memory at every place", out_of_memory},
        {"what is free of what is stored", fragmentation},
    };

    return UNIT_SUITE("slots", cases);
}
