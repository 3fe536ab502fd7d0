// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * front: opening, closing, and the oracle.
 */
#include "front.h"

#include "fake_hv.h"
#include "model.h"

#define DOMID 7u

static void front_dead(void *arg, const char *why)
{
    struct front *front = arg;

    FUZZ_CHECK(why && !front->dead);
    front->dead = true;
}

static void front_closed(void *arg)
{
    struct front *front = arg;

    FUZZ_CHECK(!front->closed);
    front->closed = true;
}

void front_open(struct front *front, struct world *world, struct pump *pump, uint32_t index,
                uint8_t shape)
{
    struct queue_config config = {.volume = world->rig.volume,
                                  .domid = DOMID,
                                  .port = index,
                                  .pages = 1 + (shape & 1),
                                  .abi = shape & 2 ? RING_X86_32 : RING_X86_64,
                                  .limits = {.sectors = WORLD_SECTORS,
                                             .readonly = world->rig.growth.readonly,
                                             .discard = true},
                                  .dead = front_dead,
                                  .closed = front_closed,
                                  .arg = front};

    front->world = world;
    front->pump = pump;
    front->port = index;
    front->page = 1 + index * FRONT_PAGES;
    front->cons = front->rsp = front->busy = front->npending = 0;
    front->lied = front->wild = front->dead = front->closed = front->closing = false;
    front->view = (struct view){.page = fake_hv_page(front->page),
                                .pages = config.pages,
                                .x86_32 = config.abi == RING_X86_32};
    for (uint32_t i = 0; i < config.pages; i++) {
        config.refs[i] = front->page + i;
        fake_hv_revoke(config.refs[i], false);
    }
    memset(front->view.page, 0, config.pages * 4096u);
    FUZZ_CHECK(!queue_open(&front->queue, pump, &config));
    FUZZ_CHECK(front->queue->ring.slots == view_slots(&front->view));
}

void front_close(struct front *front, bool force)
{
    if (!front->queue || (front->closing && !force))
        return;
    front->closing = true;
    queue_close(front->queue, force);
}

/* 0: all of its pages are there; -1: one never is; 1: one may have been taken away. */
static int ask_pages(const struct front *front, const struct view_ask *ask)
{
    int missing = front->revoked;

    for (uint32_t i = 0; i < ask->nseg; i++)
        if (ask->segments[i].ref >= FAKE_PAGES)
            return -1;
        else if (ask->segments[i].ref - front->page >= FRONT_PAGES)
            missing = 1; /* another's, who may take it back at any time */
    return missing;
}

/* A place is named by a request it belongs to only. */
static bool ask_is_honest(const struct front *front, const struct view_ask *ask)
{
    uint32_t from = front->page + FRONT_PLACE, to = front->page + FRONT_LISTS;

    for (uint32_t i = 0; i < ask->nseg; i++)
        if (ask->segments[i].ref < from || ask->segments[i].ref >= to)
            return false;
    return ask->nseg;
}

static bool ask_reads(const struct front_ask *a)
{
    return (a->ask.op == RING_OP_INDIRECT ? a->ask.indirect_op : a->ask.op) == RING_OP_READ;
}

/* What it writes, sector by sector. */
static void ask_hash(struct front_ask *a)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->ask.nseg; i++)
        for (uint32_t s = a->ask.segments[i].first; s <= a->ask.segments[i].last; s++)
            a->hash[n++] = model_hash(fake_hv_page(a->ask.segments[i].ref) + s * 512);
}

/* Whole blocks only; the last one is, where the volume ends in it. */
static void ask_judge_discard(struct front_ask *a)
{
    uint64_t end = a->ask.sector + a->ask.discard;

    a->accepted = true;
    a->first = (uint32_t)(a->ask.sector + 7) / 8 * 8;
    a->count = (uint32_t)(end == WORLD_SECTORS ? end : end / 8 * 8);
    a->count = a->count > a->first ? a->count - a->first : 0;
}

