// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One queue of a guest under load.  As Linux' driver does it each request is pushed by itself, and all
 * that was answered is followed by new ones before the next wait.  Nothing is compared, and what is
 * written is what the pages hold: the load shall cost little beside what it is put on.
 */
#define _GNU_SOURCE
#include "ring_load.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <xen/io/blkif.h>

#define PARTS HISTOGRAM_PARTS

uint64_t load_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned histogram_class(uint64_t ns)
{
    unsigned power = ns < PARTS ? 0 : 58u - (unsigned)__builtin_clzll(ns);

    return power * PARTS + (unsigned)(ns >> power);
}

uint64_t histogram_at(const struct histogram *histogram, double per_mille)
{
    uint64_t all = 0, seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++)
        all += histogram->count[i];
    for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++) {
        seen += histogram->count[i];
        if (seen && (double)seen >= (double)all * per_mille / 1000)
            return i < 2 * PARTS ? i : (uint64_t)(i % PARTS + PARTS) << (i / PARTS - 1);
    }
    return 0;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++)
        into->count[i] += from->count[i];
}

/* Which piece of its share is next.  A load that is once goes round by a generator of full period. */
static uint64_t load_piece(struct load_queue *q)
{
    if (q->load->sequential)
        return q->taken % q->pieces;
    if (!q->load->once)
        return random_next(&q->random) % q->pieces;
    q->next = (q->next * 0x5851f42d4c957f2du + 0x14057b7ef767814fu) & (q->pieces - 1);
    return q->next;
}

static bool load_wants_more(const struct load_queue *q)
{
    return q->load->once ? q->taken < q->pieces : q->load->phase != LOAD_OVER;
}

static void load_submit(struct load_queue *q, struct io *io)
{
    const struct load *load = q->load;
    bool write = load->op == LOAD_WRITE || (load->op == LOAD_MIXED && random_next(&q->random) % 2);

    io->op = write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
    io->sector = (q->first + load_piece(q)) * (load->bytes / SECTOR);
    io_layout(io, load->bytes / SECTOR, 0);
    q->taken++;
    q->flying++;
    q->began[io->index] = load_now();
    queue_submit(q->queue, io);
}

static void load_answered(struct load_queue *q, const struct io *io)
{
    if (io->status != BLKIF_RSP_OKAY) {
        fprintf(stderr, "ring-load: queue %u: operation %u at sector %llu: status %d\n",
                q->queue->index, io->op, (unsigned long long)io->sector, io->status);
        q->failed = true;
    }
    if (q->load->phase == LOAD_MEASURED)
        q->histogram.count[histogram_class(load_now() - q->began[io->index])]++;
    q->flying--;
    q->done++;
}

void *load_queue_run(void *arg)
{
    struct load_queue *q = arg;

    for (;;) {
        struct io *io;

        while (!q->failed && load_wants_more(q) && (io = queue_get(q->queue)))
            load_submit(q, io);
        if (!q->flying)
            return NULL;
        io = queue_wait(q->queue, STALL_MS);
        if (!io) {
            fprintf(stderr, "ring-load: queue %u: no response for %d s\n", q->queue->index,
                    STALL_MS / 1000);
            q->failed = true;
            return NULL;
        }
        load_answered(q, io);
    }
}
