// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rewrite: one block, written with the same data a million times, through volume, overlay, slots and
 * cipher, into a pool so small that each slot is used again many times.  What the pool has then is looked
 * at each time, and is never the same twice; nor is any tweak.
 */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "iothread.h"
#include "pool.h"
#include "rig.h"
#include "util.h"
#include "volume_state.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TIMES 50000u /* they take twenty times as long */
#else
#define TIMES 1000000u
#endif
#define TIMES_DISK 50000u
#define OFFSET     ((uint64_t)7 * BLOCK_SIZE)

/* What one write left in the pool. */
struct trace {
    uint64_t hash, generation;
    uint32_t slot;
};

/* Writes again as soon as it is told that it has written; on the lane's thread. */
struct writer {
    struct vio io;
    struct work work;
    struct rig *rig;
    uint32_t n, times;
    int error;
    struct trace *traces;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool ended;
};

static struct rig rig;

static uint64_t hash_of(const uint8_t *block)
{
    uint64_t hash = 1, word;

    for (uint32_t at = 0; at < BLOCK_SIZE; at += 8) {
        memcpy(&word, block + at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static const uint8_t *in_pool(const struct writer *writer, uint32_t slot)
{
    const uint8_t *memory = pool_peek(writer->rig->pool, slot);

    return memory ? memory : writer->rig->disk + pool_offset(writer->rig->pool, slot);
}

static void write_once(struct writer *writer)
{
    memset(vio_data(&writer->io), 0x2b, BLOCK_SIZE);
    volume_submit(writer->rig->volume, writer->rig->lanes[0], &writer->io);
}

static void written(struct vio *io, int error)
{
    struct writer *writer = container_of(io, struct writer, io);

    /* The vio has what the block was before; only this thread writes. */
    uint32_t slot = overlay_get(writer->rig->volume->overlay, OFFSET / BLOCK_SIZE);

    writer->error = error;
    if (!error)
        writer->traces[writer->n++] = (struct trace){
            .hash = hash_of(in_pool(writer, slot)), .generation = io->generation[0], .slot = slot};
    if (!error && writer->n < writer->times) {
        write_once(writer);
        return;
    }
    arena_put(iothread_arena(writer->rig->threads[0]), io->buf,
              vio_pages(io->op, io->offset, io->length));
    pthread_mutex_lock(&writer->lock);
    writer->ended = true;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->lock);
}

static void begin(struct work *work)
{
    struct writer *writer = container_of(work, struct writer, work);
    struct vio *io = &writer->io;

    *io = (struct vio){.op = VIO_WRITE, .offset = OFFSET, .length = BLOCK_SIZE, .done = written};
    io->buf = arena_get(iothread_arena(writer->rig->threads[0]),
                        vio_pages(io->op, io->offset, io->length));
    write_once(writer);
}

static int by_hash(const void *a, const void *b)
{
    const struct trace *x = a, *y = b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int by_tweak(const void *a, const void *b)
{
    const struct trace *x = a, *y = b;

    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->generation < y->generation ? -1 : x->generation > y->generation;
}

/* Neighbours in this order that are the same in it. */
static uint32_t repeated(struct trace *traces, uint32_t n, int (*order)(const void *, const void *))
{
    uint32_t same = 0;

    qsort(traces, n, sizeof(*traces), order);
    for (uint32_t i = 1; i < n; i++)
        same += order(traces + i - 1, traces + i) == 0;
    return same;
}

static void rewrite(const struct rig_config *config, uint32_t times)
{
    static struct writer writer;
    uint8_t out[BLOCK_SIZE];
    uint32_t slots = 1;

    rig_open(&rig, config);
    memset(&writer, 0, sizeof(writer));
    writer.rig = &rig;
    writer.times = times;
    writer.traces = calloc(times, sizeof(*writer.traces));
    CU_ASSERT_PTR_NOT_NULL_FATAL(writer.traces);
    pthread_mutex_init(&writer.lock, NULL);
    pthread_cond_init(&writer.cond, NULL);
    writer.work.run = begin;
    iothread_post(rig.threads[0], &writer.work);
    pthread_mutex_lock(&writer.lock);
    while (!writer.ended)
        pthread_cond_wait(&writer.cond, &writer.lock);
    pthread_mutex_unlock(&writer.lock);
    CU_ASSERT_EQUAL(writer.error, 0);
    CU_ASSERT_EQUAL(writer.n, times);

    CU_ASSERT_EQUAL(repeated(writer.traces, writer.n, by_hash), 0);
    CU_ASSERT_EQUAL(repeated(writer.traces, writer.n, by_tweak), 0);
    for (uint32_t i = 1; i < writer.n; i++)
        slots += writer.traces[i].slot != writer.traces[i - 1].slot;
    CU_ASSERT(slots * 4 < writer.n); /* most writes went where there had been one */
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, OFFSET, BLOCK_SIZE, out), 0);
    CU_ASSERT(out[0] == 0x2b && !memcmp(out, out + 1, BLOCK_SIZE - 1));
    free(writer.traces);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 0, 1 << 20, NULL), 0);
    rig_close(&rig);
}

static void in_memory(void)
{
    rewrite(&(struct rig_config){.lanes = 1, .bytes = 1 << 20, .ram = 8 << 20, .ram_only = true},
            TIMES);
}

static void on_disk(void)
{
    rewrite(&(struct rig_config){.lanes = 1, .bytes = 1 << 20, .extents = 2, .seed = 5},
            TIMES_DISK);
}

int suite_rewrite(void)
{
    static const struct unit_case cases[] = {
        {"in memory", in_memory},
        {"on a disk", on_disk},
    };

    return UNIT_SUITE("rewrite", cases);
}