/* What becomes of it. */
static void ask_judge(struct front *front, struct front_ask *a)
{
    const struct ring_limits *limits = &front->queue->config.limits;
    struct view_ask *ask = &a->ask;
    uint64_t sectors = 0;

    a->verdict = view_judge_header(ask, limits);
    if (a->verdict)
        return;
    if (ask->op == RING_OP_DISCARD) {
        ask_judge_discard(a);
        return;
    }
    if (!ask->nseg) { /* a flush has no place */
        a->accepted = true;
        return;
    }
    if (ask->op == RING_OP_INDIRECT) {
        if (ask->ref >= FAKE_PAGES) {
            a->verdict = RING_ERROR;
            return;
        }
        a->risky = front->revoked;
        view_segments(ask, fake_hv_page(ask->ref));
    }
    a->verdict = view_judge_segments(ask, limits, &sectors);
    int pages = a->verdict ? 0 : ask_pages(front, ask);
    a->risky |= pages > 0;
    if (pages < 0)
        a->verdict = RING_ERROR;
    a->accepted = !a->verdict;
    a->honest = a->accepted && ask_is_honest(front, ask);
    a->first = (uint32_t)ask->sector;
    a->count = (uint32_t)sectors;
    if (a->honest && !ask_reads(a))
        ask_hash(a);
}

/* The id's place in a slot, in every kind of request. */
static void slot_put_id(const struct front *front, uint32_t index, uint64_t id)
{
    uint8_t *slot = front->view.page + 64 +
                    (index % view_slots(&front->view)) * view_slot_bytes(&front->view);

    memcpy(slot + (front->view.x86_32 ? 4 : 8), &id, 8);
}

void front_before(struct front *front)
{
    if (!front->queue)
        return;
    int64_t waiting = view_waiting(&front->view, front->cons, front->rsp);
    front->lied |= waiting < 0;
    front->npending = 0;
    for (uint32_t i = 0; i < waiting && !front->wild; i++) {
        struct front_ask *a = &front->pending[front->npending++];
        slot_put_id(front, front->cons + i, ++front->last_id);
        memset(a, 0, offsetof(struct front_ask, hash));
        view_read(&front->view, front->cons + i, &a->ask);
        a->id = a->ask.id;
        FUZZ_CHECK(a->id == front->last_id);
        ask_judge(front, a);
    }
}

/* It was fetched in this turn. */
static void front_fetched(struct front *front, const struct front_ask *was, bool parked)
{
    struct front_ask *a = front->flying;

    while (a < front->flying + FRONT_SLOTS && a->id)
        a++;
    FUZZ_CHECK(a < front->flying + FRONT_SLOTS); /* more than the ring holds */
    *a = *was;
    /* Its pages are read later, when the guest may have written there: anything may come of it. */
    if (parked) {
        a->honest = a->accepted = false;
        a->risky = true;
        a->first = min_u32((uint32_t)min_u64(a->ask.sector, WORLD_SECTORS), WORLD_SECTORS);
        a->count = min_u32(a->ask.nseg * 8u, WORLD_SECTORS - a->first);
    }
    if (!a->accepted && !parked)
        return;
    a->mark = model_mark(a->first, a->count);
    a->begun = !ask_reads(a);
    if (a->begun)
        model_begin(a->first, a->count);
}

static void ask_check_read(const struct front_ask *a)
{
    uint32_t sector = a->first;

    for (uint32_t i = 0; i < a->ask.nseg; i++)
        for (uint32_t s = a->ask.segments[i].first; s <= a->ask.segments[i].last; s++, sector++)
            FUZZ_CHECK(model_may_be(a->first, a->count, a->mark, sector,
                                    fake_hv_page(a->ask.segments[i].ref) + s * 512));
}

