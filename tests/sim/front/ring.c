// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shared ring, written at byte offsets so that both x86 layouts (and wrong values) can be
 * produced by one program, and the requests with their granted pages.
 *
 * A queue has its own event-channel and granting handles and is driven by one thread. Responses are
 * held to what Linux blkfront demands: a known id in flight, its own operation echoed, never more
 * answers than requests; anything else ends the program. Pages stay granted for the queue's life,
 * so nothing here notices a backend that keeps a page mapped: fxctl leaks does.
 */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

static const struct abi abis[] = {
    {XEN_IO_PROTO_ABI_X86_64, 112, 16, 8, 16, 24, 24, 28},
    {XEN_IO_PROTO_ABI_X86_32, 108, 12, 4, 12, 20, 20, 24},
};

const struct abi *abi_find(const char *name)
{
    for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++)
        if (!strcmp(abis[i].name, name))
            return &abis[i];
    return NULL;
}

static void broken(const struct queue *queue, const char *what)
{
    fprintf(stderr, "fxfront: queue %u: protocol broken by the backend: %s\n", queue->index, what);
    exit(3);
}

_Atomic uint32_t *queue_word(const struct queue *queue, unsigned offset)
{
    return (_Atomic uint32_t *)(void *)(queue->ring + offset);
}

char *queue_slot(const struct queue *queue, uint32_t at)
{
    return queue->ring + RING_HEADER + (size_t)(at % queue->slots) * queue->front->abi->slot;
}

/* The most sectors that one request can carry. */
unsigned io_capacity(const struct front *front)
{
    return (front->segs > DIRECT_SEGS ? front->segs : front->direct) * PAGE_SECTORS;
}

static unsigned pages_per_io(const struct front *front)
{
    return io_capacity(front) / PAGE_SECTORS + (front->segs > DIRECT_SEGS ? MAX_INDIRECT_PAGES : 0);
}

static int make_ios(struct queue *queue)
{
    struct front *front = queue->front;
    unsigned per_io = pages_per_io(front);
    unsigned data_pages = io_capacity(front) / PAGE_SECTORS;

    queue->depth = front->depth < queue->slots ? front->depth : queue->slots;
    queue->pool_pages = queue->depth * per_io;
    queue->pool_refs = calloc(queue->pool_pages, sizeof(*queue->pool_refs));
    queue->ios = calloc(queue->depth, sizeof(*queue->ios));
    if (!queue->pool_refs || !queue->ios)
        return -1;
    queue->pool = xengntshr_share_pages(queue->xgs, front->backend_id, (int)queue->pool_pages,
                                        queue->pool_refs, 1);
    if (!queue->pool)
        return -1;
    for (unsigned i = 0; i < queue->depth; i++) {
        struct io *io = &queue->ios[i];

        io->queue = queue;
        io->index = i;
        io->id = i;
        io->pages = queue->pool + (size_t)i * per_io * PAGE;
        io->refs = queue->pool_refs + (size_t)i * per_io;
        io->indirect = io->pages + (size_t)data_pages * PAGE;
        io->indirect_refs = io->refs + data_pages;
    }
    return 0;
}

int queue_open(struct front *front, unsigned index)
{
    struct queue *queue = &front->queue[index];

    *queue = (struct queue){.front = front, .index = index, .port = -1};
    queue->slots = 32u << front->order;
    queue->xce = xenevtchn_open(NULL, 0);
    queue->xgs = xengntshr_open(NULL, 0);
    if (!queue->xce || !queue->xgs)
        return -1;
    queue->port = xenevtchn_bind_unbound_port(queue->xce, front->backend_id);
    queue->ring = xengntshr_share_pages(queue->xgs, front->backend_id, 1 << front->order,
                                        queue->ring_refs, 1);
    if (queue->port < 0 || !queue->ring)
        return -1;
    atomic_store(queue_word(queue, REQ_EVENT), 1);
    atomic_store(queue_word(queue, RSP_EVENT), 1);
    return make_ios(queue);
}

void queue_close(struct queue *queue)
{
    if (queue->pool)
        xengntshr_unshare(queue->xgs, queue->pool, queue->pool_pages);
    if (queue->ring)
        xengntshr_unshare(queue->xgs, queue->ring, 1u << queue->front->order);
    if (queue->xgs)
        xengntshr_close(queue->xgs);
    if (queue->xce)
        xenevtchn_close(queue->xce);
    free(queue->pool_refs);
    free(queue->ios);
    *queue = (struct queue){.port = -1};
}

struct io *queue_get(struct queue *queue)
{
    for (unsigned i = 0; i < queue->depth; i++)
        if (!queue->ios[i].busy) {
            queue->ios[i].busy = true;
            return &queue->ios[i];
        }
    return NULL;
}

/*
 * Spreads the sectors over segments. `random` 0: whole pages; otherwise it decides whether the
 * first segment starts inside its page, or every segment takes any part of its page.
 */
void io_layout(struct io *io, uint64_t sectors, uint64_t random)
{
    unsigned max = io_capacity(io->queue->front) / PAGE_SECTORS;
    bool ragged = random % 8 == 1;
    unsigned first = random % 3 == 1 ? (unsigned)(random >> 8) % PAGE_SECTORS : 0;

    io->sectors = sectors;
    io->nsegs = 0;
    if (first + sectors > (uint64_t)max * PAGE_SECTORS)
        first = 0;
    for (uint64_t left = sectors; left; first = 0) {
        uint64_t later = (uint64_t)(max - io->nsegs - 1) * PAGE_SECTORS;
        uint64_t take = PAGE_SECTORS - first < left ? PAGE_SECTORS - first : left;

        if (ragged && left <= later) {
            first = (unsigned)random_next(&random) % PAGE_SECTORS;
            take = 1 + random_next(&random) % (PAGE_SECTORS - first);
            take = take < left ? take : left;
        }
        io->seg[io->nsegs].first = (uint8_t)first;
        io->seg[io->nsegs].last = (uint8_t)(first + take - 1);
        io->nsegs++;
        left -= take;
    }
}

