// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands. Those that move data in order share one runner, which deals chunks of the largest
 * request to the queues in turn. Offsets and lengths are in bytes, with an optional k, m or g.
 */
#define _GNU_SOURCE
#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/blkif.h>

enum check { CHECK_NOTHING, CHECK_PATTERN, CHECK_ZERO, CHECK_HASH };

struct transfer {
    uint8_t op;
    enum check check;
    uint64_t seed;
    FILE *sink; /* the data in order, so one request at a time */
    char *buf;
    unsigned errors;
};

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);
    unsigned shift = *end == 'k' ? 10 : *end == 'm' ? 20 : *end == 'g' ? 30 : 0;

    if (end == text || *(shift ? end + 1 : end)) {
        fprintf(stderr, "fxfront: %s is no number: digits, then k, m or g\n", text);
        exit(2);
    }
    return value << shift;
}

static void complain(struct transfer *t, const struct io *io, const char *what)
{
    if (t->errors++ == 0)
        fprintf(stderr, "fxfront: operation %u at sector %llu+%llu: %s (status %d)\n", io->op,
                (unsigned long long)io->sector, (unsigned long long)io->sectors, what, io->status);
}

static void finish(struct transfer *t, struct io *io)
{
    char *want = t->buf + (size_t)io_capacity(io->queue->front) * SECTOR;
    size_t size = io->sectors * SECTOR;

    if (io->status != BLKIF_RSP_OKAY) {
        complain(t, io, "failed");
        return;
    }
    if (io->op != BLKIF_OP_READ)
        return;
    io_copy(io, t->buf, false);
    if (t->check == CHECK_PATTERN)
        pattern_fill(want, io->sector, io->sectors, t->seed);
    else
        memset(want, 0, size);
    if ((t->check == CHECK_PATTERN || t->check == CHECK_ZERO) && memcmp(want, t->buf, size))
        complain(t, io, "wrong data");
    if (t->sink)
        fwrite(t->buf, 1, size, t->sink);
}

static int finish_next(struct transfer *t, struct queue *queue)
{
    struct io *io = queue_wait(queue, STALL_MS);

    if (io) {
        finish(t, io);
        return 0;
    }
    fprintf(stderr, "fxfront: queue %u: no response for %d s\n", queue->index, STALL_MS / 1000);
    return -1;
}

static bool idle(const struct queue *queue)
{
    for (unsigned i = 0; i < queue->depth; i++)
        if (queue->ios[i].busy)
            return false;
    return true;
}

static int drain(struct front *front, struct transfer *t)
{
    for (unsigned i = 0; i < front->queues; i++)
        while (!idle(&front->queue[i]))
            if (finish_next(t, &front->queue[i]))
                return -1;
    return 0;
}

static int start(struct transfer *t, struct queue *queue, uint64_t sector, uint64_t sectors)
{
    struct io *io;

    while (!(io = queue_get(queue)))
        if (finish_next(t, queue))
            return -1;
    io->op = t->op;
    io->sector = sector;
    io->sectors = sectors;
    if (t->op == BLKIF_OP_READ || t->op == BLKIF_OP_WRITE)
        io_layout(io, sectors, 0);
    if (t->op == BLKIF_OP_WRITE) {
        pattern_fill(t->buf, sector, sectors, t->seed);
        io_copy(io, t->buf, true);
    }
    queue_submit(queue, io);
    return 0;
}

/* Requests beyond the disk's end are sent too: refusing them is the backend's business. */
static int transfer(struct front *front, struct transfer t, uint64_t offset, uint64_t length)
{
    uint64_t at = offset / SECTOR, end = (offset + length) / SECTOR;
    uint64_t most = t.op == BLKIF_OP_DISCARD ? end - at : io_capacity(front);
    int err = 0;

    t.buf = malloc(2 * (size_t)io_capacity(front) * SECTOR);
    for (unsigned turn = 0; t.buf && at < end && !err; turn++) {
        uint64_t take = end - at < most ? end - at : most;

        err = start(&t, &front->queue[turn % front->queues], at, take);
        if (!err && t.sink)
            err = drain(front, &t);
        at += take;
    }
    if (t.buf && t.op == BLKIF_OP_FLUSH_DISKCACHE)
        err = start(&t, &front->queue[0], 0, 0);
    if (!err)
        err = drain(front, &t);
    if (t.op != BLKIF_OP_READ)
        verify_forget(offset / SECTOR, length / SECTOR);
    free(t.buf);
    return err || !t.buf || t.errors ? -1 : 0;
}

static int do_pattern(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_WRITE, .seed = number(arg[2])};

    return transfer(front, t, number(arg[0]), number(arg[1]));
}

static int do_check(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_READ, .check = CHECK_PATTERN, .seed = number(arg[2])};

    return transfer(front, t, number(arg[0]), number(arg[1]));
}

static int do_checkzero(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_READ, .check = CHECK_ZERO};

    return transfer(front, t, number(arg[0]), number(arg[1]));
}

static int do_discard(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_DISCARD};

    return transfer(front, t, number(arg[0]), number(arg[1]));
}

static int do_flush(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_FLUSH_DISKCACHE};

    (void)arg;
    return transfer(front, t, 0, 0);
}

