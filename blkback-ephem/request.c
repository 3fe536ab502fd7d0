// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * request: the life of a blkif request, read downward:
 *
 *   new -> (ring_fetch) -> begin: judge, get a buffer
 *       -> start: descriptors in -> judge segments -> data in -> submit
 *       -> done (volume)
 *       -> finish: data out -> respond -> drop
 *
 * Every stage handles all requests of the turn before the next begins, so that one grant-copy call
 * carries many of them.  A write whose copy failed in any segment is not submitted at all; a read
 * whose copy failed is answered with an error.  Buffers are wiped as they go back.
 *
 * The limit is paid at once for the most that is to be moved, or a batch would overdraw it many times
 * over.  That is exact but for indirect requests, whose segments are not known yet: what they do not
 * fill is given back when they have been judged.
 */
#include "request.h"

#include <stdlib.h>
#include <string.h>

struct request *request_new(struct queue *queue)
{
    struct pump *pump = queue->pump;
    struct list *it = list_pop(&pump->idle);
    struct request *request;

    if (it) {
        request = container_of(it, struct request, link);
    } else {
        if (pump->requests == PUMP_REQUESTS)
            return NULL;
        request = calloc(1, sizeof(*request));
        if (!request)
            return NULL;
        list_init(&request->link);
        pump->requests++;
    }
    request->queue = queue;
    request->pages = 0;
    request->io.buf = NULL;
    request->io.dropped = false;
    request->copied = true;
    list_append(&queue->flight, &request->flight);
    queue->flying++;
    return request;
}

void request_drop(struct request *request)
{
    struct pump *pump = request->queue->pump;

    arena_put(iothread_arena(lane_thread(pump->lane)), request->io.buf, request->pages);
    request->io.buf = NULL;
    list_remove(&request->flight);
    request->queue->flying--;
    list_append(&pump->idle, &request->link);
    struct list *hungry = list_pop(&pump->starving);
    if (hungry)
        list_append(&pump->ready, hungry);
}

/* True when the request moves data between the guest and the volume. */
static bool request_moves(const struct request *request)
{
    return request->status == RING_OKAY && request->ask.nseg;
}

/* Held writes keep their buffers; a quarter of the arena stays for reads. */
static bool request_may_take(const struct request *request, const struct arena *arena)
{
    return ring_effective_op(&request->ask) == RING_OP_READ ||
           arena_in_use(arena) + request->pages <= arena_pages(arena) / 4 * 3;
}

/* Sectors it moves; of an indirect request, at most; 0 when it will be refused as things stand. */
static uint32_t request_sectors(const struct request *request)
{
    uint32_t sectors = request->ask.nseg * (ARENA_PAGE / 512);

    if (request->ask.op != RING_OP_INDIRECT &&
        ring_check_segments(&request->ask, &request->queue->config.limits, &sectors))
        return 0;
    return sectors;
}

/*
 * Pages for it, no more than may be needed: they are wiped.  Where the sum of its segments is not known
 * yet, or may be judged otherwise once the volume has grown, they can be full, and end inside a block.
 */
static uint32_t request_pages(const struct request *request, uint32_t sectors)
{
    const struct ring_request *ask = &request->ask;
    bool read = ring_effective_op(ask) == RING_OP_READ, inside = ask->sector % (BLOCK_SIZE / 512);

    if (ask->op != RING_OP_INDIRECT && sectors)
        return vio_pages(read ? VIO_READ : VIO_WRITE, ask->sector * 512, (uint64_t)sectors * 512);
    if (read)
        return ask->nseg + (inside ? 1u : 0);
    return ask->nseg + (inside ? 3u : 1u);
}

bool request_begin(struct request *request)
{
    struct queue *queue = request->queue;
    struct arena *arena = iothread_arena(lane_thread(queue->pump->lane));

    queue->config.limits.sectors = volume_bytes(queue->config.volume) / SECTOR_SIZE;
    request->status = ring_check_header(&request->ask, &queue->config.limits);
    if (request_moves(request)) {
        uint32_t sectors = request_sectors(request);
        request->pages = request_pages(request, sectors);
        if (request_may_take(request, arena))
            request->io.buf = arena_get(arena, request->pages);
        if (!request->io.buf)
            return false;
        limit_spend(queue->pump->limit, (uint64_t)sectors * 512);
    }
    list_append(&queue->pump->fresh, &request->link);
    return true;
}

static void copies_run(struct pump *pump)
{
    hv_copy(pump->hv, pump->copies, pump->ncopies);
    for (uint32_t i = 0; i < pump->ncopies; i++)
        if (!pump->copies[i].ok)
            pump->owners[i]->copied = false;
    pump->ncopies = 0;
}

