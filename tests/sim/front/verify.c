// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify: random reads, writes, discards and flushes on all queues at once, one thread for each,
 * against a model that keeps a hash of every sector in the span.
 *
 * Requests in flight may overlap only if both read, so the model always knows the one right
 * answer; what a backend does with overlapping writes is not tested here. A sector nobody touched
 * is learned from its first read. Discards are aligned to the backend's granularity and must read
 * back as zeros.
 *
 * With --mine K/N/SECTORS the disk is cut into stripes and only each Nth, from the Kth on, is used:
 * several frontends verify one disk at once, each its own sectors, in the same blocks if the stripes
 * are smaller than those.
 */
#define _GNU_SOURCE
#include "front.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xen/io/blkif.h>

#define TRIES 16

struct model {
    pthread_mutex_t lock;
    uint64_t sectors;
    uint64_t *hash;    /* 0: not known yet */
    uint16_t *readers; /* in flight; UINT16_MAX: a writer */
    uint64_t zero;
};

struct worker {
    pthread_t thread;
    struct queue *queue;
    uint64_t random, count, done, bytes;
    struct timespec end;
    char *buf;
    int failed;
};

static atomic_bool stop;

/* Kept from one verify to the next: what one wrote another checks, also after a reconnect. */
static struct model model;

static bool claim(uint64_t from, uint64_t count, bool write)
{
    bool ok = true;

    pthread_mutex_lock(&model.lock);
    for (uint64_t s = from; s < from + count && ok; s++)
        ok = write ? model.readers[s] == 0 : model.readers[s] < UINT16_MAX - 1;
    for (uint64_t s = from; s < from + count && ok; s++)
        model.readers[s] = write ? UINT16_MAX : (uint16_t)(model.readers[s] + 1);
    pthread_mutex_unlock(&model.lock);
    return ok;
}

static void unclaim(uint64_t from, uint64_t count)
{
    for (uint64_t s = from; s < from + count; s++)
        model.readers[s] = model.readers[s] == UINT16_MAX ? 0 : (uint16_t)(model.readers[s] - 1);
}

static uint8_t pick_op(struct worker *w)
{
    const struct front *front = w->queue->front;
    bool whole = !(front->stripe * SECTOR % front->granularity);
    unsigned dice = (unsigned)(random_next(&w->random) % 100);

    if (dice < 4 && front->has_flush)
        return BLKIF_OP_FLUSH_DISKCACHE;
    if (dice < 10 && front->has_discard && whole && !(front->info & VDISK_READONLY))
        return BLKIF_OP_DISCARD;
    return dice < 55 || (front->info & VDISK_READONLY) ? BLKIF_OP_READ : BLKIF_OP_WRITE;
}

/* A third of the requests are within one block, a third small, the rest of any size. */
static uint64_t pick_length(struct worker *w, uint8_t op)
{
    unsigned max = io_capacity(w->queue->front);
    unsigned kind = (unsigned)(random_next(&w->random) % 3);
    unsigned limit = kind == 0 ? PAGE_SECTORS : kind == 1 ? 64 : max;

    if (op == BLKIF_OP_DISCARD)
        limit = 2048;
    else if (limit > max)
        limit = max;
    return 1 + random_next(&w->random) % limit;
}

/* Moves a range into a stripe of ours; false when there is none so near the end. */
static bool pick_stripe(const struct front *front, uint64_t *from, uint64_t *count)
{
    if (!front->stripe)
        return true;
    uint64_t stripe = *from / front->stripe, into = *from % front->stripe;
    stripe = stripe - stripe % front->sharers + front->mine;
    if ((stripe + 1) * front->stripe > model.sectors)
        return false;
    *from = stripe * front->stripe + into;
    if (*count > front->stripe - into)
        *count = front->stripe - into;
    return true;
}

/* A range nobody else is at; false if it took too many tries. */
static bool pick_range(struct worker *w, struct io *io)
{
    uint64_t unit = io->op == BLKIF_OP_DISCARD ? w->queue->front->granularity / SECTOR : 1;
    uint64_t total = model.sectors / unit;

    for (int i = 0; i < TRIES && total; i++) {
        uint64_t count = (pick_length(w, io->op) + unit - 1) / unit;
        uint64_t from = random_next(&w->random) % total;

        if (count > total - from)
            count = total - from;
        from *= unit;
        count *= unit;
        if (!pick_stripe(w->queue->front, &from, &count) ||
            !claim(from, count, io->op != BLKIF_OP_READ))
            continue;
        io->sector = from;
        io->sectors = count;
        return true;
    }
    return false;
}

/* Starts one request; false when none can be started now. */
static bool start_one(struct worker *w)
{
    struct io *io = queue_get(w->queue);

    if (!io)
        return false;
    io->op = pick_op(w);
    io->sector = io->sectors = 0;
    if (io->op != BLKIF_OP_FLUSH_DISKCACHE && !pick_range(w, io)) {
        io->busy = false;
        return false;
    }
    if (io->op == BLKIF_OP_READ || io->op == BLKIF_OP_WRITE)
        io_layout(io, io->sectors, random_next(&w->random));
    if (io->op == BLKIF_OP_READ)
        memset(io->pages, 0x5a, (size_t)io->nsegs * PAGE);
    if (io->op == BLKIF_OP_WRITE) {
        io->tag = random_next(&w->random);
        pattern_fill(w->buf, io->sector, io->sectors, io->tag);
        io_copy(io, w->buf, true);
    }
    queue_submit(w->queue, io);
    return true;
}

