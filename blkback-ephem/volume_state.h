/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume_state: what a volume is made of, private to volume*.c: the object, its base, its growth, the
 * steps of a request.
 */
#ifndef EPHEM_VOLUME_STATE_H
#define EPHEM_VOLUME_STATE_H

#include <pthread.h>
#include "aio.h"
#include "arena.h"
#include "volume.h"
#include "volume_base.h"

/* One growth under way.  Main thread, but for what `filling` names. */
struct growth {
    struct volume_growth how;
    uint64_t bytes; /* to be reached */
    bool running;
    bool told;            /* why it fails */
    _Atomic bool filling; /* from here on the lane's, until `told_main` is posted */
    int error;
    uint8_t *buf; /* `pages` of the arena */
    uint32_t pages;
    struct arena_waiter room;
    struct work work;
    struct aio_op read;
    struct vio io;
};

struct volume {
    struct volume_config config; /* as opened; sizes are below */
    _Atomic uint64_t bytes;      /* written under lock, after base_bytes */
    _Atomic uint64_t base_bytes; /* written under lock */
    struct pool *pool;
    struct base_watch watch; /* this and growth: volume_check_base's thread */
    struct growth growth;
    _Atomic bool base_changed;
    pthread_mutex_t lock;
    struct overlay *overlay; /* this and below: under lock */
    struct volume_stats stats;
};

static inline uint64_t volume_blocks(uint64_t bytes)
{
    return (bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;
}

/* Gives back slots that nothing reads any more.  Called without the lock. */
void volume_reap(struct volume *volume);

/* volume_grow.c: begins to grow to `bytes`, as volume_check_base tells. */
bool volume_grow(struct volume *volume, uint64_t bytes, const struct volume_growth *how);

/* volume_grow.c: the block behind the last that a discard up to `end` bytes covers; by who has the
 * claim on it.  Called without the lock. */
uint64_t volume_discard_end(struct volume *volume, uint64_t end);

#endif
