// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * request: what a guest is answered, and what has happened to its pages and its volume, when something on
 * the way fails or the ring goes away.  What is answered with an error has changed nothing.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "arena.h"
#include "fake_aio.h"
#include "fake_hv.h"
#include "iothread.h"
#include "pumpkit.h"

#define SECTORS 2048u
#define BAD     FAKE_PAGES /* a grant that is none */
#define LIST    40u        /* pages of descriptors from here on */
#define FROM    100u       /* pages of data */
#define TO      900u
#define BLANK   0xcc

static struct pumpkit pk;
static struct front front;

static void begin(size_t arena_pages)
{
    struct rig_config config = {.bytes = SECTORS * 512,
                                .base_bytes = SECTORS * 512,
                                .extents = 1,
                                .seed = 1,
                                .arena = arena_pages * ARENA_PAGE};

    pumpkit_open(&pk, &config, NULL);
    front_open(&pk, &front, 0, 0, 1);
    memset(fake_hv_page(FROM), 0x11, 4096); /* no byte of a base */
    memset(fake_hv_page(TO), BLANK, 4096);
}

static void end(void)
{
    front_close(&pk, &front, false);
    CU_ASSERT_FATAL(front_closed(&front));
    pumpkit_close(&pk);
}

static uint32_t in_use(void)
{
    return arena_in_use(iothread_arena(pk.rig.threads[0]));
}

/* One request by itself. */
static int ask(struct kit_request request)
{
    uint32_t id = front_put(&front, request);

    front_ask(&front);
    CU_ASSERT(front_await(&front, id + 1));
    return front_status(&front, id);
}

static struct kit_request one(uint8_t op, uint64_t sector, uint32_t ref)
{
    return (struct kit_request){.op = op, .nseg = 1, .sector = sector, .segments = {{ref, 0, 7}}};
}

/* How many of the bytes at `sector` are not the base's. */
static uint32_t changed(uint64_t sector, uint32_t bytes)
{
    uint32_t n = 0;

    CU_ASSERT_EQUAL(ask(one(RING_OP_READ, sector, TO)), RING_OKAY);
    for (uint32_t i = 0; i < bytes; i++)
        n += fake_hv_page(TO)[i] != rig_base_byte(sector * 512 + i);
    memset(fake_hv_page(TO), BLANK, 4096);
    return n;
}

/* Bytes of a page that something was written to. */
static uint32_t touched(uint32_t page)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < 4096; i++)
        n += fake_hv_page(page)[i] != BLANK;
    return n;
}

/* One bad page spoils the request, good pages before it or not. */
static void bad_pages(void)
{
    struct kit_request write = {
        .op = RING_OP_WRITE, .nseg = 2, .segments = {{FROM, 0, 7}, {BAD, 0, 7}}};
    struct kit_request read = write;

    begin(384);
    CU_ASSERT_EQUAL(ask(write), RING_ERROR);
    write.segments[0].ref = BAD;
    write.segments[1].ref = FROM;
    CU_ASSERT_EQUAL(ask(write), RING_ERROR);
    CU_ASSERT_EQUAL(changed(0, 4096), 0);
    CU_ASSERT_EQUAL(changed(8, 4096), 0);
    CU_ASSERT_EQUAL(rig_pool_used(&pk.rig), 0);
    read.op = RING_OP_READ;
    read.segments[0].ref = TO;
    CU_ASSERT_EQUAL(ask(read), RING_ERROR);
    CU_ASSERT_EQUAL(ask(one(RING_OP_WRITE, 0, FROM)), RING_OKAY);
    CU_ASSERT_EQUAL(changed(0, 4096), 4096);
    CU_ASSERT_EQUAL(in_use(), 0);
    end();
}