static void ask_end(struct front *front, struct front_ask *a, int status)
{
    bool good = status == RING_OKAY;
    uint64_t zeroes[WORLD_SECTORS];
    const uint64_t *hash = a->honest ? a->hash : NULL;

    FUZZ_CHECK(status <= 0 && status >= -2);
    if (!a->accepted && !a->risky)
        FUZZ_CHECK(status == a->verdict);
    if (a->accepted && !a->risky)
        FUZZ_CHECK(good || (front->world->failing && status == RING_ERROR));
    if (good && a->honest && ask_reads(a) && !front->revoked && !front->world->unknown)
        ask_check_read(a);
    if (a->ask.op == RING_OP_DISCARD) {
        for (uint32_t i = 0; i < a->count; i++)
            zeroes[i] = model_zero();
        hash = zeroes;
    }
    if (a->begun)
        model_end(a->first, a->count, good && !a->risky ? hash : NULL);
    a->id = 0;
}

static void front_answered(struct front *front, uint32_t index)
{
    const uint8_t *slot = front->view.page + 64 +
                          (index % view_slots(&front->view)) * view_slot_bytes(&front->view);
    uint64_t id;
    int16_t status;
    struct front_ask *a = front->flying;

    memcpy(&id, slot, 8);
    memcpy(&status, slot + 10, 2);
    while (a < front->flying + FRONT_SLOTS && a->id != id)
        a++;
    FUZZ_CHECK(id && a < front->flying + FRONT_SLOTS); /* nobody asked that */
    FUZZ_CHECK(slot[8] == (a->ask.op == RING_OP_INDIRECT ? a->ask.indirect_op : a->ask.op));
    FUZZ_CHECK(!slot[9]);
    ask_end(front, a, status);
}

/* The queue is gone: what was not answered may have been carried out or not. */
static void front_left(struct front *front)
{
    FUZZ_CHECK(front->closing);
    front->queue = NULL;
    for (uint32_t i = 0; i < FRONT_SLOTS; i++) {
        struct front_ask *a = &front->flying[i];
        if (a->id && a->begun)
            model_end(a->first, a->count, NULL);
        a->id = 0;
    }
}

static void front_free_places(struct front *front)
{
    uint32_t used = 0;

    if (front->npending)
        return;
    for (uint32_t i = 0; i < FRONT_SLOTS; i++)
        if (front->flying[i].id && front->flying[i].ask.nseg)
            used |= 1u << (front->flying[i].ask.segments[0].ref - front->page - FRONT_PLACE) /
                              (FRONT_DATA + 1) % 32;
    front->busy &= used;
}

void front_after(struct front *front)
{
    struct queue *queue = front->queue;
    uint32_t taken = 0;

    if (!queue)
        return;
    if (front->closed) {
        front_left(front);
        return;
    }
    FUZZ_CHECK(!front->dead || front->lied || front->wild);
    FUZZ_CHECK(queue->ring.req_cons - queue->ring.rsp_prod <= queue->ring.slots);
    if (front->wild || front->closing)
        return;
    for (; front->cons != queue->ring.req_cons; front->cons++, taken++) {
        FUZZ_CHECK(taken < front->npending);
        front_fetched(front, &front->pending[taken],
                      queue->parked && front->cons + 1 == queue->ring.req_cons);
    }
    front->npending -= taken;
}

void front_hear(struct front *front)
{
    struct queue *queue = front->queue;

    if (!queue || front->wild || front->closing)
        return;
    for (; front->rsp != queue->ring.rsp_pushed; front->rsp++)
        front_answered(front, front->rsp);
    front_free_places(front);
}

bool front_rests(const struct front *front)
{
    if (!front->queue || front->dead)
        return true;
    if (front->closing)
        return false;
    for (uint32_t i = 0; i < FRONT_SLOTS && !front->wild; i++)
        if (front->flying[i].id)
            return false;
    return list_empty(&front->queue->flight) &&
           view_word(&front->view, VIEW_REQ_PROD) == front->queue->ring.req_cons;
}
