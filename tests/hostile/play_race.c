// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays against a backend that reads twice (XSA-155): while requests are being taken, a second thread
 * changes one field of all slots, or of the descriptors, as fast as it can.  Every request gets some
 * answer; which, nobody can know, and responses in the slots are overwritten too, so they are counted
 * only.  A read beyond an array is what the sanitised worker is for.
 * The producer is changed likewise, and how far requests were taken until one value was too far nobody
 * knows either: only that the device is closed then.
 */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xen/io/xenbus.h>

#define RACE_BURST 16u

struct race {
    struct lab *lab;
    void (*flip)(struct lab *lab, char *slot, uint64_t random);
    atomic_bool stop;
    pthread_t thread;
};

static uint32_t some_ref(const struct lab *lab, uint64_t random)
{
    return random % 4 ? ref_at(lab, (unsigned)(random >> 8) % 32) : (uint32_t)(random >> 32);
}

static void flip_op(struct lab *lab, char *slot, uint64_t random)
{
    static const uint8_t ops[] = {0, 1, 3, 5, 6, 2, 255};

    (void)lab;
    slot[0] = (char)ops[random % sizeof(ops)];
}

static void flip_segments(struct lab *lab, char *slot, uint64_t random)
{
    static const uint8_t counts[] = {1, 0, 11, 12, 255};

    (void)lab;
    slot[1] = (char)counts[random % sizeof(counts)];
}

/* Of an indirect request: the operation inside and how many segments. */
static void flip_indirect(struct lab *lab, char *slot, uint64_t random)
{
    static const uint16_t counts[] = {1, 0, 256, 257, 512, 65535};

    (void)lab;
    if (random & 1)
        slot[1] = (char)(random >> 8 & 7);
    else
        memcpy(slot + 2, &counts[(random >> 8) % 6], 2);
}

static void flip_sector(struct lab *lab, char *slot, uint64_t random)
{
    const uint64_t sectors[] = {
        0, 64, lab->front.sectors - 8, lab->front.sectors, (uint64_t)1 << 63, UINT64_MAX};

    memcpy(slot + lab->front.abi->sector, &sectors[random % 6], 8);
}

static void flip_spans(struct lab *lab, char *slot, uint64_t random)
{
    char *seg = slot + lab->front.abi->segs + random % DIRECT_SEGS * 8;

    seg[4] = (char)(random >> 8 & 15);
    seg[5] = (char)(random >> 16 & 15);
}

static void flip_refs(struct lab *lab, char *slot, uint64_t random)
{
    uint32_t ref = some_ref(lab, random_next(&random));

    memcpy(slot + lab->front.abi->segs + random % DIRECT_SEGS * 8, &ref, 4);
}

static void flip_descriptor_refs(struct lab *lab, char *slot, uint64_t random)
{
    uint32_t ref = some_ref(lab, random);

    memcpy(slot + lab->front.abi->indirect_refs, &ref, 4);
}

static void flip_descriptors(struct lab *lab, char *slot, uint64_t random)
{
    (void)slot;
    descriptor_put(lab, (unsigned)(random >> 8) % 256,
                   (struct seg){some_ref(lab, random >> 16), (uint8_t)(random >> 4 & 9),
                                (uint8_t)(random >> 12 & 15)});
}

static void flip_everything(struct lab *lab, char *slot, uint64_t random)
{
    slot[random % lab->front.abi->slot] = (char)(random >> 16);
}

/* Three of eight are within the ring, though maybe behind what was taken from it; the others never. */
static void flip_producer(struct lab *lab, char *slot, uint64_t random)
{
    const struct queue *queue = lab->queue;
    uint32_t answered = atomic_load(queue_word(queue, RSP_PROD)), far = (uint32_t)(random >> 32);
    uint32_t near = far % queue->slots;
    const uint32_t values[] = {answered + near,
                               answered + near,
                               answered + queue->slots,
                               answered + queue->slots + 1,
                               answered + queue->slots + 1 + near,
                               answered - 1 - near,
                               answered + (1u << 31),
                               far};

    (void)slot;
    atomic_store(queue_word(queue, REQ_PROD), values[random % 8]);
}

