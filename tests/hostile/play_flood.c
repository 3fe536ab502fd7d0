// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays of too much: events, requests, malformed ones, states, keys.  What they cost others is measured by
 * tests/sim/test_hostile.sh, but for `starve`: how many requests of one queue, filled again and again, are
 * answered while a single one of another queue, on the same thread of the worker, is under way.  One
 * thread fills and looks: while it waits for a CPU one ring is answered and no more; while the single one
 * waits for its disk, some more may be.  Hence the bound; a worker that stays with a ring as long as it
 * has requests goes far beyond it.  That a turn is 32 requests is shown by
 * tests/unit/test_pump_faults.c, batches.
 */
#include "hostile.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STARVE_SAMPLES 301u
#define STARVE_RINGS   8u
#define STARVE_END     (1u << 20)

struct flood {
    struct queue *queue;
    struct ask ask;
    atomic_bool stop;
    pthread_t thread;
};

/* N events and nothing to be done */
static enum saw play_notify(struct lab *lab, char **args)
{
    uint64_t n = number_of(args[0]) / lab->scale;

    for (uint64_t i = 0; i < n; i++)
        if (xenevtchn_notify(lab->queue->xce, (evtchn_port_t)lab->queue->port))
            return wrong(lab, "notify fails");
    return SAW_IGNORED;
}

/* WHAT N: flush, of nothing; bad, a read of no segments; each answered alike */
static enum saw play_requests(struct lab *lab, char **args)
{
    bool flush = !strcmp(args[0], "flush");
    uint64_t n = number_of(args[1]) / lab->scale;
    struct ask ask = ask_make(lab, flush ? BLKIF_OP_FLUSH_DISKCACHE : BLKIF_OP_READ, 0, 0);
    struct queue *queue = lab->queue;
    enum saw saw = flush ? SAW_OKAY : SAW_ERROR;

    for (uint64_t sent = 0, taken = 0; taken < n && saw != SAW_WRONG; taken++) {
        struct answer answer;

        if (sent == taken) {
            for (; sent < n && queue->produced - queue->consumed < queue->slots; sent++)
                ask_put(queue, &ask);
            queue_publish(queue);
        }
        if (answer_wait(lab, queue, &answer))
            return SAW_WRONG;
        saw = saw_both(saw, (enum saw)answer.status);
    }
    return saw;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Keeps a ring as full as it can be. */
static void flood_fill(struct flood *flood)
{
    struct queue *queue = flood->queue;
    uint32_t room = queue->slots - (queue->produced - atomic_load(queue_word(queue, RSP_PROD)));

    for (uint32_t i = 0; i < room && i < queue->slots; i++)
        ask_put(queue, &flood->ask);
    if (room)
        queue_publish(queue);
}

static void *flood_run(void *arg)
{
    struct flood *flood = arg;

    while (!atomic_load(&flood->stop))
        flood_fill(flood);
    return NULL;
}

/* Fills the one ring until the other's single request is answered: how many were, or UINT32_MAX. */
static uint32_t starve_one(struct flood *flood, struct queue *queue, const struct ask *ask)
{
    uint32_t before;

    flood_fill(flood);
    before = atomic_load(queue_word(flood->queue, RSP_PROD));
    ask_put(queue, ask);
    queue_publish(queue);
    time_t end = time(NULL) + PATIENCE_MS / 1000;
    while (atomic_load(queue_word(queue, RSP_PROD)) == queue->consumed) {
        if (atomic_load(queue_word(flood->queue, RSP_PROD)) - before > STARVE_END ||
            time(NULL) > end)
            return UINT32_MAX;
        flood_fill(flood);
    }
    queue->consumed++;
    return atomic_load(queue_word(flood->queue, RSP_PROD)) - before;
}

/* good, bad, largest: an endless supply on queue 0 against single reads on queue 2 */
static enum saw play_starve(struct lab *lab, char **args)
{
    struct ask ask;
    struct flood flood = {.queue = &lab->front.queue[0]};
    uint32_t sample[STARVE_SAMPLES];

