// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * front_step: what the guest does.  Honest requests use a place of their own, with data that tells
 * them apart; the others name sinks, pages that do not exist, and now and then any page at all.
 */
#include "front.h"

#include "fake_hv.h"
#include "ringkit.h"

static bool front_has_room(const struct front *front)
{
    uint32_t prod = view_word(&front->view, VIEW_REQ_PROD);

    return front->wild || prod - front->rsp < view_slots(&front->view);
}

/* The slot at the producer. */
static uint8_t *front_slot(const struct front *front)
{
    uint32_t prod = view_word(&front->view, VIEW_REQ_PROD);

    return front->view.page + 64 +
           (prod % view_slots(&front->view)) * view_slot_bytes(&front->view);
}

static void front_publish(struct front *front, uint8_t how)
{
    view_put_word(&front->view, VIEW_REQ_PROD, view_word(&front->view, VIEW_REQ_PROD) + 1);
    if (!(how & 0x80))
        front_kick(front);
}

void front_kick(struct front *front)
{
    fake_hv_kick(front->port);
}

static uint32_t sector_of(struct fuzz_input *in)
{
    return fuzz_u16(in) % WORLD_SECTORS;
}

/* A place's segments for `count` sectors, some of them starting inside their pages. */
static void front_cut(const struct front *front, uint32_t place, struct kit_request *request,
                      uint32_t *count, uint8_t seed)
{
    uint32_t page = front->page + FRONT_PLACE + place * (FRONT_DATA + 1) + 1, left = *count;

    for (request->nseg = 0; left && request->nseg < FRONT_DATA; request->nseg++) {
        uint32_t first = seed >> request->nseg & 1 ? seed % 7 : 0;
        uint32_t n = min_u32(left, 8 - first);
        request->segments[request->nseg] = (struct kit_segment){
            .ref = page + request->nseg, .first = (uint8_t)first, .last = (uint8_t)(first + n - 1)};
        left -= n;
    }
    *count -= left;
}

static void front_fill(const struct front *front, const struct kit_request *request, uint8_t seed)
{
    for (uint32_t i = 0; i < request->nseg; i++) {
        uint8_t *page = fake_hv_page(request->segments[i].ref);
        memset(page, seed & 1 ? 0 : 0xcc, 4096);
        for (uint32_t s = 0; s < 8 && !(seed & 1); s++) {
            uint64_t tag = front->last_id * 64 + seed + ((uint64_t)i << 40) + ((uint64_t)s << 48);
            memcpy(page + s * 512, &tag, sizeof(tag));
        }
    }
}

static void front_encode(struct front *front, const struct kit_request *request)
{
    struct kit kit = {.page = front->view.page,
                      .abi = front->view.x86_32 ? RING_X86_32 : RING_X86_64,
                      .ring = {.slots = view_slots(&front->view)}};

    kit_encode(&kit, view_word(&front->view, VIEW_REQ_PROD), request);
}

/* Read, write, discard or flush, all within the rules; reads and writes by one of two ways. */
static void front_ask(struct front *front, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in), seed = fuzz_u8(in);
    uint32_t place = how >> 4 & 3, first = sector_of(in), count = 1 + seed % 64;
    struct kit_request request = {.sector = first};
    bool moves = (how & 3) < 2;

    if (!front_has_room(front) || (moves && front->busy >> place & 1))
        return;
    count = min_u32(count, WORLD_SECTORS - first);
    if (moves) {
        front_cut(front, place, &request, &count, seed);
        request.op = how & 1 ? RING_OP_WRITE : RING_OP_READ;
        front_fill(front, &request, seed);
        front->busy |= 1u << place;
    } else if ((how & 3) == 2) {
        request.op = RING_OP_DISCARD;
        request.discard_sectors = how & 8 ? WORLD_SECTORS - first : count;
    } else {
        request.op = RING_OP_FLUSH;
    }
    if (moves && how & 4) {
        request.indirect_op = request.op;
        request.op = RING_OP_INDIRECT;
        request.indirect_nseg = request.nseg;
        request.indirect_refs[0] = front->page + FRONT_PLACE + place * (FRONT_DATA + 1);
        memcpy(fake_hv_page(request.indirect_refs[0]), request.segments,
               request.nseg * sizeof(request.segments[0]));
    }
    front_encode(front, &request);
    front_publish(front, how);
}