static void *race_run(void *arg)
{
    struct race *race = arg;
    uint64_t random = race->lab->seed;

    while (!atomic_load(&race->stop)) {
        uint64_t now = random_next(&random);

        race->flip(race->lab, queue_slot(race->lab->queue, (uint32_t)(now >> 40)), now);
        atomic_signal_fence(memory_order_seq_cst);
    }
    return NULL;
}

static struct ask race_ask(struct lab *lab, bool indirect, uint64_t random)
{
    uint8_t op = random & 1 ? BLKIF_OP_WRITE : BLKIF_OP_READ;
    unsigned nseg = 1 + (unsigned)(random >> 8) % DIRECT_SEGS;

    return indirect ? ask_indirect(lab, op, nseg * 20, 4096) : ask_make(lab, op, nseg, 4096);
}

static enum saw race_ask_all(struct lab *lab, bool indirect, uint64_t n)
{
    struct queue *queue = lab->queue;

    for (uint64_t sent = 0; sent < n; sent += RACE_BURST) {
        unsigned tries = 0;

        for (unsigned i = 0; i < RACE_BURST; i++) {
            struct ask ask = race_ask(lab, indirect, random_next(&lab->seed));

            ask_put(queue, &ask);
        }
        queue_publish(queue);
        while (atomic_load(queue_word(queue, RSP_PROD)) != queue->produced)
            if (usleep(tries < 100 ? 20 : 2000) || tries++ > 10000)
                return wrong(lab, "%u requests were not answered",
                             queue->produced - atomic_load(queue_word(queue, RSP_PROD)));
        queue->consumed = queue->produced;
    }
    return SAW_ANY;
}

/* WHAT N: N requests while WHAT is being flipped */
static enum saw play_flip(struct lab *lab, char **args)
{
    static const struct {
        const char *what;
        void (*flip)(struct lab *lab, char *slot, uint64_t random);
        bool indirect;
    } flips[] = {{"op", flip_op, false},
                 {"segments", flip_segments, false},
                 {"sector", flip_sector, false},
                 {"spans", flip_spans, false},
                 {"refs", flip_refs, false},
                 {"indirect", flip_indirect, true},
                 {"descriptor-refs", flip_descriptor_refs, true},
                 {"descriptors", flip_descriptors, true},
                 {"everything", flip_everything, true}};
    static struct race race;
    bool indirect = false;
    enum saw saw;

    race = (struct race){.lab = lab};
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++)
        if (!strcmp(flips[i].what, args[0])) {
            race.flip = flips[i].flip;
            indirect = flips[i].indirect;
        }
    if (!race.flip || pthread_create(&race.thread, NULL, race_run, &race))
        return wrong(lab, "no thread, or nothing of that name to flip");
    lab->wild = true;
    saw = race_ask_all(lab, indirect, number_of(args[1]) / lab->scale);
    atomic_store(&race.stop, true);
    pthread_join(race.thread, NULL);
    return saw;
}

/* The producer is far ahead, behind, a ring too far, or right, whenever it is looked at */
static enum saw play_flip_producer(struct lab *lab, char **args)
{
    unsigned down = 1u << XenbusStateClosing | 1u << XenbusStateClosed, tries = 0;
    struct queue *queue = lab->queue;
    static struct race race;

    (void)args;
    lab->wild = true;
    for (unsigned i = 0; i < queue->slots; i++) {
        struct ask ask = race_ask(lab, false, random_next(&lab->seed));

        ask_put(queue, &ask);
    }
    race = (struct race){.lab = lab, .flip = flip_producer};
    if (pthread_create(&race.thread, NULL, race_run, &race))
        return wrong(lab, "no thread");
    do
        xenevtchn_notify(queue->xce, (evtchn_port_t)queue->port);
    while (backend_wait(&lab->front, down, 50) == 99 && tries++ < PATIENCE_MS / 50);
    atomic_store(&race.stop, true);
    pthread_join(race.thread, NULL);
    return lab_closed(lab);
}

const struct play race_plays[] = {
    {"flip", PLAY_OPEN, play_flip},
    {"flip-producer", PLAY_OPEN, play_flip_producer},
    {NULL, PLAY_OPEN, NULL},
};
