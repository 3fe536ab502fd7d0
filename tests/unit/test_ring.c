// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring: layout, indices and notification in both ABIs.  What is refused: test_ring_judge.c.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "ringkit.h"
#include "util.h"

static struct kit kit;
static struct ring_request got;

static void both(void (*test)(void))
{
    for (int abi = RING_X86_64; abi <= RING_X86_32; abi++) {
        kit_open(&kit, (enum ring_abi)abi, 1);
        test();
        kit_close(&kit);
    }
}

static void slot_counts(void)
{
    static const uint32_t want[] = {32, 64, 128, 256, 512};

    for (int abi = RING_X86_64; abi <= RING_X86_32; abi++) {
        for (uint32_t order = 0; order <= 4; order++) {
            kit_open(&kit, (enum ring_abi)abi, 1u << order);
            CU_ASSERT_EQUAL(kit.ring.slots, want[order]);
            uint8_t *end = kit_slot(&kit, want[order] - 1) + (abi == RING_X86_64 ? 112 : 108);
            CU_ASSERT(end <= kit.page + (4096u << order));
            kit_close(&kit);
        }
    }
}

static void decode_direct(void)
{
    struct kit_request ask = {.op = 1,
                              .nseg = 11,
                              .handle = 0xbeef,
                              .id = 0x1122334455667788,
                              .sector = 0x99aabbccddeeff00};

    for (uint32_t i = 0; i < 11; i++)
        ask.segments[i] = (struct kit_segment){0x80000000u + i, (uint8_t)(i + 3),
                                               (uint8_t)(250 - i)};
    kit_put(&kit, &ask);
    CU_ASSERT_EQUAL(ring_waiting(&kit.ring), 1);
    ring_fetch(&kit.ring, &got);
    CU_ASSERT_EQUAL(ring_waiting(&kit.ring), 0);
    CU_ASSERT(got.op == 1 && got.nseg == 11 && got.id == ask.id && got.sector == ask.sector);
    for (uint32_t i = 0; i < 11; i++)
        CU_ASSERT(got.segments[i].ref == ask.segments[i].ref &&
                  got.segments[i].first == ask.segments[i].first &&
                  got.segments[i].last == ask.segments[i].last);
}

static void decode_discard(void)
{
    struct kit_request ask = {.op = 5,
                              .flag = 1,
                              .handle = 0xbeef,
                              .id = 0x1122334455667788,
                              .sector = 0x99aabbccddeeff00,
                              .discard_sectors = 0x0123456789abcdef};

    kit_put(&kit, &ask);
    ring_fetch(&kit.ring, &got);
    CU_ASSERT(got.op == 5 && got.nseg == 0 && got.id == ask.id && got.sector == ask.sector);
    CU_ASSERT_EQUAL(got.discard_sectors, ask.discard_sectors);
    CU_ASSERT_EQUAL(ring_effective_op(&got), RING_OP_DISCARD);
}

static void decode_indirect(void)
{
    struct kit_request ask = {.op = 6,
                              .indirect_op = 1,
                              .indirect_nseg = 256,
                              .handle = 0xbeef,
                              .id = 0x1122334455667788,
                              .sector = 0x99aabbccddeeff00,
                              .indirect_refs = {0xdeadbeef, 2, 3, 4, 5, 6, 7, 8}};
    uint8_t page[256 * 8];

    kit_put(&kit, &ask);
    ring_fetch(&kit.ring, &got);
    CU_ASSERT(got.op == 6 && got.indirect_op == 1 && got.nseg == 256 && got.id == ask.id);
    CU_ASSERT(got.sector == ask.sector && got.indirect_ref == 0xdeadbeef);
    CU_ASSERT_EQUAL(ring_effective_op(&got), RING_OP_WRITE);
    memset(page, 0xa5, sizeof(page));
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t ref = 0xfff00000u + i;
        memcpy(page + i * 8, &ref, 4);
        page[i * 8 + 4] = (uint8_t)(i % 8);
        page[i * 8 + 5] = (uint8_t)(7 - i % 3);
    }
    ring_decode_segments(&got, page);
    for (uint32_t i = 0; i < 256; i++)
        CU_ASSERT(got.segments[i].ref == 0xfff00000u + i && got.segments[i].first == i % 8 &&
                  got.segments[i].last == 7 - i % 3);
}

static void decode(void)
{
    both(decode_direct);
    both(decode_discard);
    both(decode_indirect);
}

/* What the guest changes after the fetch is not seen. */
static void fetched_once_here(void)
{
    struct ring_request before;
    struct kit_request ask = {.op = 0, .nseg = 1, .id = 7, .segments[0] = {5, 0, 7}};

    memset(&got, 0, sizeof(got));
    kit_put(&kit, &ask);
    ring_fetch(&kit.ring, &got);
    before = got;
    memset(kit.page + 64, 0xff, 4096 - 64);
    CU_ASSERT_EQUAL(memcmp(&before, &got, sizeof(got)), 0);
}

static void fetched_once(void)
{
    both(fetched_once_here);
}