static void copies_add(struct request *request, uint32_t ref, uint16_t offset, uint16_t length,
                       void *local, bool to_guest)
{
    struct pump *pump = request->queue->pump;

    if (pump->ncopies == PUMP_COPIES)
        copies_run(pump);
    pump->owners[pump->ncopies] = request;
    pump->copies[pump->ncopies++] = (struct hv_copy){
        .ref = ref,
        .domid = (uint16_t)request->queue->config.domid,
        .offset = offset,
        .length = length,
        .to_guest = to_guest,
        .local = local};
}

static void request_copy_data(struct request *request, bool to_guest)
{
    uint8_t *at = vio_data(&request->io);

    for (uint32_t i = 0; i < request->ask.nseg; i++) {
        const struct ring_segment *segment = &request->ask.segments[i];
        uint16_t length = (uint16_t)((segment->last - segment->first + 1) * 512);
        copies_add(request, segment->ref, (uint16_t)(segment->first * 512), length, at, to_guest);
        at += length;
    }
}

/* Judges the segments; how many sectors are to be moved. */
static uint32_t request_judge(struct request *request)
{
    uint32_t sectors = 0;

    if (!request->copied) {
        request->status = RING_ERROR;
        return 0;
    }
    if (request->ask.op == RING_OP_INDIRECT)
        ring_decode_segments(&request->ask, request->descriptors);
    request->status = ring_check_segments(&request->ask, &request->queue->config.limits, &sectors);
    return request->status == RING_OKAY ? sectors : 0;
}

/* Prepares the volume's part. */
static void request_plan(struct request *request)
{
    struct vio *io = &request->io;
    uint64_t most = (uint64_t)request_sectors(request) * 512;
    uint64_t bytes = (uint64_t)request_judge(request) * 512;

    limit_refund(request->queue->pump->limit, most - bytes);
    if (!bytes)
        return;
    io->op = ring_effective_op(&request->ask) == RING_OP_READ ? VIO_READ : VIO_WRITE;
    io->offset = request->ask.sector * 512;
    io->length = bytes;
    if (io->op == VIO_WRITE)
        request_copy_data(request, false);
}

static void request_done(struct vio *io, int error)
{
    struct request *request = container_of(io, struct request, io);

    if (error)
        request->status = RING_ERROR;
    list_append(&request->queue->pump->done, &request->link);
}

static void request_submit(struct request *request)
{
    struct queue *queue = request->queue;

    request->io.done = request_done;
    if (request->status == RING_OKAY && !request->copied)
        request->status = RING_ERROR;
    if (request->status != RING_OKAY) {
        request_done(&request->io, 0);
        return;
    }
    if (request->ask.op == RING_OP_DISCARD) {
        request->io.op = VIO_DISCARD;
        request->io.offset = request->ask.sector * 512;
        request->io.length = request->ask.discard_sectors * 512;
    } else if (!request->ask.nseg) {
        volume_flushed(queue->config.volume);
        request_done(&request->io, 0);
        return;
    }
    volume_submit(queue->config.volume, queue->pump->lane, &request->io);
}

void request_start_all(struct pump *pump)
{
    if (list_empty(&pump->fresh))
        return;
    list_for_each(it, &pump->fresh)
    {
        struct request *request = container_of(it, struct request, link);
        if (request_moves(request) && request->ask.op == RING_OP_INDIRECT)
            copies_add(request, request->ask.indirect_ref, 0, (uint16_t)(request->ask.nseg * 8),
                       request->descriptors, false);
    }
    copies_run(pump);
    list_for_each(it, &pump->fresh)
    {
        struct request *request = container_of(it, struct request, link);
        if (request_moves(request))
            request_plan(request);
    }
    copies_run(pump);
    for (struct list *it; (it = list_pop(&pump->fresh));)
        request_submit(container_of(it, struct request, link));
}

static void request_respond(struct request *request)
{
    struct queue *queue = request->queue;
    const struct ring_request *ask = &request->ask;
    uint8_t op = ask->op == RING_OP_INDIRECT ? ask->indirect_op : ask->op;

    if (request->status == RING_OKAY && !request->copied)
        request->status = RING_ERROR;
    /* Dropped because the door closes: it was never carried out, so it is not answered. */
    if (queue->map && queue->state != QUEUE_DEAD && !request->io.dropped) {
        ring_respond(&queue->ring, ask->id, op, request->status);
        queue->answered = true;
    }
    request_drop(request);
}

bool request_finish_all(struct pump *pump)
{
    struct list now;

    if (list_empty(&pump->done))
        return false;
    list_init(&now);
    for (struct list *it; (it = list_pop(&pump->done));) {
        struct request *request = container_of(it, struct request, link);
        list_append(&now, it);
        if (request_moves(request) && request->io.op == VIO_READ && request->queue->map)
            request_copy_data(request, true);
    }
    copies_run(pump);
    for (struct list *it; (it = list_pop(&now));)
        request_respond(container_of(it, struct request, link));
    return true;
}
