// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * raw: one request with whatever fields the test says, and the answer it must get.
 *
 *   request FIELD=N,...   op (the wrapped one if indirect=1), id, sector, segs, first and last (of
 *                         each segment), indirect, count and flag (of a discard), seed (of the
 *                         pattern that a write carries or a read must find; 0: none), times (as
 *                         often at once, all with one id), status (of the answer; 0)
 *
 * That an answer carries the request's id and operation is checked where answers are taken.
 */
#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/io/blkif.h>

enum { OP, ID, SECTOR_AT, SEGS, FIRST, LAST, INDIRECT, COUNT, FLAG, SEED, TIMES, STATUS, FIELDS };

static const char *const names[FIELDS] = {"op",       "id",    "sector", "segs", "first", "last",
                                          "indirect", "count", "flag",   "seed", "times", "status"};

static int parse(char *words, long long field[FIELDS])
{
    for (char *word = strtok(words, ","); word; word = strtok(NULL, ",")) {
        char *value = strchr(word, '=');
        int i = 0;

        if (!value)
            return -1;
        *value++ = 0;
        while (i < FIELDS && strcmp(names[i], word))
            i++;
        if (i == FIELDS)
            return -1;
        field[i] = (long long)strtoull(value, NULL, 0);
    }
    return 0;
}

static void fill(struct io *io, const long long field[FIELDS], char *buf)
{
    io->raw = true;
    io->op = (uint8_t)field[OP];
    io->id = (uint64_t)field[ID];
    io->sector = (uint64_t)field[SECTOR_AT];
    io->wrap = field[INDIRECT] != 0;
    io->flag = (uint8_t)field[FLAG];
    io->nsegs = (unsigned)field[SEGS];
    for (unsigned i = 0; i < io->nsegs; i++)
        io->seg[i] = (struct segment){(uint8_t)field[FIRST], (uint8_t)field[LAST]};
    io->sectors = io->op == BLKIF_OP_DISCARD
                      ? (uint64_t)field[COUNT]
                      : io->nsegs * (uint64_t)(field[LAST] - field[FIRST] + 1);
    memset(io->pages, 0x5a, (size_t)io->nsegs * PAGE);
    if (field[SEED] && io->op != BLKIF_OP_READ) {
        pattern_fill(buf, io->sector, io->sectors, (uint64_t)field[SEED]);
        io_copy(io, buf, true);
    }
}

/* The answer is right; what was not to be read has not been written either. */
static int judge(struct io *io, const long long field[FIELDS], char *buf)
{
    char *want = buf + (size_t)io->nsegs * PAGE;
    size_t size = (size_t)io->nsegs * (size_t)(field[LAST] - field[FIRST] + 1) * SECTOR;

    if (io->status != field[STATUS]) {
        fprintf(stderr, "fxfront: operation %u: status %d, not %lld\n", io->op, io->status,
                field[STATUS]);
        return -1;
    }
    if (!field[SEED] || io->op != BLKIF_OP_READ)
        return 0;
    io_copy(io, buf, false);
    if (io->status == BLKIF_RSP_OKAY)
        pattern_fill(want, io->sector, io->sectors, (uint64_t)field[SEED]);
    else
        memset(want, 0x5a, size);
    if (!memcmp(buf, want, size))
        return 0;
    fprintf(stderr, "fxfront: operation %u: wrong data\n", io->op);
    return -1;
}

int raw_request(struct front *front, char *words)
{
    long long field[FIELDS] = {[LAST] = PAGE_SECTORS - 1, [TIMES] = 1};
    struct queue *queue = &front->queue[0];
    char *buf = malloc(2 * (size_t)io_capacity(front) * SECTOR);
    int err = !buf || parse(words, field) || field[TIMES] > queue->depth ||
              field[SEGS] * PAGE_SECTORS > io_capacity(front);

    for (long long i = 0; !err && i < field[TIMES]; i++) {
        struct io *io = queue_get(queue);

        err = !io;
        if (io) {
            fill(io, field, buf);
            queue_submit(queue, io);
        }
    }
    for (long long i = 0; !err && i < field[TIMES]; i++) {
        struct io *io = queue_wait(queue, STALL_MS);

        err = !io || judge(io, field, buf);
        if (io) {
            io->id = io->index;
            io->raw = io->wrap = false;
            io->flag = 0;
        }
    }
    free(buf);
    return err ? -1 : 0;
}
