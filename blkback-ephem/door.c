// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * door: sends the main thread's wishes to the queues' threads and their news back.  Each queue has
 * one slot here with its own work items, so nothing is allocated on the way.
 */
#include "door.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine.h"
#include "iothread.h"
#include "mailbox.h"
#include "pump.h"

struct slot {
    struct door *door;
    struct iothread *thread;
    struct pump *pump;
    struct queue_config config;
    int error;
    struct queue *queue; /* its thread's; NULL when gone */
    bool force, alive;
    struct work close, hasten, probe;           /* to the queue's thread */
    struct work closed, hastened, probed, dead; /* and back to the main thread */
};

struct door {
    struct wire_door config;
    struct door_events events;
    struct mailbox *mailbox;
    uint32_t pending; /* open queues and work under way; the door goes with the last */
    bool closing, forced, reported, probing;
    struct work none; /* for a door without any queue */
    struct slot slots[WIRE_QUEUES];
};

static void door_left(struct door *door)
{
    if (--door->pending || !door->closing)
        return;
    door->events.closed(door);
    free(door);
}

static void slot_open(void *arg)
{
    struct slot *slot = arg;

    slot->error = queue_open(&slot->queue, slot->pump, &slot->config);
}

static void slot_close(struct work *work)
{
    struct slot *slot = container_of(work, struct slot, close);

    if (slot->queue)
        queue_close(slot->queue, slot->force);
}

static void slot_closed(void *arg)
{
    struct slot *slot = arg;

    slot->queue = NULL;
    mailbox_post(slot->door->mailbox, &slot->closed);
}

static void slot_closed_main(struct work *work)
{
    door_left(container_of(work, struct slot, closed)->door);
}

static void slot_hasten(struct work *work)
{
    struct slot *slot = container_of(work, struct slot, hasten);

    if (slot->queue)
        queue_close(slot->queue, true);
    mailbox_post(slot->door->mailbox, &slot->hastened);
}

static void slot_hastened_main(struct work *work)
{
    door_left(container_of(work, struct slot, hastened)->door);
}

static void slot_dead(void *arg, const char *why)
{
    struct slot *slot = arg;

    (void)why;
    mailbox_post(slot->door->mailbox, &slot->dead);
}

static void slot_dead_main(struct work *work)
{
    struct door *door = container_of(work, struct slot, dead)->door;

    if (!door->reported && !door->closing)
        door->events.dead(door, "the frontend claims more requests than its ring holds");
    door->reported = true;
}

static void slot_probe(struct work *work)
{
    struct slot *slot = container_of(work, struct slot, probe);

    slot->alive = !slot->queue || queue_probe(slot->queue);
    mailbox_post(slot->door->mailbox, &slot->probed);
}

static void slot_probed_main(struct work *work)
{
    struct slot *slot = container_of(work, struct slot, probed);
    struct door *door = slot->door;

    door->probing = false;
    if (!slot->alive && !door->closing)
        door->events.silent(door);
    door_left(door);
}

static void door_none(struct work *work)
{
    door_left(container_of(work, struct door, none));
}

static void slot_prepare(struct slot *slot, struct door *door, struct engine *engine,
                         struct volume *volume, uint32_t i)
{
    const struct wire_door *config = &door->config;
    const struct volume_config *disk = volume_config(volume);

    /* Disks with one queue are spread over the threads too. */
    uint32_t thread = (config->id + i) % engine_threads(engine);

    slot->door = door;
    slot->thread = engine_thread(engine, thread);
    slot->pump = engine_pump(engine, thread);
    slot->config = (struct queue_config){
        .volume = volume,
        .domid = config->domid,
        .port = config->queue[i].port,
        .pages = 1u << config->order,
        .abi = config->protocol == WIRE_X86_32 ? RING_X86_32 : RING_X86_64,
        .limits = {.sectors = volume_bytes(volume) / SECTOR_SIZE,
                   .readonly = disk->readonly,
                   .discard = disk->discard},
        .dead = slot_dead,
        .closed = slot_closed,
        .arg = slot,
    };
    memcpy(slot->config.refs, config->queue[i].refs, sizeof(slot->config.refs));
    slot->close.run = slot_close;
    slot->closed.run = slot_closed_main;
    slot->hasten.run = slot_hasten;
    slot->hastened.run = slot_hastened_main;
    slot->dead.run = slot_dead_main;
    slot->probe.run = slot_probe;
    slot->probed.run = slot_probed_main;
}

int door_open(struct door **out, struct engine *engine, struct mailbox *mailbox,
              struct volume *volume, const struct wire_door *config,
              const struct door_events *events)
{
    struct door *door;
    int err = 0;

    if (!config->queues || config->queues > WIRE_QUEUES || config->order > 4 ||
        config->domid > UINT16_MAX || config->protocol > WIRE_X86_32)
        return -EINVAL;
    door = calloc(1, sizeof(*door));
    if (!door)
        return -ENOMEM;
    door->config = *config;
    door->events = *events;
    door->mailbox = mailbox;
    door->none.run = door_none;
    *out = door;
    for (uint32_t i = 0; i < config->queues && !err; i++) {
        struct slot *slot = &door->slots[i];
        slot_prepare(slot, door, engine, volume, i);
        iothread_call(slot->thread, slot_open, slot);
        err = slot->error;
        door->pending += !err;
    }
    if (err)
        door_close(door, true);
    return err;
}

void door_close(struct door *door, bool force)
{
    bool again = door->closing;

    if (again && (!force || door->forced))
        return;
    door->closing = true;
    door->forced = force;
    if (!again && !door->pending) {
        door->pending = 1;
        mailbox_post(door->mailbox, &door->none);
        return;
    }
    for (uint32_t i = 0; i < door->config.queues; i++) {
        struct slot *slot = &door->slots[i];
        if (!slot->thread || slot->error)
            continue;
        door->pending += again;
        if (!again)
            slot->force = force;
        iothread_post(slot->thread, again ? &slot->hasten : &slot->close);
    }
}

void door_probe(struct door *door)
{
    struct slot *slot = &door->slots[0];

    if (door->closing || door->probing)
        return;
    door->probing = true;
    door->pending++;
    iothread_post(slot->thread, &slot->probe);
}

const struct wire_door *door_config(const struct door *door)
{
    return &door->config;
}

void *door_arg(const struct door *door)
{
    return door->events.arg;
}
