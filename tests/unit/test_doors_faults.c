// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doors with faults: a fixed story of requests through rings and NBD, some of them together, told again
 * and again with the Nth operation on the disks, growth of the pool, or allocation failing, for every N
 * until it is told to its end without one.  What was answered with an error has changed nothing.
 */
#include "unit.h"

#include <errno.h>
#include "alloc.h"
#include "fake_aio.h"
#include "haste.h"
#include "load.h"
#include "truth.h"

#define SECTORS  2300u /* more than the largest request of a ring */
#define BYTES    (SECTORS * 512u)
#define BASE     (1500u * 512u)
#define NTH_MOST 1000u
#ifdef __SANITIZE_THREAD__
#define STRIDE 5u /* but every N with LONG=1 */
#else
#define STRIDE 1u
#endif

enum { SMALL_RING, LARGE_RING, RING_32 = LARGE_RING, LAST_RING, STRUCTURED, SIMPLE };
enum fault { FAULT_DISK, FAULT_WRITE, FAULT_GROWTH, FAULT_MEMORY };

static struct doors doors;
static struct load load;

/* A line: what happens together. */
static const struct step story[][4] = {
    {{SMALL_RING, ASK_WRITE, 0, 8, 0}, {STRUCTURED, ASK_WRITE, 8, 1, 0}},
    {{LARGE_RING, ASK_READ, 0, 2048, 6}, {SIMPLE, ASK_READ, 2048, 252, 0}},
    {{STRUCTURED, ASK_WRITE, 1, 3, 1},
     {RING_32, ASK_WRITE, 5, 30, 4},
     {SIMPLE, ASK_WRITE, 35, 3, 0}},
    {{SIMPLE, ASK_WRITE, 1496, 7, 2}, {LAST_RING, ASK_READ, 1490, 6, 1}},
    {{RING_32, ASK_DISCARD, 8, 17, 0}, {SMALL_RING, ASK_WRITE, 25, 64, 1}},
    {{STRUCTURED, ASK_ZERO, 3, 90, 0}, {LAST_RING, ASK_WRITE, 93, 2, 5}},
    {{LAST_RING, ASK_WRITE, 100, 2000, 7}, {SIMPLE, ASK_WRITE, 2100, 130, 8}},
    {{STRUCTURED, ASK_READ, 0, 2300, 0}},
    {{SIMPLE, ASK_READ, 0, 1540, 0}, {SIMPLE, ASK_READ, 1540, 8, 0}, {SIMPLE, ASK_FLUSH, 0, 0, 0}},
    {{SMALL_RING, ASK_FLUSH, 0, 0, 0}, {SIMPLE, ASK_DISCARD, 1, 2299, 0}},
    {{SIMPLE, ASK_WRITE, 2299, 1, 3}, {RING_32, ASK_WRITE, 2296, 3, 3}},
    {{STRUCTURED, ASK_WRITE, 1, 2298, 9}},
    {{SMALL_RING, ASK_READ, 7, 88, 3}, {SIMPLE, ASK_ZERO, 95, 900, 1}},
    {{LAST_RING, ASK_DISCARD, 2296, 4, 0}, {SIMPLE, ASK_WRITE, 2290, 5, 0}},
};

static void tell(void)
{
    for (size_t i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
        uint32_t n = 0;
        while (n < 4 && (story[i][n].count || story[i][n].op == ASK_FLUSH))
            n++;
        load_steps(&load, story[i], n);
    }
}

static void fault_set(enum fault fault, uint64_t nth, int error)
{
    if (fault == FAULT_GROWTH)
        rig_fail_grow(nth, error);
    else if (fault == FAULT_MEMORY)
        alloc_fail_others(nth);
    else
        fake_aio_fail(nth, nth != 0, error, fault == FAULT_WRITE);
}

static bool fault_was_hit(enum fault fault)
{
    if (fault == FAULT_GROWTH)
        return rig_grow_failed();
    return fault == FAULT_MEMORY ? alloc_others_failed() : fake_aio_failed() != 0;
}

/* How many requests were refused or lost, over all N. */
static uint32_t tell_until_it_ends(const struct rig_config *medium, enum fault fault, int error)
{
    uint32_t wrong = 0, failures = 0;
    uint64_t nth = 1;

    haste(true);
    for (bool hit = true; hit && nth < NTH_MOST; nth += load_is_long() ? 1 : STRIDE) {
        struct rig_config config = *medium;
        config.lanes = 2;
        config.bytes = BYTES;
        config.base_bytes = BASE;
        config.extents = 4;
        config.seed = nth;
        doors_open(&doors, &config);
        truth_open(SECTORS, BASE);
        load = (struct load){
            .doors = &doors, .seed = nth, .expected = true, .torn = fault == FAULT_MEMORY};
        fault_set(fault, nth, error);
        tell();
        hit = fault_was_hit(fault);
        fault_set(fault, 0, 0);
        failures += load.refused + load.lost;
        wrong += load.wrong + (load.refused > 1) + (!hit && load.refused + load.lost);
        load_check(&doors, (uint32_t)nth % DOORS_CALLERS);
        doors_close(&doors);
    }
    haste(false);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(nth > 2 && nth < NTH_MOST);
    return failures;
}

static const struct rig_config below = {.ram = 0}, front = {.ram = 4 << 20},
                               memory = {.ram = 16 << 20, .ram_only = true},
                               packed = {.ram = 16 << 20, .ram_only = true, .lz4 = true};

static void errors(void)
{
    CU_ASSERT(tell_until_it_ends(&below, FAULT_DISK, -EIO) > 0);
}

static void short_operations(void)
{
    CU_ASSERT(tell_until_it_ends(&below, FAULT_DISK, FAKE_SHORT) > 0);
}

/* Waited out, with what was to be written. */
static void late_want_of_space(void)
{
    CU_ASSERT_EQUAL(tell_until_it_ends(&below, FAULT_WRITE, -ENOSPC), 0);
}

static void no_growth(void)
{
    CU_ASSERT_EQUAL(tell_until_it_ends(&below, FAULT_GROWTH, -EIO), 0);
    CU_ASSERT_EQUAL(tell_until_it_ends(&below, FAULT_GROWTH, -ENOSPC), 0);
}

static void no_memory(void)
{
    CU_ASSERT_FATAL(alloc_works());
    CU_ASSERT(tell_until_it_ends(&below, FAULT_MEMORY, 0) > 0);
}

static void other_media(void)
{
    CU_ASSERT(tell_until_it_ends(&front, FAULT_DISK, -EIO) > 0);
    CU_ASSERT(tell_until_it_ends(&packed, FAULT_DISK, FAKE_SHORT) > 0);
    CU_ASSERT(tell_until_it_ends(&front, FAULT_MEMORY, 0) > 0);
    CU_ASSERT(tell_until_it_ends(&memory, FAULT_MEMORY, 0) > 0);
    CU_ASSERT(tell_until_it_ends(&packed, FAULT_MEMORY, 0) > 0);
}

int suite_doors_faults(void)
{
    static const struct unit_case cases[] = {
        {"doors, an error at every operation", errors},
        {"doors, a short one at every operation", short_operations},
        {"doors, no space at every write", late_want_of_space},
        {"doors, an error at every growth", no_growth},
        {"doors, an error at every allocation", no_memory},
        {"doors, other media", other_media},
    };

    return UNIT_SUITE("doors_faults", cases);
}