static int compare(struct worker *w, const struct io *io, uint64_t i)
{
    uint64_t hash = sector_hash(w->buf + i * SECTOR);
    uint64_t *known = &model.hash[io->sector + i];

    if (!*known)
        *known = hash;
    if (*known == hash)
        return 0;
    fprintf(stderr,
            "fxfront: queue %u: sector %llu is wrong (request of %llu sectors at %llu, %u "
            "segments): expected %s, got %s %02x %02x %02x %02x\n",
            w->queue->index, (unsigned long long)(io->sector + i), (unsigned long long)io->sectors,
            (unsigned long long)io->sector, io->nsegs, *known == model.zero ? "zeros" : "data",
            hash == model.zero ? "zeros" : "data", (uint8_t)w->buf[i * SECTOR],
            (uint8_t)w->buf[i * SECTOR + 1], (uint8_t)w->buf[i * SECTOR + 2],
            (uint8_t)w->buf[i * SECTOR + 3]);
    return -1;
}

static int finish_one(struct worker *w, struct io *io)
{
    int err = 0;

    if (io->status != BLKIF_RSP_OKAY) {
        fprintf(stderr, "fxfront: queue %u: operation %u at %llu+%llu: status %d\n",
                w->queue->index, io->op, (unsigned long long)io->sector,
                (unsigned long long)io->sectors, io->status);
        err = -1;
    }
    if (io->op == BLKIF_OP_READ)
        io_copy(io, w->buf, false);
    else if (io->op == BLKIF_OP_WRITE)
        pattern_fill(w->buf, io->sector, io->sectors, io->tag);
    pthread_mutex_lock(&model.lock);
    for (uint64_t i = 0; i < io->sectors && !err; i++) {
        if (io->op == BLKIF_OP_READ)
            err = compare(w, io, i);
        else
            model.hash[io->sector + i] = io->op == BLKIF_OP_DISCARD
                                             ? model.zero
                                             : sector_hash(w->buf + i * SECTOR);
    }
    unclaim(io->sector, io->sectors);
    pthread_mutex_unlock(&model.lock);
    w->done++;
    w->bytes += io->op == BLKIF_OP_DISCARD ? 0 : io->sectors * SECTOR;
    return err;
}

static bool over(const struct worker *w, uint64_t started)
{
    struct timespec now;

    if (w->count)
        return started >= w->count;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > w->end.tv_sec ||
           (now.tv_sec == w->end.tv_sec && now.tv_nsec >= w->end.tv_nsec);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    uint64_t started = 0;

    while (!w->failed) {
        struct io *io;

        while (!atomic_load(&stop) && !over(w, started) && start_one(w))
            started++;
        if (w->done == started) {
            if (atomic_load(&stop) || over(w, started))
                break;
            continue;
        }
        io = queue_wait(w->queue, STALL_MS);
        if (!io) {
            fprintf(stderr, "fxfront: queue %u: no response for %d s\n", w->queue->index,
                    STALL_MS / 1000);
            w->failed = -1;
        } else {
            w->failed = finish_one(w, io);
        }
    }
    if (w->failed)
        atomic_store(&stop, true);
    return NULL;
}

static int model_init(const struct front *front)
{
    static const char zeros[SECTOR];
    uint64_t sectors = front->span / SECTOR;

    if (model.hash)
        return 0;
    model.sectors = sectors < front->sectors ? sectors : front->sectors;
    model.zero = sector_hash(zeros);
    model.hash = calloc(model.sectors + 1, sizeof(*model.hash));
    model.readers = calloc(model.sectors + 1, sizeof(*model.readers));
    return model.hash && model.readers ? pthread_mutex_init(&model.lock, NULL) : -1;
}

/* Another command has written there. */
void verify_forget(uint64_t sector, uint64_t sectors)
{
    for (uint64_t s = sector; model.hash && s < sector + sectors && s < model.sectors; s++)
        model.hash[s] = 0;
}

int verify_run(struct front *front, unsigned seconds, uint64_t count)
{
    struct worker *workers = calloc(front->queues, sizeof(*workers));
    uint64_t done = 0, bytes = 0;
    int failed = !workers || model_init(front);

    atomic_store(&stop, false);
    for (unsigned i = 0; i < front->queues && !failed; i++) {
        struct worker *w = &workers[i];

        *w = (struct worker){.queue = &front->queue[i]};
        w->random = front->seed + i * 7919u;
        w->count = count ? count / front->queues + 1 : 0;
        clock_gettime(CLOCK_MONOTONIC, &w->end);
        w->end.tv_sec += seconds;
        w->buf = malloc((size_t)io_capacity(front) * SECTOR);
        failed = !w->buf || pthread_create(&w->thread, NULL, work, w);
    }
    for (unsigned i = 0; workers && i < front->queues; i++) {
        if (workers[i].thread)
            pthread_join(workers[i].thread, NULL);
        failed |= workers[i].failed;
        done += workers[i].done;
        bytes += workers[i].bytes;
        free(workers[i].buf);
    }
    front->seed += 104729;
    printf("verify: %llu requests, %llu MiB on %u queues: %s\n", (unsigned long long)done,
           (unsigned long long)bytes >> 20, front->queues, failed ? "FAILED" : "ok");
    free(workers);
    return failed ? -1 : 0;
}