/* The page with the descriptors, or what they say. */
static void bad_indirect_pages(void)
{
    struct kit_request request = {
        .op = RING_OP_INDIRECT, .indirect_op = RING_OP_WRITE, .indirect_nseg = 2};
    struct kit_segment *list;

    begin(384);
    list = (struct kit_segment *)(void *)fake_hv_page(LIST);
    request.indirect_refs[0] = BAD;
    CU_ASSERT_EQUAL(ask(request), RING_ERROR);
    CU_ASSERT_EQUAL(fake_hv_copied(), 1); /* no page is taken for what was not read */
    request.indirect_refs[0] = LIST;
    list[0] = (struct kit_segment){FROM, 0, 7};
    list[1] = (struct kit_segment){BAD, 0, 7};
    CU_ASSERT_EQUAL(ask(request), RING_ERROR);
    list[1] = (struct kit_segment){FROM, 3, 2};
    CU_ASSERT_EQUAL(ask(request), RING_ERROR);
    CU_ASSERT_EQUAL(changed(0, 4096), 0);
    CU_ASSERT_EQUAL(rig_pool_used(&pk.rig), 0);
    list[1] = (struct kit_segment){FROM, 0, 0};
    CU_ASSERT_EQUAL(ask(request), RING_OKAY);
    CU_ASSERT_EQUAL(changed(8, 512), 512);
    CU_ASSERT_EQUAL(changed(9, 512), 0);
    end();
}

/* What the storage refuses is an error, and no byte of a buffer reaches the guest. */
static void storage_fails(void)
{
    begin(384);
    fake_aio_fail(1, 1, -EIO, false);
    CU_ASSERT_EQUAL(ask(one(RING_OP_READ, 16, TO)), RING_ERROR);
    CU_ASSERT_EQUAL(fake_aio_failed(), 1);
    CU_ASSERT_EQUAL(touched(TO), 0);
    CU_ASSERT_EQUAL(changed(16, 4096), 0);
    end();
}

static void discards(void)
{
    struct kit_request discard = {.op = RING_OP_DISCARD, .sector = 8, .discard_sectors = 16};

    begin(384);
    CU_ASSERT_EQUAL(ask(discard), RING_OKAY);
    CU_ASSERT_EQUAL(changed(0, 4096), 0);
    CU_ASSERT_EQUAL(changed(24, 4096), 0);
    for (uint32_t sector = 8; sector < 24; sector += 8) {
        CU_ASSERT_EQUAL(ask(one(RING_OP_READ, sector, TO)), RING_OKAY);
        for (uint32_t i = 0; i < 4096; i += 64)
            CU_ASSERT_EQUAL(fake_hv_page(TO)[i], 0);
    }
    discard.sector = SECTORS;
    CU_ASSERT_EQUAL(ask(discard), RING_ERROR);
    end();
}