void io_copy(struct io *io, char *buf, bool into_pages)
{
    for (unsigned i = 0; i < io->nsegs; i++) {
        char *page = io->pages + (size_t)i * PAGE + io->seg[i].first * SECTOR;
        size_t size = (size_t)(io->seg[i].last - io->seg[i].first + 1) * SECTOR;

        if (into_pages)
            memcpy(page, buf, size);
        else
            memcpy(buf, page, size);
        buf += size;
    }
}

static void put16(char *at, unsigned value)
{
    uint16_t v = (uint16_t)value;

    memcpy(at, &v, sizeof(v));
}

static void put_segments(char *at, const struct io *io, unsigned from, unsigned count)
{
    memset(at, 0, (size_t)count * 8);
    for (unsigned i = 0; i < count; i++, at += 8) {
        memcpy(at, &io->refs[from + i], 4);
        at[4] = (char)io->seg[from + i].first;
        at[5] = (char)io->seg[from + i].last;
    }
}

static void put_indirect(char *slot, const struct abi *abi, const struct io *io)
{
    unsigned pages = (io->nsegs + SEGS_PER_INDIRECT_PAGE - 1) / SEGS_PER_INDIRECT_PAGE;

    slot[0] = BLKIF_OP_INDIRECT;
    slot[1] = (char)io->op;
    put16(slot + 2, io->nsegs);
    memcpy(slot + abi->indirect_refs, io->indirect_refs, (size_t)pages * 4);
    for (unsigned i = 0; i < pages; i++) {
        unsigned from = i * SEGS_PER_INDIRECT_PAGE;
        unsigned left = io->nsegs - from;

        put_segments(io->indirect + (size_t)i * PAGE, io, from,
                     left < SEGS_PER_INDIRECT_PAGE ? left : SEGS_PER_INDIRECT_PAGE);
    }
}

static void put_request(char *slot, const struct abi *abi, const struct io *io)
{
    memset(slot, 0, abi->slot);
    memcpy(slot + abi->id, &io->id, 8);
    memcpy(slot + abi->sector, &io->sector, 8);
    if (io->nsegs > DIRECT_SEGS || io->wrap) {
        put_indirect(slot, abi, io);
        return;
    }
    slot[0] = (char)io->op;
    if (io->op == BLKIF_OP_DISCARD) {
        slot[1] = (char)io->flag;
        memcpy(slot + abi->discard_count, &io->sectors, 8);
        return;
    }
    slot[1] = (char)io->nsegs;
    put16(slot + 2, io->queue->front->devid);
    put_segments(slot + abi->segs, io, 0, io->nsegs);
}

/* The backend is notified only if it asked for it by its event index. */
void queue_submit(struct queue *queue, struct io *io)
{
    uint32_t before = queue->produced;
    uint32_t event;

    if (!io->raw && (io->op == BLKIF_OP_DISCARD || io->op == BLKIF_OP_FLUSH_DISKCACHE))
        io->nsegs = 0;
    put_request(queue_slot(queue, queue->produced++), queue->front->abi, io);
    atomic_store(queue_word(queue, REQ_PROD), queue->produced);
    event = atomic_load(queue_word(queue, REQ_EVENT));
    if (queue->produced - event < queue->produced - before)
        xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
}

/* One in flight with that id; ids may be the same, operations then tell them apart. */
static struct io *answered(struct queue *queue, uint64_t id, uint8_t op)
{
    struct io *other = NULL;

    for (unsigned i = 0; i < queue->depth; i++) {
        struct io *io = &queue->ios[i];

        if (!io->busy || io->id != id)
            continue;
        if (io->op == op)
            return io;
        other = io;
    }
    broken(queue, other ? "response with another operation than the request's"
                        : "response to an id that is not in flight");
    return NULL;
}

static struct io *take_response(struct queue *queue)
{
    const struct abi *abi = queue->front->abi;
    const char *at = queue->ring + RING_HEADER +
                     (size_t)(queue->consumed % queue->slots) * abi->slot;
    uint64_t id;
    struct io *io;

    memcpy(&id, at, 8);
    io = answered(queue, id, (uint8_t)at[8]);
    memcpy(&io->status, at + 10, 2);
    queue->consumed++;
    return io;
}

static bool wait_event(struct queue *queue, int timeout_ms)
{
    struct pollfd fd = {.fd = xenevtchn_fd(queue->xce), .events = POLLIN};
    int port;

    if (poll(&fd, 1, timeout_ms) <= 0)
        return false;
    port = xenevtchn_pending(queue->xce);
    if (port >= 0)
        xenevtchn_unmask(queue->xce, (evtchn_port_t)port);
    return true;
}

/* The next answered request, no longer busy; null after timeout_ms without one. */
struct io *queue_wait(struct queue *queue, int timeout_ms)
{
    for (;;) {
        uint32_t prod = atomic_load(queue_word(queue, RSP_PROD));

        if (prod - queue->consumed > queue->produced - queue->consumed)
            broken(queue, "more responses than requests");
        if (prod != queue->consumed) {
            struct io *io = take_response(queue);

            io->busy = false;
            return io;
        }
        atomic_store(queue_word(queue, RSP_EVENT), queue->consumed + 1);
        if (atomic_load(queue_word(queue, RSP_PROD)) != queue->consumed)
            continue;
        if (!wait_event(queue, timeout_ms))
            return NULL;
    }
}
