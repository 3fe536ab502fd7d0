/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doors: a rig whose volume is served through all its doors at once: rings on fake_hv, each on a pump
 * of its lane, and NBD on a listening unix socket.  Behind the doors everything is production code,
 * but for the disks.
 *
 *   caller 0   a ring of one page                          lane 0
 *   caller 1   a ring of four pages, x86_32                lane 1
 *   caller 2   a ring of one page                          the last lane
 *   caller 3   NBD, structured replies                     the next lane
 *   caller 4   NBD, simple replies                         the next one
 */
#ifndef UNIT_DOORS_H
#define UNIT_DOORS_H

#include <pthread.h>
#include <stdatomic.h>
#include "caller.h"
#include "mailbox.h"
#include "rig.h"

#define DOORS_RINGS   3u
#define DOORS_CALLERS 5u

struct doors;

struct doors_ring {
    struct doors *doors;
    uint32_t lane;
    struct caller_ring_config config;
    struct queue *queue;
    _Atomic bool dead, closed;
};

/* Of the thread that accepts. */
struct doors_growth {
    struct work work;
    _Atomic bool running;
    _Atomic uint32_t failures;
};

struct doors {
    struct rig rig;
    struct limit *limit;
    struct pump *pumps[RIG_LANES];
    struct doors_ring rings[DOORS_RINGS];
    struct loop *loop; /* of the thread that accepts */
    struct mailbox *mailbox;
    pthread_t accepting;
    bool over; /* of that thread */
    int listener;
    struct nbd *nbd;
    struct caller *callers[DOORS_CALLERS];
    struct doors_growth growth;
};

void doors_open(struct doors *doors, const struct rig_config *config);
/* The volume grows with its base, which can have as many as `most` bytes. */
void doors_open_growing(struct doors *doors, const struct rig_config *config, uint64_t most);
/* doors_grow.c: the base has so many sectors and a bit from now on; the volume follows by and by, tried
 * again as often as it fails, and the truth with it.  One at a time. */
void doors_grow(struct doors *doors, uint32_t sectors);
void doors_grow_wait(struct doors *doors);
/* Closes a door with nothing in flight, its ring or its connection, and opens it anew. */
void doors_reopen(struct doors *doors, uint32_t caller);
/* Checks that everything was given back, and that no caller was answered wrongly. */
void doors_close(struct doors *doors);

#endif
