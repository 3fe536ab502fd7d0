// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * caller_ring: a frontend as Linux has one: a batch of requests is published together, the backend is
 * notified only when it asked for that, and the frontend sleeps only after it has asked to be notified
 * and has looked once more.  A lost wake-up on either side shows as a timeout.
 * Segments start and end anywhere in their pages; pages a read must not touch are watched.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_hv.h"
#include "ringkit.h"
#include "unit.h"
#include "util.h"

#define LARGE RING_MAX_INDIRECT /* data pages of the first place */
#define SMALL 24u               /* of each other one */
#define BLANK 0xccu             /* in pages for a read */

struct place {
    struct ask *ask;
    uint64_t id;
    uint32_t first_page, pages; /* behind one for descriptors */
    uint32_t nseg;
    uint8_t op;
    struct kit_segment segments[LARGE];
};

struct caller_ring {
    struct caller caller;
    struct kit kit;
    uint32_t port;
    uint32_t prod, published, cons;
    uint64_t asked;
    struct place places[CALLER_DEPTH];
};

static struct caller_ring *ring_of(struct caller *caller)
{
    return container_of(caller, struct caller_ring, caller);
}

uint32_t caller_ring_pages(uint32_t ring_pages)
{
    return ring_pages + 1 + LARGE + (CALLER_DEPTH - 1) * (1 + SMALL);
}

static uint8_t *segment_at(const struct kit_segment *segment)
{
    return fake_hv_page(segment->ref) + segment->first * 512u;
}

static size_t segment_bytes(const struct kit_segment *segment)
{
    return (segment->last - segment->first + 1u) * 512u;
}

/* Cuts `count` sectors into at most `most` segments. */
static void place_cut(struct place *place, uint32_t count, uint32_t most, uint64_t seed)
{
    bool backwards = seed & 1;

    place->nseg = 0;
    while (count) {
        struct kit_segment *segment = &place->segments[place->nseg];
        uint32_t room = (most - place->nseg - 1) * 8, upper = min_u32(count, 8);
        uint32_t least = count > room ? count - room : 1;
        uint32_t n = seed & 2 ? upper : least + (uint32_t)unit_below(&seed, upper - least + 1);
        uint32_t first = (uint32_t)unit_below(&seed, 8 - n + 1);
        uint32_t page = backwards ? place->pages - 1 - place->nseg : place->nseg;
        *segment = (struct kit_segment){.ref = place->first_page + 1 + page,
                                        .first = (uint8_t)first,
                                        .last = (uint8_t)(first + n - 1)};
        place->nseg++;
        count -= n;
    }
}

static void place_fill(const struct place *place)
{
    const uint8_t *from = place->ask->data;

    for (uint32_t i = 0; i < place->nseg; i++) {
        const struct kit_segment *segment = &place->segments[i];
        memset(fake_hv_page(segment->ref), (int)BLANK, 4096);
        if (place->op == RING_OP_READ)
            continue;
        memcpy(segment_at(segment), from, segment_bytes(segment));
        from += segment_bytes(segment);
    }
}

/* Takes the data of a read; false when there is any where there must be none. */
static bool place_empty(const struct place *place, bool failed)
{
    uint8_t *to = place->ask->data;
    bool clean = true;

    for (uint32_t i = 0; i < place->nseg; i++) {
        const struct kit_segment *segment = &place->segments[i];
        if (!failed) {
            memcpy(to, segment_at(segment), segment_bytes(segment));
            to += segment_bytes(segment);
            memset(segment_at(segment), (int)BLANK, segment_bytes(segment));
        }
        const uint8_t *page = fake_hv_page(segment->ref);
        clean &= page[0] == BLANK && memcmp(page, page + 1, 4095) == 0;
    }
    return clean;
}

static void place_encode(struct place *place, struct kit_request *request, bool indirect)
{
    const struct ask *ask = place->ask;

    place->op = ask->op == ASK_READ ? RING_OP_READ : RING_OP_WRITE;
    place_fill(place);
    request->sector = ask->first;
    request->op = place->op;
    if (indirect) {
        request->op = RING_OP_INDIRECT;
        request->indirect_op = place->op;
        request->indirect_nseg = (uint16_t)place->nseg;
        request->indirect_refs[0] = place->first_page;
        memcpy(fake_hv_page(place->first_page), place->segments,
               place->nseg * sizeof(place->segments[0]));
        return;
    }
    request->nseg = (uint8_t)place->nseg;
    memcpy(request->segments, place->segments, place->nseg * sizeof(place->segments[0]));
}

