// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/ring: ring.c against a hostile shared page.  The input is a sequence of what a frontend does to
 * the page (writes a request, moves an index, scribbles anywhere) and of what the backend does next.
 * All that the backend may write is written a second time, by the structs of ringview, into a copy of
 * the page; in the end both are the same, so that it never wrote anything else.  Requests are read and
 * judged a second time too, from the structs and with the limits stated anew.
 */
#include <errno.h>
#include "fuzz.h"
#include "ring.h"
#include "ringview.h"

#define STEPS    64
#define PAGE_MAX (RING_MAX_PAGES * 4096u)

static uint8_t page[PAGE_MAX] __attribute__((aligned(4096)));
static uint8_t copy[PAGE_MAX] __attribute__((aligned(4096)));

struct run {
    struct fuzz_input in;
    struct ring ring;
    struct ring_limits limits;
    struct view view; /* of the copy */
    uint32_t cons, rsp, pushed;
    bool dead;
};

/* The frontend writes, to both. */
static void run_write(struct run *run, size_t at, const void *bytes, size_t n)
{
    FUZZ_CHECK(at + n <= run->view.pages * 4096u);
    memcpy(page + at, bytes, n);
    memcpy(copy + at, bytes, n);
    (void)run;
}

static void run_word(struct run *run, uint32_t which, uint32_t value)
{
    run_write(run, (size_t)which * 4, &value, 4);
}

static void run_open(struct run *run)
{
    ring_open(&run->ring, page, run->view.pages, run->view.x86_32 ? RING_X86_32 : RING_X86_64);
    run->cons = run->rsp = run->pushed = view_word(&run->view, VIEW_RSP_PROD);
    run->dead = false;
    FUZZ_CHECK(run->ring.slots == view_slots(&run->view));
}

/* Segments of an indirect request: some from the input, repeated. */
static void run_descriptors(struct run *run, struct ring_request *request, struct view_ask *ask)
{
    static uint8_t bytes[RING_MAX_INDIRECT * 8];
    uint32_t given = 1 + fuzz_u8(&run->in) % 8;

    fuzz_take(&run->in, bytes, (size_t)given * 8);
    for (uint32_t i = given; i < RING_MAX_INDIRECT; i++)
        memcpy(bytes + (size_t)i * 8, bytes + (size_t)(i % given) * 8, 8);
    ring_decode_segments(request, bytes);
    view_segments(ask, bytes);
}

static void run_judge(struct run *run, struct ring_request *request, struct view_ask *ask)
{
    uint32_t sectors = 0;
    uint64_t wanted = 0;
    enum ring_status status = ring_check_header(request, &run->limits);

    FUZZ_CHECK((int)status == view_judge_header(ask, &run->limits));
    if (status != RING_OKAY)
        return;
    FUZZ_CHECK(request->nseg <= RING_MAX_INDIRECT);
    if (request->op == RING_OP_INDIRECT)
        run_descriptors(run, request, ask);
    if (request->op == RING_OP_DISCARD)
        return;
    status = ring_check_segments(request, &run->limits, &sectors);
    FUZZ_CHECK((int)status == view_judge_segments(ask, &run->limits, &wanted));
    if (status != RING_OKAY)
        return;
    FUZZ_CHECK(sectors == wanted && sectors <= RING_MAX_INDIRECT * 8);
    for (uint32_t i = 0; i < request->nseg; i++) {
        FUZZ_CHECK(request->segments[i].ref == ask->segments[i].ref);
        FUZZ_CHECK(request->segments[i].first == ask->segments[i].first);
        FUZZ_CHECK(request->segments[i].last == ask->segments[i].last);
    }
}

static void run_fetch(struct run *run)
{
    struct ring_request request;
    struct view_ask ask;

    memset(&request, 0xa5, sizeof(request));
    view_read(&run->view, run->cons++, &ask);
    ring_fetch(&run->ring, &request);
    FUZZ_CHECK(request.op == ask.op && request.id == ask.id && request.sector == ask.sector);
    FUZZ_CHECK(request.nseg == ask.nseg && request.indirect_op == ask.indirect_op);
    FUZZ_CHECK(request.discard_sectors == ask.discard && request.indirect_ref == ask.ref);
    FUZZ_CHECK((int)ring_effective_op(&request) == (ask.op == 6 ? ask.indirect_op : ask.op));
    run_judge(run, &request, &ask);
}

