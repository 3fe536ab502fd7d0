// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * first-touch DIR SECONDS DEPTH MIB on|off: random 4 KiB writes to a blank 64 GiB volume, each to a block
 * never written before, DEPTH at a time, through the production volume, lane and pool on one I/O thread,
 * into a pool in DIR with MIB of memory in front, with integrity or without.  No door, so that no
 * client's time is in the figures.  One line:
 *
 *   IOPS  CPU-microseconds-per-request  blocks-per-pool-write
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "arena.h"
#include "kit.h"

#define DEPTH_MOST 256
#define BLOCKS     (16u << 20) /* of the volume; a power of two */

static struct kit kit;
static struct {
    uint64_t next, done;
    uint32_t flying;
    bool failed;
    _Atomic bool stop, idle;
} bench;

struct bench_io {
    struct vio io;
    struct work work;
};

static struct bench_io ios[DEPTH_MOST];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void bench_done(struct vio *vio, int error);

/* An odd multiplier permutes the blocks: none comes twice. */
static void bench_submit(struct work *work)
{
    struct bench_io *io = container_of(work, struct bench_io, work);
    uint64_t block = bench.next++ * 0x9e3779b1u % BLOCKS;

    io->io = (struct vio){
        .op = VIO_WRITE, .offset = block * BLOCK_SIZE, .length = BLOCK_SIZE, .done = bench_done};
    io->io.buf = arena_get(iothread_arena(kit.thread), 1);
    memset(io->io.buf, (int)block, BLOCK_SIZE);
    bench.flying++;
    volume_submit(kit.volume, kit.lane, &io->io);
}

static void bench_done(struct vio *vio, int error)
{
    struct bench_io *io = container_of(vio, struct bench_io, io);

    arena_put(iothread_arena(kit.thread), vio->buf, 1);
    bench.flying--;
    bench.done++;
    bench.failed |= error != 0;
    if (!bench.stop && bench.next < BLOCKS)
        iothread_post(kit.thread, &io->work);
    else if (!bench.flying)
        bench.idle = true;
}

int main(int argc, char **argv)
{
    int seconds = argc == 6 ? atoi(argv[2]) : 0, depth = argc == 6 ? atoi(argv[3]) : 0;
    struct pool_stats stats;

    if (seconds < 1 || depth < 1 || depth > DEPTH_MOST) {
        fprintf(stderr, "usage: first-touch DIR SECONDS DEPTH MIB on|off\n");
        return 2;
    }
    kit_open(&kit, argv[1], (uint64_t)atoi(argv[4]) << 20, (uint64_t)BLOCKS * BLOCK_SIZE,
             !strcmp(argv[5], "on"));
    double start = now(), used = cpu();
    for (int i = 0; i < depth; i++) {
        ios[i].work.run = bench_submit;
        iothread_post(kit.thread, &ios[i].work);
    }
    while (now() - start < seconds && !bench.idle)
        usleep(10000);
    bench.stop = true;
    while (!bench.idle)
        usleep(1000);
    double took = now() - start;
    used = cpu() - used;
    iothread_stop(kit.thread);
    pool_stats(kit.pool, &stats);
    printf("%.0f %.2f %.1f\n", (double)bench.done / took, used * 1e6 / (double)bench.done,
           (double)stats.write_blocks / (double)(stats.writes ? stats.writes : 1));
    return bench.failed;
}