static struct place *ring_place(struct caller_ring *ring, const struct ask *ask)
{
    bool moves = ask->op == ASK_READ || ask->op == ASK_WRITE;

    /* The first only for what needs it. */
    for (uint32_t i = CALLER_DEPTH; i--;) {
        struct place *place = &ring->places[i];
        if (!place->ask && (!moves || ask->count <= place->pages * 8))
            return place;
    }
    return NULL;
}

static bool ring_send(struct caller *caller, struct ask *ask)
{
    struct caller_ring *ring = ring_of(caller);
    struct place *place = ring_place(ring, ask);
    struct kit_request request = {.id = 0};

    if (!place)
        return false;
    place->ask = ask;
    place->id = request.id = ++ring->asked << 8 | (uint64_t)(place - ring->places);
    if (ask->op == ASK_FLUSH) {
        request.op = place->op = RING_OP_FLUSH;
    } else if (ask->op == ASK_DISCARD) {
        request.op = place->op = RING_OP_DISCARD;
        request.sector = ask->first;
        request.discard_sectors = ask->count;
    } else {
        bool indirect = ask->count > RING_MAX_SEGMENTS * 8 || ask->choice & 4;
        place_cut(place, ask->count, indirect ? place->pages : RING_MAX_SEGMENTS, ask->choice);
        place_encode(place, &request, indirect);
    }
    kit_encode(&ring->kit, ring->prod++, &request);
    caller->flying++;
    return true;
}

static void ring_publish(struct caller_ring *ring)
{
    uint32_t old = ring->published;

    if (old == ring->prod)
        return;
    ring->published = ring->prod;
    __atomic_store_n(kit_req_prod(&ring->kit), ring->prod, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n(kit_req_event(&ring->kit), __ATOMIC_RELAXED);
    if (ring->prod - event < ring->prod - old)
        fake_hv_kick(ring->port);
}

static bool ring_answered(const struct caller_ring *ring)
{
    return __atomic_load_n(kit_rsp_prod(&ring->kit), __ATOMIC_ACQUIRE) != ring->cons;
}

static void ring_wait(struct caller_ring *ring)
{
    while (!ring_answered(ring)) {
        uint32_t seen = fake_hv_notified(ring->port);
        __atomic_store_n(kit_rsp_event(&ring->kit), ring->cons + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (!ring_answered(ring) && !fake_hv_await(ring->port, seen, CALLER_WAIT_MS)) {
            fprintf(stderr, "ring %u: %u requests are never answered\n", ring->port,
                    ring->caller.flying);
            abort();
        }
    }
}

static struct ask *ring_reap(struct caller *caller)
{
    struct caller_ring *ring = ring_of(caller);
    uint64_t id;
    int16_t status;

    ring_publish(ring);
    ring_wait(ring);
    const uint8_t *response = kit_slot(&ring->kit, ring->cons++);
    memcpy(&id, response, 8);
    memcpy(&status, response + 10, 2);
    struct place *place = &ring->places[(id & 0xff) % CALLER_DEPTH];
    struct ask *ask = place->ask;
    if (!ask || place->id != id) {
        fprintf(stderr, "ring %u: a response to nothing\n", ring->port);
        abort();
    }
    caller->wrong += response[8] != place->op;
    caller->wrong += status != RING_OKAY && status != RING_ERROR;
    ask->error = status;
    if (place->op == RING_OP_READ)
        caller->wrong += !place_empty(place, status);
    place->ask = NULL;
    caller->flying--;
    return ask;
}

static void ring_close(struct caller *caller)
{
    free(ring_of(caller));
}

static const struct caller_ops ring_ops = {
    .send = ring_send, .reap = ring_reap, .close = ring_close};

struct caller *caller_ring_open(const struct caller_ring_config *config)
{
    struct caller_ring *ring = calloc(1, sizeof(*ring));
    uint32_t page = config->first_page + config->pages;

    ring->caller.ops = &ring_ops;
    ring->caller.most = ring->caller.in_parts = LARGE * 8;
    ring->port = config->port;
    ring->kit.abi = config->abi;
    ring->kit.page = fake_hv_page(config->first_page);
    memset(ring->kit.page, 0, config->pages * 4096u);
    ring_open(&ring->kit.ring, ring->kit.page, config->pages, config->abi);
    *kit_req_event(&ring->kit) = *kit_rsp_event(&ring->kit) = 1;
    for (uint32_t i = 0; i < CALLER_DEPTH; i++) {
        ring->places[i].first_page = page;
        ring->places[i].pages = i ? SMALL : LARGE;
        page += 1 + ring->places[i].pages;
    }
    return &ring->caller;
}