/* What the indices say; the ring is dead as soon as they cannot be. */
static int run_waiting(struct run *run)
{
    int waiting = ring_waiting(&run->ring);
    int64_t wanted = view_waiting(&run->view, run->cons, run->rsp);

    if (wanted < 0) {
        FUZZ_CHECK(waiting == -EPROTO);
        run->dead = true;
    } else {
        FUZZ_CHECK(waiting == wanted);
        FUZZ_CHECK((uint32_t)waiting + (run->cons - run->rsp) <= run->ring.slots);
    }
    return waiting;
}

static void run_serve(struct run *run)
{
    uint32_t most = fuzz_u8(&run->in) % 8;

    for (uint32_t i = 0; i <= most && !run->dead && run_waiting(run) > 0; i++)
        run_fetch(run);
}

static void run_respond(struct run *run)
{
    uint32_t most = fuzz_u8(&run->in) % 8;

    for (uint32_t i = 0; i <= most && run->rsp != run->cons; i++) {
        uint64_t id = fuzz_u64(&run->in);
        uint8_t op = fuzz_u8(&run->in);
        enum ring_status status = -(enum ring_status)(op % 3);
        ring_respond(&run->ring, id, op, status);
        view_respond(&run->view, run->rsp++, id, op, (int16_t)status);
    }
}

static void run_push(struct run *run)
{
    uint32_t event = view_word(&run->view, VIEW_RSP_EVENT);
    /* The threshold is one of those just published. */
    bool wanted = (uint32_t)(event - run->pushed - 1) < (uint32_t)(run->rsp - run->pushed);

    FUZZ_CHECK(ring_push(&run->ring) == wanted);
    view_put_word(&run->view, VIEW_RSP_PROD, run->rsp);
    run->pushed = run->rsp;
}

static void run_arm(struct run *run)
{
    bool more = ring_arm(&run->ring);

    view_put_word(&run->view, VIEW_REQ_EVENT, run->cons + 1);
    FUZZ_CHECK(more == (view_waiting(&run->view, run->cons, run->rsp) != 0));
}

/* What a frontend does. */
static void run_front(struct run *run, uint8_t what)
{
    uint8_t bytes[112];
    uint32_t prod = view_word(&run->view, VIEW_REQ_PROD);
    size_t slot = view_slot_bytes(&run->view);

    if (what < 3) {
        fuzz_take(&run->in, bytes, slot);
        run_write(run, 64 + (size_t)(prod % run->ring.slots) * slot, bytes, slot);
        run_word(run, VIEW_REQ_PROD, prod + 1);
    } else if (what == 3) {
        run_word(run, VIEW_REQ_PROD, prod + (uint32_t)(int8_t)fuzz_u8(&run->in));
    } else if (what == 4) {
        uint32_t which = fuzz_u8(&run->in) % 4;
        run_word(run, which, fuzz_u32(&run->in));
    } else {
        uint32_t at = fuzz_u16(&run->in) % (run->view.pages * 4096u - 8);
        fuzz_take(&run->in, bytes, 8);
        run_write(run, at, bytes, 8);
    }
}

static void run_step(struct run *run)
{
    uint8_t what = fuzz_u8(&run->in) % 12;

    if (what < 6)
        run_front(run, what);
    else if (what < 8 && !run->dead)
        run_serve(run);
    else if (what == 8)
        run_respond(run);
    else if (what == 9)
        run_push(run);
    else if (what == 10 && !run->dead)
        run_arm(run);
    else if (what == 11)
        run_open(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.in = {data, size}};
    uint8_t shape = fuzz_u8(&run.in), order = (shape >> 1 & 7) % 5;

    run.view = (struct view){.page = copy, .pages = 1u << order, .x86_32 = shape & 1};
    run.limits.readonly = shape & 0x10;
    run.limits.discard = shape & 0x20;
    run.limits.sectors = shape & 0x40 ? fuzz_u64(&run.in) : fuzz_u16(&run.in);
    memset(page, 0, run.view.pages * 4096u);
    memset(copy, 0, run.view.pages * 4096u);
    run_word(&run, VIEW_RSP_PROD, shape & 0x80 ? fuzz_u32(&run.in) : 0);
    run_word(&run, VIEW_REQ_PROD, view_word(&run.view, VIEW_RSP_PROD));
    run_open(&run);
    for (int i = 0; i < STEPS && run.in.left; i++)
        run_step(&run);
    FUZZ_CHECK(!memcmp(page, copy, run.view.pages * 4096u));
    return 0;
}
