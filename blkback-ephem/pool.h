/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool: where a guest's encrypted blocks lie: slots, in memory or in the storage below.  One pool a
 * guest, used by all its I/O threads; every call locks for itself and none of them does I/O or waits
 * for it: what has to be grown, spilled or punched is done by the keeper, a thread of the pool's own.
 * Never sees plaintext.
 */
#ifndef EPHEM_POOL_H
#define EPHEM_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "util.h"

struct backing;
struct pool;
struct pool_extents;

enum pool_kind { POOL_DIR, POOL_BLOCK, POOL_SHARED, POOL_RAM };

struct pool_config {
    enum pool_kind kind;
    bool lz4;           /* POOL_RAM */
    bool integrity;     /* each slot has a tag */
    int fd;             /* the pool's from success on; -1 for POOL_RAM */
    uint16_t id;        /* enters every tweak */
    uint64_t bytes;     /* the most it takes; 0: no bound */
    uint64_t ram;       /* bytes of memory in front; 0: none */
    uint64_t low_water; /* bytes; 0: never warn */
    char whose[20];     /* begins a line about a block: "guest 7: ", or nothing */
};

/* 0 or negative errno. */
int pool_open(struct pool **out, const struct pool_config *config);
/* For tests: on a backing of their own (backing.h), which is the pool's from success on. */
int pool_open_on(struct pool **out, const struct pool_config *config, struct backing *backing);

/* Starts the keeper; after the privileges are gone.  0 or negative errno. */
int pool_start(struct pool *pool);

/* Nobody may use it any more. */
void pool_close(struct pool *pool);

uint16_t pool_id(const struct pool *pool);
/* Of POOL_SHARED, else NULL. */
struct pool_extents *pool_extents(const struct pool *pool);

/* The main thread: what lies below may have more to give now. */
void pool_look_again(struct pool *pool);

/* What first touches leave free, so that overwrites can go on in a full pool: one request's worth
 * and some. */
#define POOL_RESERVE 320u

/* Called once, under the pool's lock, on any thread, when a take may succeed or be answered
 * differently; then it is forgotten. */
struct pool_waiter {
    struct list link;
    void (*kick)(struct pool_waiter *waiter);
};

/* Slots taken together. */
struct pool_slots {
    uint32_t n;
    uint32_t *slot;
    uint64_t *generation;
    bool ram; /* all in memory, else all in the storage below */
};

/*
 * Takes slots->n slots with fresh generations, all or none; `first`: the write takes new space, and
 * leaves the reserve alone.  0; -EAGAIN: the keeper is at it; -ENOSPC: there is no space; in both
 * cases the waiter is kept and will be kicked.
 */
int pool_take(struct pool *pool, struct pool_slots *slots, bool first, struct pool_waiter *waiter);
void pool_forget(struct pool *pool, struct pool_waiter *waiter);

/* Slots taken in memory have their contents now. */
void pool_settle(struct pool *pool, const struct pool_slots *slots);

/* Slots taken will not be used after all.  `bad`: what they lie on cannot be written. */
void pool_untake(struct pool *pool, const struct pool_slots *slots, bool bad);

/* Slots nobody refers to any more. */
void pool_give(struct pool *pool, uint32_t n, const uint32_t *slot);

/* The generations the slots' contents were written with; entries above INDEX_MAX_SLOT are skipped. */
void pool_generations(struct pool *pool, uint32_t n, const uint32_t *slot, uint64_t *generation);

/* A slot's tag, of POOL_TAG bytes, in memory only: whoever took the slot writes it, then it belongs to
 * the slot's contents; NULL without integrity. */
#define POOL_TAG 16u
bool pool_is_sealed(const struct pool *pool);
uint8_t *pool_tag(const struct pool *pool, uint32_t slot);
/* What had been written to that slot as that generation was not what is there.  Counts it; true: the log
 * may be told, which it is once of each, as far as the last some hundred are concerned. */
bool pool_tampered(struct pool *pool, uint32_t slot, uint64_t generation);
const char *pool_whose(const struct pool *pool);

/* Blocks may lie in memory: there writing them needs no operation. */
bool pool_has_memory(const struct pool *pool);

/* Where a slot lies in the storage below. */
int pool_fd(const struct pool *pool);
uint64_t pool_offset(const struct pool *pool, uint32_t slot);

/* Its 4096 bytes of memory: of one taken in memory and not settled yet; or, between lock and unlock,
 * of a settled one, NULL when it does not lie in memory.  Without memory, lock is free. */
uint8_t *pool_memory(const struct pool *pool, uint32_t slot);
void pool_read_lock(struct pool *pool);
void pool_read_unlock(struct pool *pool);
const uint8_t *pool_peek(const struct pool *pool, uint32_t slot);

/*
 * Where blocks are kept compressed (pool_is_packed): room for `bytes` of a slot's contents, until it
 * is settled or untaken; NULL for the moment without memory.  And those of a settled one.
 */
bool pool_is_packed(const struct pool *pool);
uint8_t *pool_put(struct pool *pool, uint32_t slot, uint32_t bytes);
const uint8_t *pool_unit(const struct pool *pool, uint32_t slot, uint32_t *bytes);

/* A write is held for want of space, or no longer; the first and the last are logged, once each. */
void pool_hold(struct pool *pool);
void pool_unhold(struct pool *pool);
/* Writes held now; `since` in CLOCK_REALTIME seconds, 0 when none. */
uint32_t pool_held(struct pool *pool, uint64_t *since);

/* A write of so many blocks went out as one operation. */
void pool_count_write(struct pool *pool, uint32_t blocks);

/* In bytes, but for writes. */
struct pool_stats {
    uint64_t taken;  /* from below, or of memory for POOL_RAM */
    uint64_t used;   /* in slots that hold data */
    uint64_t left;   /* that can still be taken from below; UINT64_MAX: not known */
    uint64_t ram;    /* of blocks in memory */
    uint64_t memory; /* for generations, free places and tags */
    uint64_t tampered;
    uint64_t writes, write_blocks;
    uint64_t low_since; /* CLOCK_REALTIME seconds; 0: not below the low-water mark */
};
void pool_stats(struct pool *pool, struct pool_stats *stats);

/* The main thread, every few seconds: looks how much is left and warns, once, below the mark. */
void pool_look(struct pool *pool);

#endif
