// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pump when requests, memory or buffers are short: whoever has to wait is served as soon as there is
 * something again, without another event, and is charged once.
 */
#include "unit.h"

#include <string.h>
#include "alloc.h"
#include "arena.h"
#include "fake_aio.h"
#include "fake_hv.h"
#include "iothread.h"
#include "pumpkit.h"

#define SECTORS 8192u
#define DATA    200u
#define MOST    512u /* requests of a thread */
#define WRITES  30u
#define FIT     26u /* of those, in three quarters of the arena */

static struct pumpkit pk;
static struct front front, other;

static void begin(const struct limit_rates *rates)
{
    /* No base: reads need no storage. */
    pumpkit_open(&pk, &(struct rig_config){.bytes = SECTORS * 512, .extents = 1, .seed = 1}, rates);
}

static void end(void)
{
    front_close(&pk, &front, false);
    CU_ASSERT_FATAL(front_closed(&front));
    front_close(&pk, &other, false);
    CU_ASSERT_FATAL(front_closed(&other));
    pumpkit_close(&pk);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* All that can be done now has been done. */
static void settle(void)
{
    for (uint32_t i = 0; i < 4; i++)
        pumpkit_there(&pk, nothing, NULL);
}

/* True once the ring has been found empty and armed. */
static bool taken(const struct front *ring)
{
    uint32_t want = ring->asked + 1;

    for (uint32_t ms = 0; ms < KIT_LATE_MS; ms++) {
        if (__atomic_load_n(kit_req_event(&ring->kit), __ATOMIC_ACQUIRE) == want)
            return true;
        unit_sleep(1);
    }
    return false;
}

static void there_probe(void *arg)
{
    CU_ASSERT(queue_probe(((struct front *)arg)->queue));
}

/* One write under way, and discards that wait for it: as many requests as a thread has. */
static void requests(void)
{
    struct kit_request write = {.op = RING_OP_WRITE, .nseg = 1, .segments = {{DATA, 0, 7}}};
    struct kit_request discard = {.op = RING_OP_DISCARD, .discard_sectors = 8};

    begin(NULL);
    front_open(&pk, &front, 0, 0, 16);
    front_open(&pk, &other, 1, 16, 1);
    CU_ASSERT_EQUAL_FATAL(front.kit.ring.slots, MOST);
    front_put(&front, write); /* the pool has space from now on: none is held for that */
    front_ask(&front);
    CU_ASSERT(front_await(&front, 1));
    fake_aio_hold(true, -1);
    front_put(&front, write);
    for (uint32_t i = 1; i < MOST; i++)
        front_put(&front, discard);
    front_ask(&front);
    CU_ASSERT(taken(&front));
    CU_ASSERT(taken(&other));
    front_put(&other, (struct kit_request){.op = RING_OP_FLUSH});
    front_ask(&other);
    settle();
    CU_ASSERT_EQUAL(front_answered(&other), 0);
    pumpkit_there(&pk, there_probe, &other); /* it waits in its place */
    fake_hv_kick(1);
    settle();
    CU_ASSERT_EQUAL(front_answered(&other), 0);
    CU_ASSERT_EQUAL(front_answered(&front), 1);
    fake_aio_hold(false, -1);
    CU_ASSERT(front_await(&front, MOST + 1));
    CU_ASSERT(front_await(&other, 1));
    CU_ASSERT_EQUAL(front_status(&other, 0), RING_OKAY);
    for (uint32_t i = 1; i <= MOST; i++)
        CU_ASSERT_EQUAL(front_status(&front, i), RING_OKAY);
    end();
}

static void there_no_memory(void *arg)
{
    (void)arg;
    alloc_fail_from(1);
}

static void there_memory(void *arg)
{
    *(bool *)arg = alloc_heal();
}

/* Tried again and again, but taken from the limit once. */
static void memory(void)
{
    struct limit_rates rates = {.iops = 20}; /* two at once */
    bool failed = false;

    if (!alloc_works())
        return;
    begin(&rates);
    front_open(&pk, &front, 0, 0, 1);
    front_open(&pk, &other, 1, 1, 1);
    settle();
    pumpkit_there(&pk, there_no_memory, NULL);
    front_put(&front, (struct kit_request){.op = RING_OP_FLUSH});
    front_ask(&front);
    unit_sleep(80);
    CU_ASSERT_EQUAL(front_answered(&front), 0);
    CU_ASSERT_EQUAL(limit_throttled(pk.limit), 0);
    pumpkit_there(&pk, there_memory, &failed);
    CU_ASSERT(failed);
    CU_ASSERT(front_await(&front, 1));
    CU_ASSERT_EQUAL(front_status(&front, 0), RING_OKAY);
    CU_ASSERT_EQUAL(limit_throttled(pk.limit), 0);
    end();
}

static void there_in_use(void *arg)
{
    *(uint32_t *)arg = arena_in_use(iothread_arena(pk.rig.threads[0]));
}

static uint32_t in_use(void)
{
    uint32_t pages;

    pumpkit_there(&pk, there_in_use, &pages);
    return pages;
}

static void ask_writes(void)
{
    struct kit_request write = {.op = RING_OP_WRITE, .nseg = 11};

    for (uint32_t i = 0; i < 11; i++)
        write.segments[i] = (struct kit_segment){DATA + i, 0, 7};
    for (uint32_t i = 0; i < WRITES; i++) {
        write.sector = i * 88;
        front_put(&front, write);
    }
    front_ask(&front);
    for (uint32_t ms = 0; in_use() < FIT * 11 && ms < KIT_LATE_MS; ms++)
        unit_sleep(1);
    settle();
}

/* Writes that hang leave a quarter to reads; the one that waits goes on, or away with its ring. */
static void buffers(void)
{
    struct kit_request read = {.op = RING_OP_READ, .nseg = 11};

    begin(NULL);
    front_open(&pk, &front, 0, 0, 1);
    front_open(&pk, &other, 1, 1, 1);
    for (uint32_t i = 0; i < 11; i++)
        read.segments[i] = (struct kit_segment){DATA + 20 + i, 0, 7};
    fake_aio_hold(true, -1);
    ask_writes();
    CU_ASSERT_EQUAL(in_use(), FIT * 11);
    front_put(&other, read);
    front_ask(&other);
    CU_ASSERT(front_await(&other, 1));
    CU_ASSERT_EQUAL(front_answered(&front), 0);
    fake_aio_hold(false, -1);
    CU_ASSERT(front_await(&front, WRITES));
    for (uint32_t i = 0; i < WRITES; i++)
        CU_ASSERT_EQUAL(front_status(&front, i), RING_OKAY);
    CU_ASSERT_EQUAL(in_use(), 0);

    fake_aio_hold(true, -1);
    ask_writes();
    CU_ASSERT_EQUAL(in_use(), FIT * 11);
    front_close(&pk, &front, false);
    settle();
    CU_ASSERT_EQUAL(front.closings, 0);
    fake_aio_hold(false, -1);
    CU_ASSERT_FATAL(front_closed(&front));
    CU_ASSERT_EQUAL(front_answered(&front), WRITES + FIT);
    CU_ASSERT_EQUAL(in_use(), 0);
    front_close(&pk, &other, false);
    CU_ASSERT_FATAL(front_closed(&other));
    pumpkit_close(&pk);
}

#define LIST 150u /* a page of descriptors */

static struct kit_request shape_request(uint8_t op, bool indirect, uint64_t sector, uint8_t nseg,
                                        uint8_t sectors)
{
    struct kit_request request = {.op = op, .nseg = nseg, .sector = sector};
    uint8_t *list = fake_hv_page(LIST);

    for (uint32_t i = 0; i < nseg; i++) {
        uint32_t ref = DATA + i;
        request.segments[i] = (struct kit_segment){ref, 0, (uint8_t)(sectors - 1)};
        memcpy(list + (size_t)8 * i, &ref, sizeof(ref));
        list[8 * i + 4] = 0;
        list[8 * i + 5] = (uint8_t)(sectors - 1);
    }
    if (!indirect)
        return request;
    return (struct kit_request){.op = RING_OP_INDIRECT,
                                .indirect_op = op,
                                .indirect_nseg = nseg,
                                .indirect_refs = {LIST},
                                .sector = sector};
}

/* A buffer has the pages that the request may need and no more: the blocks it touches, one more for each
 * edge of a write that lies inside a block; of an indirect one, as if that were so. */
static void sizes(void)
{
    static const struct {
        uint8_t op;
        bool indirect;
        uint64_t sector;
        uint8_t nseg, sectors;
        uint32_t pages;
    } shapes[] = {
        {RING_OP_READ, false, 0, 1, 8, 1},  {RING_OP_READ, false, 3, 1, 1, 1},
        {RING_OP_READ, false, 4, 2, 8, 3},  {RING_OP_WRITE, false, 0, 1, 8, 1},
        {RING_OP_WRITE, false, 0, 1, 1, 2}, {RING_OP_WRITE, false, 3, 1, 1, 3},
        {RING_OP_WRITE, false, 4, 2, 8, 5}, {RING_OP_READ, true, 0, 2, 8, 2},
        {RING_OP_READ, true, 4, 2, 8, 3},   {RING_OP_WRITE, true, 0, 2, 8, 3},
        {RING_OP_WRITE, true, 4, 2, 8, 5},
    };

    begin(NULL);
    front_open(&pk, &front, 0, 0, 1);
    front_open(&pk, &other, 1, 1, 1);
    front_put(&front, shape_request(RING_OP_WRITE, false, 0, 4, 8));
    front_ask(&front);
    CU_ASSERT(front_await(&front, 1));
    for (uint32_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        fake_aio_hold(true, -1);
        front_put(&front, shape_request(shapes[i].op, shapes[i].indirect, shapes[i].sector,
                                        shapes[i].nseg, shapes[i].sectors));
        front_ask(&front);
        CU_ASSERT(taken(&front));
        settle();
        CU_ASSERT_EQUAL(in_use(), shapes[i].pages);
        fake_aio_hold(false, -1);
        CU_ASSERT(front_await(&front, 2 + i));
        CU_ASSERT_EQUAL(front_status(&front, 1 + i), RING_OKAY);
    }
    end();
}

int suite_pump_short(void)
{
    static const struct unit_case cases[] = {
        {"requests", requests},
        {"memory", memory},
        {"buffers", buffers},
        {"sizes", sizes},
    };

    return UNIT_SUITE("pump_short", cases);
}