    lab->front.queues = 4;
    lab->front.order = 4; /* 512 requests: many times what a turn takes */
    if (lab_connect(lab))
        return SAW_WRONG;
    if (lab->front.queues != 4)
        return wrong(lab, "not four queues");
    ask = ask_make(lab, BLKIF_OP_READ, 1, 0);
    flood.ask = ask_make(lab, BLKIF_OP_READ, strcmp(args[0], "bad") ? 1 : 0, 0);
    if (!strcmp(args[0], "largest"))
        flood.ask = ask_indirect(lab, BLKIF_OP_WRITE, 256, 4096);
    lab->no_ring = true;
    for (unsigned i = 0; i < STARVE_SAMPLES; i++) {
        sample[i] = starve_one(&flood, &lab->front.queue[2], &ask);
        if (sample[i] == UINT32_MAX)
            return wrong(lab, "the other queue is not served at all");
    }
    qsort(sample, STARVE_SAMPLES, sizeof(sample[0]), by_value);
    uint32_t median = sample[STARVE_SAMPLES / 2];
    printf("# starve: 10%% %u, median %u, 90%% %u of %u requests\n", sample[STARVE_SAMPLES / 10],
           median, sample[STARVE_SAMPLES * 9 / 10], atomic_load(queue_word(flood.queue, RSP_PROD)));
    if (median <= STARVE_RINGS * flood.queue->slots)
        return SAW_OKAY;
    return wrong(lab, "%u requests of another queue go first", median);
}

/* N: the state is written again and again as it is */
static enum saw play_rewrite(struct lab *lab, char **args)
{
    for (uint64_t n = number_of(args[0]) / lab->scale; n > 0; n--)
        if (front_set_state(&lab->front, 4))
            return wrong(lab, "the state cannot be written");
    return SAW_IGNORED;
}

/* N: any state after any other, fast, with requests going on all the while */
static enum saw play_toggle(struct lab *lab, char **args)
{
    static struct flood flood;

    flood = (struct flood){.queue = lab->queue, .ask = ask_make(lab, BLKIF_OP_READ, 11, 0)};
    if (pthread_create(&flood.thread, NULL, flood_run, &flood))
        return wrong(lab, "no thread");
    for (uint64_t n = number_of(args[0]); n > 0; n--) {
        front_set_state(&lab->front, 1 + (unsigned)(random_next(&lab->seed) % 6));
        usleep((useconds_t)(random_next(&lab->seed) % 8000));
    }
    atomic_store(&flood.stop, true);
    pthread_join(flood.thread, NULL);
    lab->no_ring = true;
    return SAW_IGNORED;
}

/* N: so many keys in the device's folder, or as many as xenstored allows */
static enum saw play_many_keys(struct lab *lab, char **args)
{
    char path[128];
    uint64_t made = 0;
    enum saw saw = SAW_OKAY;

    for (; made < number_of(args[0]); made++) {
        snprintf(path, sizeof(path), "%s/junk/%llu", lab->front.dir, (unsigned long long)made);
        if (!xs_write(lab->front.xsh, XBT_NULL, path, "junk", 4))
            break;
    }
    printf("# %llu keys\n", (unsigned long long)made);
    if (made < 100)
        saw = wrong(lab, "only %llu keys: %s", (unsigned long long)made, strerror(errno));
    else if (lab_alive(lab) || lab_reconnect(lab))
        saw = SAW_WRONG;
    snprintf(path, sizeof(path), "%s/junk", lab->front.dir);
    xs_rm(lab->front.xsh, XBT_NULL, path);
    return saw;
}

/* N: connections that fail after three of four pages: nothing of them stays behind */
static enum saw play_failures(struct lab *lab, char **args)
{
    enum saw saw = SAW_CLOSED;

    for (uint64_t n = number_of(args[0]); n > 0 && saw == SAW_CLOSED; n--) {
        lab->front.order = 2;
        lab_set(lab, "ring-ref3", "15998");
        if (!lab_connect(lab))
            return wrong(lab, "connected");
        saw = lab_closed(lab);
        if (n > 1 && lab_close(lab))
            saw = SAW_WRONG;
    }
    return saw;
}

const struct play flood_plays[] = {
    {"notify", PLAY_OPEN, play_notify},         {"requests", PLAY_OPEN, play_requests},
    {"starve", PLAY_CONNECTS, play_starve},     {"rewrite", PLAY_OPEN, play_rewrite},
    {"toggle", PLAY_OPEN, play_toggle},         {"many-keys", PLAY_OPEN, play_many_keys},
    {"failures", PLAY_CONNECTS, play_failures}, {NULL, PLAY_OPEN, NULL},
};