/* A sink, a page that is not there, or with `any` whatever it says. */
static uint32_t front_ref(struct front *front, uint32_t raw, bool any)
{
    if (raw & 0x80000000)
        return FAKE_PAGES + (raw & 0xffffff);
    if (!any)
        return front->page + FRONT_SINKS + raw % (FRONT_PAGES - FRONT_SINKS);
    front->wild = front->world->unknown = true;
    return raw % FAKE_PAGES;
}

static void front_list(struct front *front, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    uint8_t *page = fake_hv_page(front->page + FRONT_LISTS + (how & 1));
    uint32_t given = 1 + (how >> 1 & 7);

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t ref;
        if (i < given)
            fuzz_take(in, page + (size_t)i * 8, 8);
        else
            memcpy(page + (size_t)i * 8, page + (size_t)(i % given) * 8, 8);
        if (i >= given)
            continue;
        memcpy(&ref, page + (size_t)i * 8, 4);
        ref = front_ref(front, ref, how >= 0xf0);
        memcpy(page + (size_t)i * 8, &ref, 4);
    }
}

/* Any bytes as a request; only where its pages are is seen to. */
static void front_lie(struct front *front, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);
    struct kit_request r = {.op = fuzz_u8(in), .nseg = fuzz_u8(in)};

    if (!front_has_room(front))
        return;
    r.indirect_op = fuzz_u8(in);
    r.sector = how & 4 ? fuzz_u64(in) : sector_of(in);
    r.discard_sectors = how & 8 ? fuzz_u64(in) : fuzz_u16(in);
    r.indirect_nseg = how & 16 ? fuzz_u16(in) : fuzz_u8(in);
    uint32_t ref = fuzz_u32(in);
    r.indirect_refs[0] = ref & 0x80000000 ? FAKE_PAGES + (ref & 0xffff)
                                          : front->page + FRONT_LISTS + (ref & 1);
    uint32_t given = 1 + (how & 3);
    for (uint32_t i = 0; i < 11; i++) {
        struct kit_segment *s = &r.segments[i];
        if (i < given) {
            s->ref = front_ref(front, fuzz_u32(in), how >= 0xf0);
            s->first = fuzz_u8(in);
            s->last = fuzz_u8(in);
        } else {
            *s = r.segments[i % given];
        }
    }
    front_encode(front, &r);
    front_publish(front, how >> 5 & 1 ? 0x80 : 0);
}

static void front_indices(struct front *front, struct fuzz_input *in)
{
    uint8_t how = fuzz_u8(in);

    if (how & 1)
        view_put_word(&front->view, VIEW_RSP_EVENT, fuzz_u32(in));
    else
        view_put_word(&front->view, VIEW_REQ_PROD,
                      view_word(&front->view, VIEW_REQ_PROD) + (uint32_t)(int8_t)fuzz_u8(in));
}

static void front_scribble(struct front *front, struct fuzz_input *in)
{
    uint32_t at = fuzz_u16(in) % (front->view.pages * 4096u - 8);

    front->wild = front->world->unknown = true;
    fuzz_take(in, front->view.page + at, 8);
    front_kick(front);
}

void front_step(struct front *front, struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in) % 24;

    if (!front->queue || front->closed)
        return;
    if (what < 12)
        front_ask(front, in);
    else if (what < 16)
        front_lie(front, in);
    else if (what < 18)
        front_list(front, in);
    else if (what < 20)
        front_kick(front);
    else if (what == 20)
        front_indices(front, in);
    else if (what == 21)
        front_scribble(front, in);
    else if (what == 22) {
        uint8_t which = fuzz_u8(in);
        fake_hv_revoke(front->page + which % FRONT_PAGES, which & 0x80);
        front->revoked = true;
        for (uint32_t i = 0; i < FRONT_SLOTS; i++)
            front->flying[i].risky = true;
    } else {
        memset(front_slot(front), fuzz_u8(in), 8);
    }
}
