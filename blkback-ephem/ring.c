// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring: one codec for both ABIs, driven by a table of offsets, instead of two sets of structs.
 *
 * Barriers: a producer index is loaded with acquire before the slots it covers, and our own is stored
 * with release after them; between publishing an event threshold and looking again stands a full
 * barrier, as between publishing responses and reading the frontend's threshold.
 * Deliberately absent: barriers as an operation (not offered: with several queues it cannot mean
 * anything), secure discard, persistent grants.
 */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include "util.h"

#define RING_HEADER   64u
#define RING_SLOT_MAX 112u

/* Word offsets in the ring header. */
enum { REQ_PROD = 0, REQ_EVENT = 1, RSP_PROD = 2, RSP_EVENT = 3 };

struct layout {
    uint16_t slot, response;
    uint8_t id, sector, segments;                      /* direct */
    uint8_t discard_id, discard_sector, discard_count; /* discard */
    uint8_t indirect_op, indirect_nseg, indirect_id, indirect_sector, indirect_refs;
    uint8_t rsp_op, rsp_status;
};

static const struct layout layouts[] = {
    [RING_X86_64] = {.slot = 112,
                     .response = 16,
                     .id = 8,
                     .sector = 16,
                     .segments = 24,
                     .discard_id = 8,
                     .discard_sector = 16,
                     .discard_count = 24,
                     .indirect_op = 1,
                     .indirect_nseg = 2,
                     .indirect_id = 8,
                     .indirect_sector = 16,
                     .indirect_refs = 28,
                     .rsp_op = 8,
                     .rsp_status = 10},
    [RING_X86_32] = {.slot = 108,
                     .response = 12,
                     .id = 4,
                     .sector = 12,
                     .segments = 20,
                     .discard_id = 4,
                     .discard_sector = 12,
                     .discard_count = 20,
                     .indirect_op = 1,
                     .indirect_nseg = 2,
                     .indirect_id = 4,
                     .indirect_sector = 12,
                     .indirect_refs = 24,
                     .rsp_op = 8,
                     .rsp_status = 10},
};

static uint32_t *ring_word(const struct ring *ring, unsigned int which)
{
    return (uint32_t *)(void *)ring->shared + which;
}

static uint8_t *ring_slot(const struct ring *ring, uint32_t index)
{
    return ring->shared + RING_HEADER +
           (size_t)(index & (ring->slots - 1)) * layouts[ring->abi].slot;
}

void ring_open(struct ring *ring, void *shared, uint32_t pages, enum ring_abi abi)
{
    uint32_t fit = (pages * 4096u - RING_HEADER) / layouts[abi].slot;

    ring->shared = shared;
    ring->abi = abi;
    ring->slots = 1u << (31 - __builtin_clz(fit));
    /* A fresh ring starts at 0; one taken over goes on behind what was answered. */
    ring->rsp_prod = __atomic_load_n(ring_word(ring, RSP_PROD), __ATOMIC_RELAXED);
    ring->rsp_pushed = ring->req_cons = ring->rsp_prod;
}

int ring_waiting(const struct ring *ring)
{
    uint32_t prod = __atomic_load_n(ring_word(ring, REQ_PROD), __ATOMIC_ACQUIRE);

    uint32_t waiting = prod - ring->req_cons;

    /* Also one that went back behind what was taken from it: as a count that is a huge number. */
    if (prod - ring->rsp_prod > ring->slots || waiting > ring->slots)
        return -EPROTO;
    return (int)waiting;
}

