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
#define STRIDE 5u
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

/* Another, of a base that grows to another size while some lines happen; 0: it does not. */
static const struct step growing[][4] = {
    {{SMALL_RING, ASK_WRITE, 1197, 2, 0}, {SIMPLE, ASK_READ, 0, 1100, 0}},
    {{STRUCTURED, ASK_WRITE, 1100, 90, 1},
     {LAST_RING, ASK_WRITE, 1190, 9, 4},
     {SIMPLE, ASK_READ, 1199, 2, 0}},
    {{LARGE_RING, ASK_DISCARD, 700, 501, 0}, {SIMPLE, ASK_WRITE, 1201, 5, 3}},
    {{STRUCTURED, ASK_READ, 700, 509, 0}},
    {{SIMPLE, ASK_DISCARD, 1, 1208, 0}, {STRUCTURED, ASK_READ, 1209, 300, 0}},
    {{STRUCTURED, ASK_WRITE, 1201, 298, 1}, {SMALL_RING, ASK_WRITE, 1499, 10, 6}},
    {{SIMPLE, ASK_ZERO, 1404, 105, 0}, {RING_32, ASK_READ, 1000, 404, 5}},
    {{SIMPLE, ASK_WRITE, 1200, 309, 0}, {LAST_RING, ASK_WRITE, 1509, 100, 4}},
    {{STRUCTURED, ASK_READ, 0, 2299, 0}},
};
static const uint32_t growing_to[] = {0, 1201, 1209, 0, 1509, 0, 2298, 2299, 0};

struct story {
    const struct step (*lines)[4];
    const uint32_t *sizes; /* NULL: it never grows */
    size_t n;
    uint32_t sectors;    /* at first */
    uint64_t base_bytes; /* the most there will be */
};
static const struct story steady = {.lines = story,
                                    .n = sizeof(story) / sizeof(story[0]),
                                    .sectors = SECTORS,
                                    .base_bytes = BASE},
                          grows = {.lines = growing,
                                   .sizes = growing_to,
                                   .n = sizeof(growing) / sizeof(growing[0]),
                                   .sectors = 1199,
                                   .base_bytes = BYTES};
_Static_assert(sizeof(growing_to) / sizeof(uint32_t) == sizeof(growing) / sizeof(growing[0]),
               "one for each line");

static void begin(const struct story *told, const struct rig_config *medium, uint64_t nth)
{
    struct rig_config config = *medium;

    config.lanes = 2;
    config.bytes = told->sectors * 512ull;
    config.base_bytes = told->sizes ? config.bytes : told->base_bytes;
    config.extents = 4;
    config.seed = nth;
    doors_open_growing(&doors, &config, told->sizes ? told->base_bytes : 0);
    truth_open(told->sectors, told->base_bytes);
}

static void tell(const struct story *told)
{
    for (size_t i = 0; i < told->n; i++) {
        const struct step *line = told->lines[i];
        uint32_t n = 0;
        while (n < 4 && (line[n].count || line[n].op == ASK_FLUSH))
            n++;
        if (told->sizes && told->sizes[i])
            doors_grow(&doors, told->sizes[i]);
        load_steps(&load, line, n);
        doors_grow_wait(&doors);
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

/* Every N with LONG=1; else fewer of what differs little from another. */
static uint32_t stride(const struct story *told, const struct rig_config *medium, enum fault fault,
                       int error)
{
    if (load_is_long())
        return 1;
    if (fault == FAULT_MEMORY && (medium->ram || told->sizes))
        return STRIDE * 3;
    return error == FAKE_SHORT && !medium->ram ? STRIDE * 2 : STRIDE;
}

/* How many requests were refused or lost, over all N. */
static uint32_t tell_until_it_ends(const struct story *told, const struct rig_config *medium,
                                   enum fault fault, int error)
{
    uint32_t wrong = 0, failures = 0;
    uint64_t nth = 1;

    haste(true);
    for (bool hit = true; hit && nth < NTH_MOST; nth += stride(told, medium, fault, error)) {
        begin(told, medium, nth);
        load = (struct load){
            .doors = &doors, .seed = nth, .expected = true, .torn = fault == FAULT_MEMORY};
        fault_set(fault, nth, error);
        tell(told);
        hit = fault_was_hit(fault);
        fault_set(fault, 0, 0);
        uint32_t failed = load.refused + load.lost + doors.growth.failures;
        failures += failed;
        wrong += load.wrong + (load.refused + doors.growth.failures > 1) + (!hit && failed);
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
    CU_ASSERT(tell_until_it_ends(&steady, &below, FAULT_DISK, -EIO) > 0);
}

static void short_operations(void)
{
    CU_ASSERT(tell_until_it_ends(&steady, &below, FAULT_DISK, FAKE_SHORT) > 0);
}

/* Waited out, with what was to be written. */
static void late_want_of_space(void)
{
    CU_ASSERT_EQUAL(tell_until_it_ends(&steady, &below, FAULT_WRITE, -ENOSPC), 0);
}

static void no_growth(void)
{
    CU_ASSERT_EQUAL(tell_until_it_ends(&steady, &below, FAULT_GROWTH, -EIO), 0);
    CU_ASSERT_EQUAL(tell_until_it_ends(&steady, &below, FAULT_GROWTH, -ENOSPC), 0);
}

static void no_memory(void)
{
    CU_ASSERT_FATAL(alloc_works());
    CU_ASSERT(tell_until_it_ends(&steady, &below, FAULT_MEMORY, 0) > 0);
}

static void other_media(void)
{
    CU_ASSERT(tell_until_it_ends(&steady, &front, FAULT_DISK, -EIO) > 0);
    CU_ASSERT(tell_until_it_ends(&steady, &packed, FAULT_DISK, FAKE_SHORT) > 0);
    CU_ASSERT(tell_until_it_ends(&steady, &front, FAULT_MEMORY, 0) > 0);
    CU_ASSERT(tell_until_it_ends(&steady, &memory, FAULT_MEMORY, 0) > 0);
    CU_ASSERT(tell_until_it_ends(&steady, &packed, FAULT_MEMORY, 0) > 0);
}

static void while_growing(void)
{
    unit_capture_start();
    CU_ASSERT(tell_until_it_ends(&grows, &below, FAULT_DISK, -EIO) > 0);
    CU_ASSERT(tell_until_it_ends(&grows, &below, FAULT_DISK, FAKE_SHORT) > 0);
    CU_ASSERT(tell_until_it_ends(&grows, &below, FAULT_MEMORY, 0) > 0);
    CU_ASSERT(unit_capture_count("the volume cannot: Input/output error") > 0);
    unit_capture_end();
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
        {"doors, growing, with each fault", while_growing},
    };

    return UNIT_SUITE("doors_faults", cases);
}