/* A producer that claims more than the ring holds, beyond what was answered. */
static void overflow_here(void)
{
    static const uint32_t bad[] = {33, 34, 64, 1u << 20, 1u << 31, UINT32_MAX - 32, UINT32_MAX};

    for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
        *kit_req_prod(&kit) = kit.ring.rsp_prod + bad[i];
        CU_ASSERT_EQUAL(ring_waiting(&kit.ring), -EPROTO);
        CU_ASSERT(ring_arm(&kit.ring));
    }
    *kit_req_prod(&kit) = kit.ring.rsp_prod + 32;
    CU_ASSERT_EQUAL(ring_waiting(&kit.ring), 32);
    for (int i = 0; i < 32; i++)
        ring_fetch(&kit.ring, &got);
    *kit_req_prod(&kit) = kit.ring.rsp_prod + 33; /* a slot that is not answered yet */
    CU_ASSERT_EQUAL(ring_waiting(&kit.ring), -EPROTO);
    *kit_req_prod(&kit) = kit.ring.req_cons - 1; /* backwards */
    CU_ASSERT_EQUAL(ring_waiting(&kit.ring), -EPROTO);
    CU_ASSERT(ring_arm(&kit.ring));
}

static void overflow(void)
{
    both(overflow_here);
}

/* A backend that was restarted in mid-life, with its indices about to wrap. */
static void wrap_here(void)
{
    const uint32_t start = UINT32_MAX - 40;
    struct ring *ring = &kit.ring;

    *kit_rsp_prod(&kit) = *kit_req_prod(&kit) = start;
    *kit_rsp_event(&kit) = start + 1;
    ring_open(ring, kit.page, 1, kit.abi);
    CU_ASSERT_EQUAL(ring_waiting(ring), 0);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t burst = 1 + i % 32;
        struct kit_request ask = {.op = 0, .nseg = 1};
        for (uint32_t j = 0; j < burst; j++) {
            ask.id = (uint64_t)i << 32 | j;
            kit_put(&kit, &ask);
        }
        CU_ASSERT_EQUAL(ring_waiting(ring), (int)burst);
        for (uint32_t j = 0; j < burst; j++) {
            ring_fetch(ring, &got);
            CU_ASSERT_EQUAL(got.id, ((uint64_t)i << 32 | j));
            ring_respond(ring, got.id, got.op, RING_OKAY);
        }
        CU_ASSERT(ring_push(ring));
        CU_ASSERT_EQUAL(*kit_rsp_prod(&kit), *kit_req_prod(&kit));
        *kit_rsp_event(&kit) = *kit_rsp_prod(&kit) + 1;
    }
}

static void wrap(void)
{
    both(wrap_here);
}

/* An event is due when the responses just pushed step over rsp_event. */
static void notify_here(void)
{
    struct ring *ring = &kit.ring;

    for (uint32_t start = UINT32_MAX - 50, i = 0; i < 60; i++, start++) {
        for (uint32_t pushed = 0; pushed <= 4; pushed++) {
            for (int32_t ahead = -3; ahead <= 7; ahead++) {
                *kit_rsp_prod(&kit) = *kit_req_prod(&kit) = start;
                ring_open(ring, kit.page, 1, kit.abi);
                *kit_rsp_event(&kit) = start + (uint32_t)ahead;
                for (uint32_t j = 0; j < pushed; j++)
                    ring_respond(ring, j, 0, RING_OKAY);
                CU_ASSERT_EQUAL(*kit_rsp_prod(&kit), start); /* not before the push */
                bool wanted = ahead >= 1 && (uint32_t)ahead <= pushed;
                CU_ASSERT_EQUAL(ring_push(ring), wanted);
                CU_ASSERT_FALSE(ring_push(ring));
            }
        }
    }
}

static void notify(void)
{
    both(notify_here);
}

static void arm_here(void)
{
    struct kit_request ask = {.op = 0, .nseg = 1};

    CU_ASSERT_FALSE(ring_arm(&kit.ring));
    CU_ASSERT_EQUAL(*kit_req_event(&kit), 1);
    kit_put(&kit, &ask);
    CU_ASSERT(ring_arm(&kit.ring));
    ring_fetch(&kit.ring, &got);
    CU_ASSERT_FALSE(ring_arm(&kit.ring));
    CU_ASSERT_EQUAL(*kit_req_event(&kit), 2);
}

static void arm(void)
{
    both(arm_here);
}

/* id, op and status where the frontend looks, nothing of ours in the padding. */
static void response_here(void)
{
    static const uint8_t want[16] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
                                     0x22, 0x11, 6,    0,    0xfe, 0xff};
    size_t size = kit.abi == RING_X86_64 ? 16 : 12;

    memset(kit.page + 64, 0xa5, 4096 - 64);
    ring_respond(&kit.ring, 0x1122334455667788, 6, RING_UNSUPPORTED);
    ring_push(&kit.ring);
    CU_ASSERT_EQUAL(memcmp(kit_slot(&kit, 0), want, size), 0);
    CU_ASSERT_EQUAL(kit_slot(&kit, 0)[size], 0xa5);
}

static void response(void)
{
    both(response_here);
}

int suite_ring(void)
{
    static const struct unit_case cases[] = {
        {"slot counts", slot_counts},
        {"decode", decode},
        {"fetched once", fetched_once},
        {"overflow", overflow},
        {"index wrap", wrap},
        {"notify", notify},
        {"arm", arm},
        {"response", response},
    };

    return UNIT_SUITE("ring", cases);
}
