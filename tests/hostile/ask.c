// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests, put into slots field by field, with values no frontend would choose; and their answers,
 * of which only what the row is about is judged: a flipped request's id may be anything.
 */
#include "hostile.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *page_at(const struct lab *lab, unsigned page)
{
    return lab->queue->pool + (size_t)page * PAGE;
}

uint32_t ref_at(const struct lab *lab, unsigned page)
{
    return lab->queue->pool_refs[page];
}

struct ask ask_make(const struct lab *lab, uint8_t op, unsigned nseg, uint64_t sector)
{
    struct ask ask = {.op = op, .nseg = (uint16_t)nseg, .sector = sector, .id = 0x1122334455667788};

    for (unsigned i = 0; i < DIRECT_SEGS; i++)
        ask.seg[i] = (struct seg){ref_at(lab, PAGE_ASK + i), 0, PAGE_SECTORS - 1};
    return ask;
}

void descriptor_put(struct lab *lab, unsigned at, struct seg seg)
{
    char *to = page_at(lab, PAGE_DESCRIPTOR) + (size_t)at * 8;

    memset(to, 0, 8);
    memcpy(to, &seg.ref, 4);
    to[4] = (char)seg.first;
    to[5] = (char)seg.last;
}

struct ask ask_indirect(struct lab *lab, uint8_t op, unsigned nseg, uint64_t sector)
{
    struct ask ask = ask_make(lab, BLKIF_OP_INDIRECT, nseg, sector);

    ask.inner = op;
    ask.gref = ref_at(lab, PAGE_DESCRIPTOR);
    for (unsigned i = 0; i < nseg && i < SEGS_PER_INDIRECT_PAGE; i++)
        descriptor_put(lab, i, (struct seg){ref_at(lab, PAGE_ASK + i % 16), 0, PAGE_SECTORS - 1});
    return ask;
}

static void put_segs(char *to, const struct ask *ask)
{
    for (unsigned i = 0; i < DIRECT_SEGS; i++, to += 8) {
        memcpy(to, &ask->seg[i].ref, 4);
        to[4] = (char)ask->seg[i].first;
        to[5] = (char)ask->seg[i].last;
    }
}

void ask_put(struct queue *queue, const struct ask *ask)
{
    const struct abi *abi = queue->front->abi;
    char *slot = queue_slot(queue, queue->produced++);

    memset(slot, 0, abi->slot);
    slot[0] = (char)ask->op;
    memcpy(slot + abi->id, &ask->id, 8);
    memcpy(slot + abi->sector, &ask->sector, 8);
    switch (ask->op) {
    case BLKIF_OP_INDIRECT:
        slot[1] = (char)ask->inner;
        memcpy(slot + 2, &ask->nseg, 2);
        memcpy(slot + abi->indirect_refs - 4, &ask->handle, 2);
        for (unsigned i = 0; i < 8; i++)
            memcpy(slot + abi->indirect_refs + (size_t)i * 4, &ask->gref, 4);
        break;
    case BLKIF_OP_DISCARD:
        memcpy(slot + abi->discard_count, &ask->count, 8);
        break;
    default:
        slot[1] = (char)ask->nseg;
        memcpy(slot + 2, &ask->handle, 2);
        put_segs(slot + abi->segs, ask);
    }
}

void queue_publish(struct queue *queue)
{
    atomic_store(queue_word(queue, REQ_PROD), queue->produced);
    xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Looks again at least every 20 ms, whatever the event threshold says. */
static void queue_sleep(struct queue *queue)
{
    struct pollfd fd = {.fd = xenevtchn_fd(queue->xce), .events = POLLIN};
    int port;

    atomic_store(queue_word(queue, RSP_EVENT), queue->consumed + 1);
    if (atomic_load(queue_word(queue, RSP_PROD)) != queue->consumed || poll(&fd, 1, 20) <= 0)
        return;
    port = xenevtchn_pending(queue->xce);
    if (port >= 0)
        xenevtchn_unmask(queue->xce, (evtchn_port_t)port);
}

int answer_wait(struct lab *lab, struct queue *queue, struct answer *answer)
{
    int64_t end = now_ms() + PATIENCE_MS;

    while (atomic_load(queue_word(queue, RSP_PROD)) == queue->consumed) {
        if (now_ms() > end) {
            wrong(lab, "no answer for %d s", PATIENCE_MS / 1000);
            return -1;
        }
        queue_sleep(queue);
    }
    /* Responses are as far apart as requests. */
    answer->slot = (const uint8_t *)queue_slot(queue, queue->consumed++);
    memcpy(&answer->id, answer->slot, 8);
    answer->op = answer->slot[8];
    memcpy(&answer->status, answer->slot + 10, 2);
    return 0;
}

enum saw saw_both(enum saw one, enum saw other)
{
    if (one == SAW_WRONG || other == SAW_WRONG)
        return SAW_WRONG;
    return one == other ? one : SAW_ANY;
}

enum saw ask_one(struct lab *lab, const struct ask *ask)
{
    uint8_t op = ask->op == BLKIF_OP_INDIRECT ? ask->inner : ask->op;
    struct answer answer;

    ask_put(lab->queue, ask);
    queue_publish(lab->queue);
    if (answer_wait(lab, lab->queue, &answer))
        return SAW_WRONG;
    if (answer.id != ask->id)
        return wrong(lab, "an answer with id %llx", (unsigned long long)answer.id);
    if (answer.op != op)
        return wrong(lab, "operation %u was answered as %u", op, answer.op);
    if (answer.status < -2 || answer.status > 0)
        return wrong(lab, "status %d", answer.status);
    return (enum saw)answer.status;
}

/* "end" is for the caller; 2^N, or as strtoull. */
uint64_t number_of(const char *text)
{
    if (!strncmp(text, "2^", 2))
        return (uint64_t)1 << strtoul(text + 2, NULL, 10);
    return strtoull(text, NULL, 0);
}
