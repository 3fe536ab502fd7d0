/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool_state: what a pool is made of, private to pool.c (what I/O threads call), keeper.c (its
 * thread) and tier.c (blocks in memory).
 */
#ifndef EPHEM_POOL_STATE_H
#define EPHEM_POOL_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "backing.h"
#include "log.h"
#include "pack.h"
#include "pool.h"
#include "slots.h"

#define POOL_EXTENTS ((1u << 22) - 1)
#define POOL_SPARE                                                                                 \
    (SLOTS_PER_EXTENT + SLOTS_PER_EXTENT / 2)              /* free slots no pool is too rich with */
#define POOL_TAGS    ((size_t)SLOTS_PER_EXTENT * POOL_TAG) /* bytes of an extent */
#define BERTH_CHUNK  1024u
#define BERTH_CHUNKS ((POOL_EXTENTS + BERTH_CHUNK) / BERTH_CHUNK)

#define POOL_HOLDS_TOLD   5u /* lines of the log, before it is one a second at most */
#define POOL_TAMPERS_TOLD 5u
#define POOL_BAD_KEPT     256u

struct frame;

/* Where an extent lies.  `home` is set before a slot of it can be read from there, and stays while
 * any is in use. */
struct berth {
    uint64_t home; /* bytes in the backing's fd */
    bool homed;    /* under the lock */
    uint8_t *tags; /* of all its slots, while some can be taken; changed under the lock */
    _Atomic(struct frame *) frame;
};

/* Blocks in memory.  All but `frames` under the pool's lock. */
struct tier {
    pthread_rwlock_t
        frames;       /* read: frames stay where they are; write: the keeper takes one away */
    uint64_t budget;  /* pages */
    uint64_t charged; /* pages of frames that were touched */
    struct list fifo; /* frames, the oldest first */
};

/* What the log was told of; generation 0 is never used. */
struct pool_bad {
    uint32_t slot;
    uint64_t generation;
};

struct pool {
    struct pool_config config;
    struct backing *backing; /* NULL: memory only */
    struct pool_extents *extents;
    struct tier *tier;    /* NULL: none */
    struct pack *pack;    /* NULL: none; then there is nothing else */
    pthread_mutex_t lock; /* short; all below is under it */
    struct slots *slots;
    struct berth *berths[BERTH_CHUNKS]; /* chunks are added, never moved */
    struct list waiters;
    uint32_t demand; /* slots somebody waits for */
    bool crowded;    /* somebody waits for memory */
    bool awaiting;   /* the backing will tell when there is more */
    uint32_t news;   /* how often it has told */
    uint64_t asked;  /* awaiting: since when, in ms */
    bool full;       /* the last attempt to grow or to spill failed */
    uint64_t tried;  /* then: when, in ms */
    const char *why; /* and what an operator should know */
    uint32_t held;
    bool hold_told; /* the log knows that writes are held */
    struct log_limit holds, tamperings;
    uint64_t tampered;
    struct pool_bad bad[POOL_BAD_KEPT]; /* a ring */
    uint32_t bad_at;
    uint64_t tagged; /* extents with tags */
    uint64_t held_since, low_since;
    uint64_t writes, write_blocks;
    uint64_t left; /* as of the last look */

    pthread_cond_t work;    /* for the keeper */
    pthread_cond_t running; /* it runs */
    pthread_t keeper;
    bool started, runs, stop;
};

static inline struct berth *pool_berth(const struct pool *pool, uint32_t extent)
{
    return &pool->berths[extent / BERTH_CHUNK][extent % BERTH_CHUNK];
}

/* Under the lock: whoever waits tries again. */
void pool_kick(struct pool *pool);

/* Under the lock: more lies free than should, and could be given back. */
bool pool_is_loose(const struct pool *pool);

/* What the pool may still take from below by its own bound, in bytes.  Under the lock. */
uint64_t pool_allowance(const struct pool *pool);

/* keeper.c */
#define KEEPER_RETRY_MS 200u
/* Free slots, while somebody writes: no fewer than any request and the reserve, or what was grown for
 * one would be thinned before it comes for it. */
#define KEEPER_AHEAD (2 * POOL_RESERVE)
int keeper_start(struct pool *pool);
void keeper_stop(struct pool *pool);

/* tier.c; under the lock but for tier_open and tier_close. */
int tier_open(struct tier **out, uint64_t bytes);
void tier_close(struct pool *pool);
bool tier_has_room(const struct tier *tier, uint64_t pages);
/* Too little is left for the next burst: something should be spilled. */
bool tier_is_short(const struct tier *tier);
/* A page for a slot that was taken.  0 or -ENOMEM. */
int tier_charge(struct pool *pool, uint32_t slot);
void tier_settle(struct pool *pool, uint32_t slot);
/* Of a slot charged and not settled. */
void tier_uncharge(struct pool *pool, uint32_t slot);
void tier_give(struct pool *pool, uint32_t slot);
/* The frame to spill next, or NULL; its extent. */
struct frame *tier_victim(struct pool *pool, uint32_t *extent);
/* It could not be spilled: all others are to be tried before it. */
void tier_put_off(struct pool *pool, uint32_t extent);
/* The settled slots of an extent; not under the lock. */
uint8_t *tier_contents(const struct frame *frame, uint64_t map[SLOTS_WORDS]);
/* Takes the frame away from its extent: what it held lies below now, or nothing did.  Then its memory
 * is given back (no lock needed), and only after that stops to count against the budget. */
struct frame *tier_detach(struct pool *pool, uint32_t extent);
void tier_unmap(struct frame *frame);
void tier_forget(struct pool *pool, struct frame *frame);
/* Pages that became holes; their memory goes back. */
void tier_punch(struct pool *pool, uint32_t extent, const uint64_t map[SLOTS_WORDS]);

#endif
