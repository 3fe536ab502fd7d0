// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A play without end of too much at once, for the bed's case neighbour: what it costs others is measured
 * there, from outside. It does as much as a guest can: on as many queues of as many slots as are offered,
 * never waiting for an answer, and with several writers of xenstore at a time, each on a connection of
 * its own, since a write is answered before the next is taken. It never lets go of its CPU, just like a
 * guest that spins: so what others lose to it beyond that is what it makes the backend do.
 *
 * It ends by SIGTERM, and prints what it got done.
 */
#include "hostile.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HAMMER_ORDER   4u
#define HAMMER_QUEUES  64u
#define HAMMER_WRITERS 8u
#define HAMMER_KINDS   4u /* of malformed requests */

struct hammer {
    struct lab *lab;
    bool events, malformed, states;
    struct ask ask[HAMMER_KINDS];
    _Atomic uint64_t sent, asked, answered, written;
};

static atomic_bool stop;

static void hammer_stop(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

/* Refused at the first look; by a span; by the first page; after a page of descriptors was fetched. */
static void hammer_prepare(struct hammer *hammer)
{
    struct lab *lab = hammer->lab;
    struct ask *ask = hammer->ask;

    ask[0] = ask_make(lab, BLKIF_OP_READ, 0, 0);
    ask[1] = ask_make(lab, BLKIF_OP_READ, DIRECT_SEGS, 0);
    ask[1].seg[DIRECT_SEGS - 1].last = 255;
    ask[2] = ask_make(lab, BLKIF_OP_WRITE, DIRECT_SEGS, 0);
    ask[2].seg[0].ref = UINT32_MAX;
    ask[3] = ask_indirect(lab, BLKIF_OP_READ, 16, 0);
    descriptor_put(lab, 15, (struct seg){ref_at(lab, PAGE_ASK), 7, 0});
}

/* Requests as there is room for; an event is wanted for the next answer. */
static void hammer_fill(struct hammer *hammer, struct queue *queue)
{
    uint32_t answered = atomic_load(queue_word(queue, RSP_PROD));
    uint32_t room = queue->slots - (queue->produced - answered);

    if (room > queue->slots)
        return;
    atomic_store(queue_word(queue, RSP_EVENT), answered + 1);
    hammer->answered += answered - queue->consumed;
    queue->consumed = answered;
    for (uint32_t i = 0; i < room; i++)
        ask_put(queue, &hammer->ask[queue->produced % HAMMER_KINDS]);
    hammer->asked += room;
    queue_publish(queue);
}

static void hammer_round(struct hammer *hammer)
{
    struct front *front = &hammer->lab->front;

    for (unsigned i = 0; i < front->queues; i++) {
        struct queue *queue = &front->queue[i];

        if (hammer->malformed)
            hammer_fill(hammer, queue);
        else
            xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
        hammer->sent++;
    }
}

/* The state as it is, and the node that a toolstack's commands are read from.  NULL if it could. */
static void *hammer_write(void *arg)
{
    struct hammer *hammer = arg;
    struct xs_handle *xsh = xs_open(0);
    char path[96];

    if (!xsh)
        return hammer;
    snprintf(path, sizeof(path), "%s/state", hammer->lab->front.dir);
    while (!atomic_load(&stop)) {
        hammer->written += xs_write(xsh, XBT_NULL, path, "4", 1);
        hammer->written += xs_write(xsh, XBT_NULL, "control/shutdown", "", 0);
    }
    xs_close(xsh);
    return NULL;
}

static int hammer_connect(struct lab *lab)
{
    if (lab_close(lab))
        return -1;
    lab->front.queues = HAMMER_QUEUES;
    lab->front.order = HAMMER_ORDER;
    return lab_connect(lab);
}

static void hammer_tell(const struct hammer *hammer, const struct timespec *began)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("hammered %lld ms: %llu events, %llu requests, %llu answers, %llu writes\n",
           (long long)(now.tv_sec - began->tv_sec) * 1000 +
               (now.tv_nsec - began->tv_nsec) / 1000000,
           (unsigned long long)hammer->sent, (unsigned long long)hammer->asked,
           (unsigned long long)hammer->answered, (unsigned long long)hammer->written);
}

/* WHAT: events for nothing, malformed requests, nodes rewritten, or all of them */
static enum saw play_hammer(struct lab *lab, char **args)
{
    static struct hammer hammer;
    struct timespec began;
    bool all = !strcmp(args[0], "all");
    pthread_t writers[HAMMER_WRITERS];
    unsigned nwriters = 0;
    void *unable = NULL;

    hammer.lab = lab;
    hammer.events = all || !strcmp(args[0], "events");
    hammer.malformed = all || !strcmp(args[0], "malformed");
    hammer.states = all || !strcmp(args[0], "states");
    if (hammer_connect(lab))
        return SAW_WRONG;
    hammer_prepare(&hammer);
    signal(SIGTERM, hammer_stop);
    clock_gettime(CLOCK_MONOTONIC, &began);
    printf("busy\n");
    for (; nwriters < HAMMER_WRITERS && hammer.states; nwriters++)
        if (pthread_create(&writers[nwriters], NULL, hammer_write, &hammer))
            return wrong(lab, "no thread");
    while (!atomic_load(&stop)) {
        if (hammer.events || hammer.malformed)
            hammer_round(&hammer);
    }
    /* What comes after this play writes the state itself. */
    while (nwriters > 0 && !pthread_join(writers[nwriters - 1], unable ? NULL : &unable))
        nwriters--;
    if (nwriters || unable)
        return wrong(lab, "a writer had no xenstore");
    hammer_tell(&hammer, &began);
    lab->no_ring = true;
    return SAW_IGNORED;
}

const struct play hammer_plays[] = {
    {"hammer", PLAY_ENDLESS, play_hammer},
    {NULL, PLAY_OPEN, NULL},
};
