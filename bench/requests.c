// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * requests read|write BYTES COUNT on|off: so many requests of so many bytes, 16 at a time, to a volume of
 * which each block was written before, whose pool is memory, with integrity or without.  It measures
 * nothing itself: what it does depends on its arguments only, so that two runs can be compared by the
 * instructions they take (bench/integrity.sh).  Nothing is locked: valgrind knows no mlock2.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "arena.h"
#include "kit.h"

#define DEPTH 16u
#define BYTES ((uint64_t)16 << 20) /* of the volume */
#define STEP  ((uint64_t)1 << 16)  /* of what is written before */

static struct kit kit;
static struct {
    enum vio_op op;
    uint64_t bytes, count; /* of a request; of requests */
    uint64_t next, flying;
    bool failed;
    _Atomic bool idle;
} run;

struct run_io {
    struct vio io;
    struct work work;
    uint64_t n;
};

static struct run_io ios[DEPTH];

static void run_done(struct vio *vio, int error)
{
    struct run_io *io = container_of(vio, struct run_io, io);

    arena_put(iothread_arena(kit.thread), vio->buf, vio_pages(vio->op, vio->offset, vio->length));
    run.failed |= error != 0;
    if (run.next < run.count) {
        io->n = run.next++;
        iothread_post(kit.thread, &io->work);
    } else if (!--run.flying) {
        run.idle = true;
    }
}

/* Goes round the volume in strides, so that neighbours in time are none on it. */
static void run_submit(struct work *work)
{
    struct run_io *io = container_of(work, struct run_io, work);
    uint64_t offset = io->n * 7 * run.bytes % BYTES;

    io->io = (struct vio){.op = run.op, .offset = offset, .length = run.bytes, .done = run_done};
    io->io.buf = arena_get(iothread_arena(kit.thread), vio_pages(run.op, offset, run.bytes));
    if (run.op == VIO_WRITE)
        memset(io->io.buf, (int)io->n, run.bytes);
    volume_submit(kit.volume, kit.lane, &io->io);
}

static void run_all(enum vio_op op, uint64_t bytes, uint64_t count)
{
    run.op = op;
    run.bytes = bytes;
    run.count = count;
    run.next = run.flying = DEPTH;
    run.idle = false;
    for (uint32_t i = 0; i < DEPTH; i++) {
        ios[i].work.run = run_submit;
        ios[i].n = i;
        iothread_post(kit.thread, &ios[i].work);
    }
    while (!run.idle)
        usleep(100000);
}

int main(int argc, char **argv)
{
    uint64_t bytes = argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t count = argc == 5 ? strtoull(argv[3], NULL, 10) : 0;

    if (bytes < BLOCK_SIZE || bytes > STEP || bytes % BLOCK_SIZE || count < DEPTH) {
        fprintf(stderr, "usage: requests read|write BYTES COUNT on|off\n");
        return 2;
    }
    kit_open(&kit, NULL, 4 * BYTES, BYTES, !strcmp(argv[4], "on"));
    run_all(VIO_WRITE, STEP, BYTES / STEP);
    run_all(strcmp(argv[1], "read") ? VIO_WRITE : VIO_READ, bytes, count);
    iothread_stop(kit.thread);
    return run.failed;
}