static uint64_t load_le(const uint8_t *at, unsigned int bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static void decode_segment(struct ring_segment *segment, const uint8_t *at)
{
    segment->ref = (uint32_t)load_le(at, 4);
    segment->first = at[4];
    segment->last = at[5];
}

static void ring_decode(struct ring_request *request, const struct layout *l, const uint8_t *slot)
{
    request->op = slot[0];
    request->indirect_op = 0;
    request->nseg = slot[1];
    request->id = load_le(slot + l->id, 8);
    request->sector = load_le(slot + l->sector, 8);
    request->discard_sectors = 0;
    request->indirect_ref = 0;
    if (request->op == RING_OP_DISCARD) {
        request->nseg = 0;
        request->id = load_le(slot + l->discard_id, 8);
        request->sector = load_le(slot + l->discard_sector, 8);
        request->discard_sectors = load_le(slot + l->discard_count, 8);
    } else if (request->op == RING_OP_INDIRECT) {
        request->indirect_op = slot[l->indirect_op];
        request->nseg = (uint16_t)load_le(slot + l->indirect_nseg, 2);
        request->id = load_le(slot + l->indirect_id, 8);
        request->sector = load_le(slot + l->indirect_sector, 8);
        request->indirect_ref = (uint32_t)load_le(slot + l->indirect_refs, 4);
    } else {
        for (uint32_t i = 0; i < RING_MAX_SEGMENTS; i++)
            decode_segment(&request->segments[i], slot + l->segments + (size_t)i * 8);
    }
}

void ring_fetch(struct ring *ring, struct ring_request *request)
{
    const struct layout *l = &layouts[ring->abi];
    const volatile uint32_t *from = (const volatile uint32_t *)(void *)ring_slot(ring,
                                                                                 ring->req_cons);
    uint32_t copy[RING_SLOT_MAX / 4];

    for (uint32_t i = 0; i < l->slot / 4u; i++)
        copy[i] = from[i];
    __asm__ __volatile__("" : : : "memory");
    ring->req_cons++;
    ring_decode(request, l, (const uint8_t *)copy);
}

bool ring_arm(struct ring *ring)
{
    __atomic_store_n(ring_word(ring, REQ_EVENT), ring->req_cons + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring_waiting(ring) != 0;
}

enum ring_op ring_effective_op(const struct ring_request *request)
{
    return request->op == RING_OP_INDIRECT ? request->indirect_op : request->op;
}

enum ring_status ring_check_header(const struct ring_request *request,
                                   const struct ring_limits *limits)
{
    switch (request->op) {
    case RING_OP_READ:
    case RING_OP_WRITE:
        if (request->nseg < 1 || request->nseg > RING_MAX_SEGMENTS)
            return RING_ERROR;
        break;
    case RING_OP_FLUSH:
        if (request->nseg > RING_MAX_SEGMENTS)
            return RING_ERROR;
        break;
    case RING_OP_INDIRECT:
        if (request->indirect_op != RING_OP_READ && request->indirect_op != RING_OP_WRITE)
            return RING_UNSUPPORTED;
        if (request->nseg < 1 || request->nseg > RING_MAX_INDIRECT)
            return RING_ERROR;
        break;
    case RING_OP_DISCARD:
        if (!limits->discard)
            return RING_UNSUPPORTED;
        if (limits->readonly || !request->discard_sectors || request->sector > limits->sectors ||
            request->discard_sectors > limits->sectors - request->sector)
            return RING_ERROR;
        return RING_OKAY;
    default:
        return RING_UNSUPPORTED;
    }
    if (ring_effective_op(request) != RING_OP_READ && request->nseg && limits->readonly)
        return RING_ERROR;
    return RING_OKAY;
}

void ring_decode_segments(struct ring_request *request, const uint8_t *descriptors)
{
    for (uint32_t i = 0; i < request->nseg; i++)
        decode_segment(&request->segments[i], descriptors + (size_t)i * 8);
}

enum ring_status ring_check_segments(const struct ring_request *request,
                                     const struct ring_limits *limits, uint32_t *sectors)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < request->nseg; i++) {
        const struct ring_segment *segment = &request->segments[i];
        if (segment->last > 7 || segment->first > segment->last)
            return RING_ERROR;
        sum += segment->last - segment->first + 1u;
    }
    if (request->sector > limits->sectors || sum > limits->sectors - request->sector)
        return RING_ERROR;
    *sectors = sum;
    return RING_OKAY;
}

void ring_respond(struct ring *ring, uint64_t id, uint8_t op, enum ring_status status)
{
    const struct layout *l = &layouts[ring->abi];
    uint8_t response[16] = {0};
    int16_t code = (int16_t)status;
    uint8_t *slot = ring_slot(ring, ring->rsp_prod);

    memcpy(response, &id, 8);
    response[l->rsp_op] = op;
    memcpy(response + l->rsp_status, &code, 2);
    memcpy(slot, response, l->response);
    ring->rsp_prod++;
}

bool ring_push(struct ring *ring)
{
    uint32_t old = ring->rsp_pushed;
    uint32_t now = ring->rsp_prod;

    __atomic_store_n(ring_word(ring, RSP_PROD), now, __ATOMIC_RELEASE);
    ring->rsp_pushed = now;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n(ring_word(ring, RSP_EVENT), __ATOMIC_RELAXED);
    return now - event < now - old;
}
