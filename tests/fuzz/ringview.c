// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ringview: struct by struct; nothing here is shared with ring.c but the limits it is given.
 */
#include "ringview.h"

#include <string.h>
#include <xen/xen.h>
#include <xen/io/blkif.h>

/* As i386 compilers lay it out: 64-bit fields on 4 bytes. */
struct __attribute__((packed, aligned(4))) segment_32 {
    uint32_t gref;
    uint8_t first_sect, last_sect;
    uint16_t pad;
};

struct __attribute__((packed, aligned(4))) request_32 {
    uint8_t operation, nr_segments;
    uint16_t handle;
    uint64_t id, sector_number;
    struct segment_32 seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct __attribute__((packed, aligned(4))) discard_32 {
    uint8_t operation, flag;
    uint16_t handle;
    uint64_t id, sector_number, nr_sectors;
};

struct __attribute__((packed, aligned(4))) indirect_32 {
    uint8_t operation, indirect_op;
    uint16_t nr_segments;
    uint64_t id, sector_number;
    uint16_t handle, pad;
    uint32_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};

struct __attribute__((packed, aligned(4))) response_32 {
    uint64_t id;
    uint8_t operation, pad;
    int16_t status;
};

union entry_32 {
    struct request_32 request;
    struct discard_32 discard;
    struct indirect_32 indirect;
    struct response_32 response;
};
_Static_assert(sizeof(union entry_32) == 108, "a slot of the 32-bit ABI");
_Static_assert(sizeof(struct response_32) == 12, "a response of the 32-bit ABI");

uint32_t view_word(const struct view *view, uint32_t which)
{
    const blkif_sring_t *ring = (const void *)view->page;
    const RING_IDX words[] = {ring->req_prod, ring->req_event, ring->rsp_prod, ring->rsp_event};

    return words[which];
}

void view_put_word(struct view *view, uint32_t which, uint32_t value)
{
    blkif_sring_t *ring = (void *)view->page;
    RING_IDX *words[] = {&ring->req_prod, &ring->req_event, &ring->rsp_prod, &ring->rsp_event};

    *words[which] = value;
}

size_t view_slot_bytes(const struct view *view)
{
    return view->x86_32 ? sizeof(union entry_32) : sizeof(union blkif_sring_entry);
}

uint32_t view_slots(const struct view *view)
{
    uint32_t slots = 1;

    while (64 + 2 * slots * view_slot_bytes(view) <= view->pages * 4096u)
        slots *= 2;
    return slots;
}

static uint8_t *view_slot(const struct view *view, uint32_t index)
{
    return view->page + 64 + (index % view_slots(view)) * view_slot_bytes(view);
}

int64_t view_waiting(const struct view *view, uint32_t cons, uint32_t rsp)
{
    uint32_t prod = view_word(view, VIEW_REQ_PROD), taken = cons - rsp;

    /* From the last answer on: how far the frontend says it is, how far we are. */
    if ((uint32_t)(prod - rsp) > view_slots(view) || (uint32_t)(prod - rsp) < taken)
        return -1;
    return (uint32_t)(prod - rsp) - taken;
}

/* As a struct of the ABI, into an ask. */
#define READ_DIRECT(ask, r)                                                                        \
    do {                                                                                           \
        (ask)->nseg = (r)->nr_segments;                                                            \
        (ask)->id = (r)->id;                                                                       \
        (ask)->sector = (r)->sector_number;                                                        \
        for (int i = 0; i < BLKIF_MAX_SEGMENTS_PER_REQUEST; i++) {                                 \
            (ask)->segments[i].ref = (r)->seg[i].gref;                                             \
            (ask)->segments[i].first = (r)->seg[i].first_sect;                                     \
            (ask)->segments[i].last = (r)->seg[i].last_sect;                                       \
        }                                                                                          \
    } while (0)
#define READ_DISCARD(ask, r)                                                                       \
    do {                                                                                           \
        (ask)->id = (r)->id;                                                                       \
        (ask)->sector = (r)->sector_number;                                                        \
        (ask)->discard = (r)->nr_sectors;                                                          \
    } while (0)
#define READ_INDIRECT(ask, r)                                                                      \
    do {                                                                                           \
        (ask)->indirect_op = (r)->indirect_op;                                                     \
        (ask)->nseg = (r)->nr_segments;                                                            \
        (ask)->id = (r)->id;                                                                       \
        (ask)->sector = (r)->sector_number;                                                        \
        (ask)->ref = (r)->indirect_grefs[0];                                                       \
    } while (0)

static void view_read_64(struct view_ask *ask, const uint8_t *slot)
{
    const blkif_request_t *r = (const void *)slot;

    if (r->operation == BLKIF_OP_DISCARD)
        READ_DISCARD(ask, (const blkif_request_discard_t *)r);
    else if (r->operation == BLKIF_OP_INDIRECT)
        READ_INDIRECT(ask, (const blkif_request_indirect_t *)r);
    else
        READ_DIRECT(ask, r);
}

static void view_read_32(struct view_ask *ask, const uint8_t *slot)
{
    const union entry_32 *r = (const void *)slot;

    if (r->request.operation == BLKIF_OP_DISCARD)
        READ_DISCARD(ask, &r->discard);
    else if (r->request.operation == BLKIF_OP_INDIRECT)
        READ_INDIRECT(ask, &r->indirect);
    else
        READ_DIRECT(ask, &r->request);
}

void view_read(const struct view *view, uint32_t index, struct view_ask *ask)
{
    const uint8_t *slot = view_slot(view, index);

    memset(ask, 0, sizeof(*ask));
    ask->op = slot[0];
    if (view->x86_32)
        view_read_32(ask, slot);
    else
        view_read_64(ask, slot);
}

void view_segments(struct view_ask *ask, const uint8_t *bytes)
{
    const struct blkif_request_segment *from = (const void *)bytes;

    for (uint32_t i = 0; i < ask->nseg; i++) {
        ask->segments[i].ref = from[i].gref;
        ask->segments[i].first = from[i].first_sect;
        ask->segments[i].last = from[i].last_sect;
    }
}

static bool view_ends_inside(uint64_t first, uint64_t count, uint64_t size)
{
    return (__uint128_t)first + count <= size;
}

int view_judge_header(const struct view_ask *ask, const struct ring_limits *limits)
{
    bool indirect = ask->op == BLKIF_OP_INDIRECT;
    uint8_t op = indirect ? ask->indirect_op : ask->op;

    if (ask->op == BLKIF_OP_DISCARD) {
        if (!limits->discard)
            return -2;
        return limits->readonly || !ask->discard ||
                       !view_ends_inside(ask->sector, ask->discard, limits->sectors)
                   ? -1
                   : 0;
    }
    bool flush = op == BLKIF_OP_FLUSH_DISKCACHE && !indirect;
    if (op != BLKIF_OP_READ && op != BLKIF_OP_WRITE && !flush)
        return -2;
    if (ask->nseg > (indirect ? 256 : BLKIF_MAX_SEGMENTS_PER_REQUEST))
        return -1;
    if (!ask->nseg)
        return flush ? 0 : -1;
    return op != BLKIF_OP_READ && limits->readonly ? -1 : 0;
}

int view_judge_segments(const struct view_ask *ask, const struct ring_limits *limits,
                        uint64_t *sectors)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < ask->nseg; i++) {
        int count = (int)ask->segments[i].last - ask->segments[i].first + 1;
        if (count < 1 || ask->segments[i].last >= 8)
            return -1;
        sum += (uint64_t)count;
    }
    *sectors = sum;
    return view_ends_inside(ask->sector, sum, limits->sectors) ? 0 : -1;
}

void view_respond(struct view *view, uint32_t index, uint64_t id, uint8_t op, int16_t status)
{
    uint8_t *slot = view_slot(view, index);

    if (view->x86_32) {
        struct response_32 r = {.id = id, .operation = op, .status = status};
        memcpy(slot, &r, sizeof(r));
    } else {
        blkif_response_t r;
        memset(&r, 0, sizeof(r));
        r.id = id;
        r.operation = op;
        r.status = status;
        memcpy(slot, &r, sizeof(r));
    }
}
