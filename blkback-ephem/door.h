/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * door: one connected frontend: its queues, spread over the engine's threads.  Owned by the main
 * thread, which alone calls and is called back.
 */
#ifndef EPHEM_DOOR_H
#define EPHEM_DOOR_H

#include <stdbool.h>
#include "wire.h"

struct door;
struct engine;
struct mailbox;
struct volume;

struct door_events {
    void (*dead)(struct door *door, const char *why); /* once at most; to be closed */
    void (*closed)(struct door *door);                /* the door is gone when it returns */
    void (*silent)(struct door *door);                /* a probe found the domain gone */
    void *arg;
};

/*
 * Opens all queues or none.  On failure the reason is returned and, once what had been opened is
 * closed again, `closed` is called all the same; only -ENOMEM and -EINVAL come without a door.
 */
int door_open(struct door **out, struct engine *engine, struct mailbox *mailbox,
              struct volume *volume, const struct wire_door *config,
              const struct door_events *events);

/* Begins to close; a second call with `force` hastens.  Ends with `closed`. */
void door_close(struct door *door, bool force);

/* Asks, on the queue's own thread, whether the frontend's domain still lives. */
void door_probe(struct door *door);

const struct wire_door *door_config(const struct door *door);
void *door_arg(const struct door *door);

#endif
