// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * crash: a kernel that goes down with requests under way, and the memory it leaves to the next one.
 *
 * `fire` puts requests into the rings and does not look back. `forget` gives the connection up
 * without a word to anybody: its grants stay, and rings and pages are painted over, as the next
 * kernel uses what was the last one's memory. It comes after Closed, so nothing may touch them again:
 * `untouched` says whether the paint is whole. `took` bounds the time since `fire`, where a disk that is
 * known to be slow must not have been faster.
 */
#define _GNU_SOURCE
#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xen/io/blkif.h>

#define PAINT 0xc3

static struct {
    char *at;
    size_t size;
} painted[2 * MAX_QUEUES];

static size_t paintings;
static struct timespec fired;

int crash_fire(struct front *front, bool write, uint64_t sector, uint64_t sectors, uint64_t seed)
{
    uint64_t end = sector + sectors, most = io_capacity(front);
    char *buf = malloc((size_t)most * SECTOR);

    clock_gettime(CLOCK_MONOTONIC, &fired);
    for (unsigned turn = 0; buf && sector < end; turn++) {
        uint64_t take = end - sector < most ? end - sector : most;
        struct io *io = queue_get(&front->queue[turn % front->queues]);

        if (!io) {
            fprintf(stderr, "fxfront: fire: more than the rings hold\n");
            break;
        }
        io->op = write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
        io->sector = sector;
        io_layout(io, take, 0);
        if (write) {
            pattern_fill(buf, sector, take, seed);
            io_copy(io, buf, true);
        }
        queue_submit(io->queue, io);
        sector += take;
    }
    free(buf);
    return buf && sector == end ? 0 : -1;
}

static int paint(char *at, size_t size)
{
    if (paintings == sizeof(painted) / sizeof(painted[0]))
        return -1;
    memset(at, PAINT, size);
    painted[paintings].at = at;
    painted[paintings++].size = size;
    return 0;
}

int crash_forget(struct front *front)
{
    int err = 0;

    for (unsigned i = 0; i < front->queues && !err; i++) {
        struct queue *queue = &front->queue[i];

        err = paint(queue->ring, (size_t)PAGE << front->order) ||
              paint(queue->pool, (size_t)PAGE * queue->pool_pages);
        *queue = (struct queue){.port = -1};
    }
    front->connected = false;
    return err ? -1 : 0;
}

int crash_untouched(void)
{
    for (size_t i = 0; i < paintings; i++)
        for (size_t at = 0; at < painted[i].size; at++)
            if ((uint8_t)painted[i].at[at] != PAINT) {
                fprintf(stderr, "fxfront: byte %zu of the last connection's %s has changed\n", at,
                        i % 2 ? "pages" : "ring");
                return -1;
            }
    return paintings ? 0 : -1;
}

int crash_took(int64_t least_ms, int64_t most_ms)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (now.tv_sec - fired.tv_sec) * 1000 + (now.tv_nsec - fired.tv_nsec) / 1000000;
    if (ms >= least_ms && ms <= most_ms)
        return 0;
    fprintf(stderr, "fxfront: it took %lld ms, not %lld to %lld\n", (long long)ms,
            (long long)least_ms, (long long)most_ms);
    return -1;
}
