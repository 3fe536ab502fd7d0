// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays with the ring itself, its page and its event channel.
 */
#include "hostile.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/xenbus.h>

/* N: the producer stands so far beyond the last response, -N: before it */
static enum saw play_producer(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    uint32_t by = (uint32_t)number_of(args[0] + (args[0][0] == '-'));

    by = args[0][0] == '-' ? 0u - by : by;
    atomic_store(queue_word(queue, REQ_PROD), atomic_load(queue_word(queue, RSP_PROD)) + by);
    xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
    return lab_closed(lab);
}

/* Takes `n` answers, of any kind. */
static enum saw take(struct lab *lab, unsigned n, bool judge)
{
    enum saw saw = SAW_OKAY;

    for (unsigned i = 0; i < n; i++) {
        struct answer answer;

        if (answer_wait(lab, lab->queue, &answer))
            return SAW_WRONG;
        if (judge && (answer.status < -2 || answer.status > 0))
            return wrong(lab, "status %d", answer.status);
        saw = i ? saw_both(saw, (enum saw)answer.status) : (enum saw)answer.status;
    }
    return saw;
}

/* All slots in one go, with the same id */
static enum saw play_same_ids(struct lab *lab, char **args)
{
    unsigned slots = lab->queue->slots;
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 2, 0);
    struct answer answer;

    (void)args;
    for (unsigned i = 0; i < slots; i++)
        ask_put(lab->queue, &ask);
    queue_publish(lab->queue);
    for (unsigned i = 0; i < slots; i++) {
        if (answer_wait(lab, lab->queue, &answer))
            return SAW_WRONG;
        if (answer.id != ask.id || answer.status)
            return wrong(lab, "answer %u: id %llx, status %d", i, (unsigned long long)answer.id,
                         answer.status);
    }
    return SAW_OKAY;
}

/* All slots hold the largest request there is */
static enum saw play_largest(struct lab *lab, char **args)
{
    unsigned slots = lab->queue->slots;
    bool write = !strcmp(args[0], "write");
    struct ask ask = ask_indirect(lab, write ? BLKIF_OP_WRITE : BLKIF_OP_READ, 256, 4096);
    enum saw saw = SAW_OKAY;

    for (unsigned turn = 0; turn < 1 + 3 / lab->scale && saw == SAW_OKAY; turn++) {
        for (unsigned i = 0; i < slots; i++)
            ask_put(lab->queue, &ask);
        queue_publish(lab->queue);
        saw = take(lab, slots, true);
    }
    return saw;
}

/* Responses are never looked at: new requests go over them, as far as the producer may */
static enum saw play_never_consume(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);
    unsigned stalled = 0;

    (void)args;
    for (unsigned sent = 0; sent < 20000 / lab->scale && stalled < 1000;) {
        uint32_t room = queue->slots - (queue->produced - atomic_load(queue_word(queue, RSP_PROD)));

        for (unsigned i = 0; i < room; i++)
            ask_put(queue, &ask);
        sent += room;
        stalled = room ? 0 : stalled + 1;
        queue_publish(queue);
        usleep(room ? 0 : 10000);
    }
    if (stalled == 1000)
        return wrong(lab, "the backend waits for its responses to be taken");
    while (atomic_load(queue_word(queue, RSP_PROD)) != queue->produced && stalled++ < 1000)
        usleep(10000);
    queue->consumed = queue->produced;
    return stalled < 1000 ? SAW_OKAY : wrong(lab, "some were never answered");
}

/* each: every response is to be an event; games: rsp_event takes any value at any time */
static enum saw play_events(struct lab *lab, char **args)
{
    bool games = !strcmp(args[0], "games");
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);
    enum saw saw = SAW_OKAY;

    for (unsigned i = 0; i < 4000 / lab->scale && saw == SAW_OKAY; i++) {
        uint32_t at = lab->queue->consumed + 1;

        if (games)
            at = (uint32_t)random_next(&lab->seed);
        atomic_store(queue_word(lab->queue, RSP_EVENT), at);
        atomic_store(queue_word(lab->queue, REQ_EVENT), at);
        ask_put(lab->queue, &ask);
        ask_put(lab->queue, &ask);
        queue_publish(lab->queue);
        saw = take(lab, 2, true);
    }
    return saw;
}

/* What is the backend's to write is overwritten: it has its own copy */
static enum saw play_words(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);

    (void)args;
    for (unsigned i = 0; i < 500; i++) {
        unsigned tries = 0;

        ask_put(queue, &ask);
        atomic_store(queue_word(queue, RSP_PROD), (uint32_t)random_next(&lab->seed));
        atomic_store(queue_word(queue, REQ_EVENT), (uint32_t)random_next(&lab->seed));
        queue_publish(queue);
        queue->consumed++;
        while (atomic_load(queue_word(queue, RSP_PROD)) != queue->consumed && tries++ < 5000)
            usleep(1000);
        if (tries >= 5000)
            return wrong(lab, "the backend has lost its place");
    }
    return SAW_OKAY;
}

/* The threshold is far away: no event may come, however many answers */
static enum saw play_quiet(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 1, 0);
    struct pollfd fd = {.fd = xenevtchn_fd(queue->xce), .events = POLLIN};

    (void)args;
    while (poll(&fd, 1, 200) > 0) {
        int port = xenevtchn_pending(queue->xce);

        if (port >= 0)
            xenevtchn_unmask(queue->xce, (evtchn_port_t)port);
    }
    for (unsigned i = 0; i < 300; i++) {
        atomic_store(queue_word(queue, RSP_EVENT), queue->consumed + 1000);
        ask_put(queue, &ask);
        queue_publish(queue);
        for (unsigned tries = 0; atomic_load(queue_word(queue, RSP_PROD)) == queue->consumed;
             tries++) {
            if (tries > 2000)
                return wrong(lab, "no answer");
            usleep(1000);
        }
        queue->consumed++;
    }
    return poll(&fd, 1, 100) > 0 ? wrong(lab, "an event came that nobody asked for") : SAW_OKAY;
}