/* Three times 256 segments, published together: more grant copies than go out in one batch. */
static void more_copies_than_a_batch(void)
{
    struct kit_request request = {.op = RING_OP_INDIRECT, .indirect_nseg = RING_MAX_INDIRECT};
    uint32_t wrong = 0;

    begin(1536);
    for (uint32_t i = 0; i < 3 * RING_MAX_INDIRECT; i++) {
        uint32_t page = i / 8;
        uint8_t sector = (uint8_t)(i % 8);
        struct kit_segment *list = (struct kit_segment *)(void *)fake_hv_page(LIST) + i;
        list[0] = (struct kit_segment){FROM + page, sector, sector};
        list[3 * RING_MAX_INDIRECT] = (struct kit_segment){TO + page, sector, sector};
        memset(fake_hv_page(FROM + page) + sector * 512u, (int)(1 + i % 251), 512);
        memset(fake_hv_page(TO + page), BLANK, 4096);
    }
    for (uint32_t turn = 0; turn < 2; turn++) {
        request.indirect_op = turn ? RING_OP_READ : RING_OP_WRITE;
        for (uint32_t i = 0; i < 3; i++) {
            /* 256 descriptors are half a page */
            uint32_t half = turn * 3 + i;
            memcpy(fake_hv_page(LIST + 10 + half), fake_hv_page(LIST) + half * 2048u, 2048);
            request.indirect_refs[0] = LIST + 10 + half;
            request.sector = i * RING_MAX_INDIRECT;
            front_put(&front, request);
        }
        front_ask(&front);
        CU_ASSERT(front_await(&front, 3 * (turn + 1)));
        for (uint32_t i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(front_status(&front, turn * 3 + i), RING_OKAY);
    }
    for (uint32_t i = 0; i < 3 * RING_MAX_INDIRECT * 512; i++)
        wrong += fake_hv_page(TO)[i] != 1 + i / 512 % 251;
    CU_ASSERT_EQUAL(wrong, 0);
    end();
}

static void nothing(void *arg)
{
    (void)arg;
}

static void await_flying(uint32_t n)
{
    for (uint32_t ms = 0; fake_aio_flying() != n && ms < KIT_LATE_MS; ms++)
        unit_sleep(1);
    CU_ASSERT_EQUAL(fake_aio_flying(), n);
}

static void there_probe(void *arg)
{
    (void)arg;
    CU_ASSERT(queue_probe(front.queue));
}

/* A ring that breaks the protocol is answered no more: not even what it asked for before. */
static void death_with_reads_under_way(void)
{
    begin(384);
    fake_aio_hold(true, -1);
    front_put(&front, one(RING_OP_READ, 0, TO));
    front_ask(&front);
    await_flying(1);
    for (uint32_t i = 0; i < 3; i++) {
        front.asked += 1000;
        front_publish(&front);
        fake_hv_kick(0);
        pumpkit_there(&pk, nothing, NULL);
        pumpkit_there(&pk, there_probe, NULL); /* which would hear events again */
    }
    fake_aio_hold(false, -1);
    await_flying(0);
    pumpkit_there(&pk, nothing, NULL);
    CU_ASSERT_EQUAL(front.deaths, 1);
    CU_ASSERT_EQUAL(front_answered(&front), 0);
    CU_ASSERT_EQUAL(fake_hv_notified(0), 0);
    end();
    CU_ASSERT_EQUAL(front_answered(&front), 0);
}

/* The guest's pages are let go of at once, the ring only when nothing is under way any more. */
static void forced_with_reads_under_way(void)
{
    begin(384);
    fake_aio_hold(true, -1);
    front_put(&front, one(RING_OP_READ, 0, TO));
    front_ask(&front);
    await_flying(1);
    front_close(&pk, &front, true);
    CU_ASSERT_EQUAL(fake_hv_mapped(), 0);
    unit_sleep(20);
    CU_ASSERT_EQUAL(front.closings, 0);
    CU_ASSERT(fake_hv_bound(0));
    fake_aio_hold(false, -1);
    CU_ASSERT(front_closed(&front));
    CU_ASSERT(!fake_hv_bound(0));
    CU_ASSERT_EQUAL(touched(TO), 0);
    CU_ASSERT_EQUAL(front_answered(&front), 0);
    CU_ASSERT_EQUAL(in_use(), 0);
    pumpkit_close(&pk);
}

/* Closing waits for what is under way and answers it; what is held for space was never carried out. */
static void closed_with_writes_held(void)
{
    begin(384);
    rig_extents(0);
    uint32_t write = front_put(&front, one(RING_OP_WRITE, 0, FROM));
    uint32_t read = front_put(&front, one(RING_OP_READ, 64, TO));
    front_ask(&front);
    CU_ASSERT(front_await(&front, 1));
    CU_ASSERT_EQUAL(front_status(&front, read), RING_OKAY);
    unit_sleep(20);
    CU_ASSERT_EQUAL(front_answered(&front), 1);
    front_close(&pk, &front, false);
    CU_ASSERT(front_closed(&front));
    CU_ASSERT_EQUAL(front_status(&front, write), 1);
    CU_ASSERT_EQUAL(in_use(), 0);
    pumpkit_close(&pk);
}

int suite_request(void)
{
    static const struct unit_case cases[] = {
        {"bad pages", bad_pages},
        {"bad indirect pages", bad_indirect_pages},
        {"storage fails", storage_fails},
        {"discards", discards},
        {"more copies than a batch", more_copies_than_a_batch},
        {"a ring dies with reads under way", death_with_reads_under_way},
        {"force with reads under way", forced_with_reads_under_way},
        {"closed with writes held", closed_with_writes_held},
    };

    return UNIT_SUITE("request", cases);
}