static int do_readsha(struct front *front, char **arg)
{
    struct transfer t = {.op = BLKIF_OP_READ};
    int err;

    fflush(stdout);
    t.sink = popen("sha256sum", "w");
    if (!t.sink)
        return -1;
    err = transfer(front, t, number(arg[0]), number(arg[1]));
    return pclose(t.sink) || err ? -1 : 0;
}

static int do_verify(struct front *front, char **arg)
{
    char *end;
    uint64_t n = strtoull(arg[0], &end, 10);

    return *end == 's' ? verify_run(front, (unsigned)n, 0) : verify_run(front, 0, n);
}

static int do_info(struct front *front, char **arg)
{
    (void)arg;
    printf("sectors %llu sector-size %u physical %u info %u flush %d discard %d barrier %d\n",
           (unsigned long long)front->sectors, front->sector_size, front->physical, front->info,
           front->has_flush, front->has_discard, front->has_barrier);
    printf("queues %u order %u segments %u depth %u protocol %s\n", front->queues, front->order,
           front->segs, front->queue[0].depth, front->abi->name);
    return 0;
}

static int do_close(struct front *front, char **arg)
{
    (void)arg;
    return front_close(front);
}

/* As the next driver of the same guest would: 1, and the handshake from the start. */
static int do_reopen(struct front *front, char **arg)
{
    (void)arg;
    if (front->connected && front_close(front))
        return -1;
    return front_connect(front) == 4 ? 0 : -1;
}

static int do_die(struct front *front, char **arg)
{
    (void)front, (void)arg;
    _exit(0);
}

static int do_pause(struct front *front, char **arg)
{
    (void)front, (void)arg;
    for (;;)
        if (pause() == 0)
            return -1;
}

static int do_sleep(struct front *front, char **arg)
{
    (void)front;
    return usleep((useconds_t)number(arg[0]) * 1000);
}

static int do_write_key(struct front *front, char **arg)
{
    return front_write_key(front, arg[0], arg[1]);
}

static int do_remove_key(struct front *front, char **arg)
{
    return front_remove_key(front, arg[0]);
}

/* Never longer than the most patient of drivers after kexec. */
static int do_wait(struct front *front, char **arg)
{
    unsigned states = 0;

    for (char *at = arg[0]; *at; at += strspn(at, ","))
        states |= 1u << strtoul(at, &at, 10);
    return backend_wait(front, states, 5000) == 99 ? -1 : 0;
}

static int do_request(struct front *front, char **arg)
{
    return raw_request(front, arg[0]);
}

static int do_fire(struct front *front, char **arg)
{
    return crash_fire(front, !strcmp(arg[0], "write"), number(arg[1]) / SECTOR,
                      number(arg[2]) / SECTOR, number(arg[3]));
}

static int do_forget(struct front *front, char **arg)
{
    (void)arg;
    return crash_forget(front);
}

static int do_untouched(struct front *front, char **arg)
{
    (void)front, (void)arg;
    return crash_untouched();
}

static int do_took(struct front *front, char **arg)
{
    (void)front;
    return crash_took((int64_t)number(arg[0]), (int64_t)number(arg[1]));
}

static int do_settle(struct front *front, char **arg)
{
    (void)arg;
    front_settle(front);
    return 0;
}

static int do_resized(struct front *front, char **arg)
{
    return front_resized(front, number(arg[0]));
}

static const struct {
    const char *name;
    int args;
    int (*run)(struct front *front, char **arg);
} commands[] = {
    {"verify", 1, do_verify},
    {"pattern", 3, do_pattern},
    {"check", 3, do_check},
    {"flush", 0, do_flush},
    {"checkzero", 2, do_checkzero},
    {"discard", 2, do_discard},
    {"readsha", 2, do_readsha},
    {"info", 0, do_info},
    {"close", 0, do_close},
    {"reopen", 0, do_reopen},
    {"die", 0, do_die},
    {"pause", 0, do_pause},
    {"sleep", 1, do_sleep},
    {"write-key", 2, do_write_key},
    {"remove-key", 1, do_remove_key},
    {"wait", 1, do_wait},
    {"request", 1, do_request},
    {"fire", 4, do_fire},
    {"forget", 0, do_forget},
    {"untouched", 0, do_untouched},
    {"took", 2, do_took},
    {"settle", 0, do_settle},
    {"resized", 1, do_resized},
};

/* Returns the entry of a word, or -1 if there is none or it lacks arguments. */
static int find(char **word)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!word[0] || strcmp(word[0], commands[i].name))
            continue;
        for (int n = 1; n <= commands[i].args; n++)
            if (!word[n])
                return -1;
        return (int)i;
    }
    return -1;
}

int command_run(struct front *front, char ***word)
{
    bool expect_error = **word && !strcmp(**word, "expect-error");
    int err, i;

    *word += expect_error;
    i = find(*word);
    if (i < 0) {
        fprintf(stderr, "fxfront: bad command at '%s'\n", **word ? **word : "the end");
        return -1;
    }
    printf("%s%s\n", expect_error ? "expect-error " : "", commands[i].name);
    fflush(stdout);
    err = commands[i].run(front, *word + 1);
    *word += commands[i].args + 1;
    return expect_error ? (err ? 0 : -1) : err;
}