/* revoke: the ring's grant is taken back while connected; regrant: and another page granted then */
static enum saw play_ring_page(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    uint32_t refs[8];
    char *pages;

    xengntshr_unshare(queue->xgs, queue->ring, 1);
    queue->ring = NULL;
    lab->no_ring = true;
    for (unsigned i = 0; i < 100; i++)
        xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
    if (strcmp(args[0], "regrant"))
        return SAW_IGNORED;
    pages = xengntshr_share_pages(queue->xgs, lab->front.backend_id, 8, refs, 1);
    if (!pages)
        return wrong(lab, "no pages to grant");
    memset(pages, 0xee, 8 * PAGE);
    for (unsigned i = 0; i < 100; i++)
        xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
    usleep(100000);
    for (unsigned i = 0; i < 8 * PAGE; i++)
        if ((uint8_t)pages[i] != 0xee)
            return wrong(lab, "a page was written that was granted for nothing");
    xengntshr_unshare(queue->xgs, pages, 8);
    return SAW_IGNORED;
}

/* close: the guest's end is closed with requests waiting; reuse: and its number bound again */
static enum saw play_port(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;
    struct ask ask = ask_make(lab, BLKIF_OP_READ, 11, 0);

    for (unsigned i = 0; i < queue->slots / 2; i++)
        ask_put(queue, &ask);
    queue_publish(queue);
    if (xenevtchn_unbind(queue->xce, (evtchn_port_t)queue->port))
        return wrong(lab, "the port cannot be unbound");
    for (unsigned i = 0; i < queue->slots / 2; i++)
        ask_put(queue, &ask);
    atomic_store(queue_word(queue, REQ_PROD), queue->produced);
    if (!strcmp(args[0], "reuse")) {
        queue->port = xenevtchn_bind_unbound_port(queue->xce, lab->front.backend_id);
        for (unsigned i = 0; queue->port >= 0 && i < 1000; i++)
            xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
    }
    usleep(100000);
    lab->no_ring = true;
    return SAW_IGNORED;
}

/* Requests under way, their pages taken back, and the device closed, all at once */
static enum saw play_close_in_flight(struct lab *lab, char **args)
{
    struct queue *queue = lab->queue;

    (void)args;
    lab->wild = true;
    for (unsigned i = 0; i < queue->slots; i++) {
        struct ask ask = ask_indirect(lab, i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 200, 4096);

        ask_put(queue, &ask);
    }
    queue_publish(queue);
    xengntshr_unshare(queue->xgs, queue->pool, queue->pool_pages);
    queue->pool = NULL;
    lab->no_ring = true;
    return front_set_state(&lab->front, XenbusStateClosing) ? wrong(lab, "no close") : SAW_IGNORED;
}

/* The ring is full of anything when it is connected */
static enum saw play_garbage(struct lab *lab, char **args)
{
    xengntshr_handle *xgs = xengntshr_open(NULL, 0);
    uint32_t ref;
    char *page = xgs ? xengntshr_share_pages(xgs, lab->front.backend_id, 1, &ref, 1) : NULL;
    char text[16], *own;
    enum saw saw;

    (void)args;
    if (!page)
        return wrong(lab, "no page to grant");
    for (unsigned i = RING_HEADER; i < PAGE; i += 8)
        memcpy(page + i, &(uint64_t){random_next(&lab->seed)}, 8);
    memcpy(page + REQ_PROD, &(uint32_t){32}, 4);
    memcpy(page + RSP_PROD, &(uint32_t){0}, 4);
    snprintf(text, sizeof(text), "%u", ref);
    lab_set(lab, "ring-ref", text);
    lab->wild = true;
    if (lab_connect(lab)) {
        saw = SAW_WRONG;
    } else {
        own = lab->queue->ring;
        lab->queue->ring = page;
        lab->queue->produced = 32;
        saw = take(lab, 32, true);
        lab->queue->ring = own;
    }
    lab->no_ring = true;
    if (lab_reconnect(lab))
        saw = SAW_WRONG;
    xengntshr_unshare(xgs, page, 1);
    xengntshr_close(xgs);
    return saw;
}

/* Requests without end, until the domain is killed */
static enum saw play_die(struct lab *lab, char **args)
{
    (void)args;
    printf("busy\n");
    for (;;) {
        struct ask ask = ask_indirect(lab, BLKIF_OP_WRITE, 200, 4096);

        ask_put(lab->queue, &ask);
        queue_publish(lab->queue);
        if (lab->queue->produced - lab->queue->consumed == lab->queue->slots &&
            take(lab, 1, false) == SAW_WRONG)
            return SAW_WRONG;
    }
}

const struct play ring_plays[] = {
    {"producer", PLAY_OPEN, play_producer},
    {"same-ids", PLAY_OPEN, play_same_ids},
    {"largest", PLAY_OPEN, play_largest},
    {"never-consume", PLAY_OPEN, play_never_consume},
    {"events", PLAY_OPEN, play_events},
    {"quiet", PLAY_OPEN, play_quiet},
    {"words", PLAY_OPEN, play_words},
    {"ring-page", PLAY_OPEN, play_ring_page},
    {"port", PLAY_OPEN, play_port},
    {"close-in-flight", PLAY_OPEN, play_close_in_flight},
    {"garbage", PLAY_CONNECTS, play_garbage},
    {"die", PLAY_ENDLESS, play_die},
    {NULL, PLAY_OPEN, NULL},
};
