// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays of too much: events, requests, malformed ones, states, keys.  What they cost others is measured by
 * tests/sim/test_hostile.sh, but for `starve`: how many requests of one queue are answered while a single
 * one of another queue, on the same thread of the worker, is under way.  That is a number of
 * requests, not a time. Where the machine leaves this program waiting for a CPU it grows, in some samples: so
 * one of two bounds must hold, for the tenth that saw the least or for the median.
 */
#include "hostile.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A turn of the worker's thread takes 32 requests of a ring: the one under way, and the next. */
#define STARVE_MOST    100u /* of the least disturbed samples; 512 fit the ring */
#define STARVE_MEDIAN  256u
#define STARVE_SAMPLES 301u

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

/* Keeps a ring as full as it can be. */
static void *flood_run(void *arg)
{
    struct flood *flood = arg;
    struct queue *queue = flood->queue;

    while (!atomic_load(&flood->stop)) {
        uint32_t answered = atomic_load(queue_word(queue, RSP_PROD));
        uint32_t room = queue->slots - (queue->produced - answered);

        for (uint32_t i = 0; i < room && i < queue->slots; i++)
            ask_put(queue, &flood->ask);
        if (room)
            queue_publish(queue);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* How many of `flood` are answered while one request of `queue` is under way. */
static enum saw starve_measure(struct lab *lab, struct flood *flood, struct queue *queue)
{
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);
    uint32_t sample[STARVE_SAMPLES], last = 0;

    for (unsigned i = 0; i < STARVE_SAMPLES; i++) {
        uint32_t before = atomic_load(queue_word(flood->queue, RSP_PROD));

        ask_put(queue, &ask);
        queue_publish(queue);
        for (uint64_t tries = 0; atomic_load(queue_word(queue, RSP_PROD)) == queue->consumed;
             tries++)
            if (tries > (uint64_t)1 << 36)
                return wrong(lab, "the other queue is not served at all");
        last = atomic_load(queue_word(flood->queue, RSP_PROD));
        queue->consumed++;
        sample[i] = last - before;
        usleep(200);
    }
    if (!last)
        return wrong(lab, "there was no flood");
    qsort(sample, STARVE_SAMPLES, sizeof(sample[0]), by_value);
    uint32_t least = sample[STARVE_SAMPLES / 10], median = sample[STARVE_SAMPLES / 2];
    printf("# starve: 10%% %u, median %u, 90%% %u of %u requests\n", least, median,
           sample[STARVE_SAMPLES * 9 / 10], last);
    if (least <= STARVE_MOST || median <= STARVE_MEDIAN)
        return SAW_OKAY;
    return wrong(lab, "%u requests of another queue go first", median);
}

/* good, bad, largest: an endless supply on queue 0 against single reads on queue 2 */
static enum saw play_starve(struct lab *lab, char **args)
{
    static struct flood flood;
    enum saw saw;

    lab->front.queues = 4;
    lab->front.order = 4; /* 512 requests: many times what a turn takes */
    if (lab_connect(lab))
        return SAW_WRONG;
    if (lab->front.queues != 4)
        return wrong(lab, "not four queues");
    flood = (struct flood){.queue = &lab->front.queue[0]};
    if (!strcmp(args[0], "largest"))
        flood.ask = ask_indirect(lab, BLKIF_OP_WRITE, 256, 4096);
    else
        flood.ask = ask_make(lab, BLKIF_OP_READ, strcmp(args[0], "bad") ? 1 : 0, 0);
    if (pthread_create(&flood.thread, NULL, flood_run, &flood))
        return wrong(lab, "no thread");
    usleep(50000);
    saw = starve_measure(lab, &flood, &lab->front.queue[2]);
    atomic_store(&flood.stop, true);
    pthread_join(flood.thread, NULL);
    lab->no_ring = true;
    return saw;
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
