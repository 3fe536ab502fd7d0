/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool: where a guest's encrypted blocks lie: a file and the slots in it.  One pool a guest, used by
 * all its I/O threads; every call locks for itself.  Never sees plaintext and does no block I/O:
 * lanes read and write pool_fd at slot * 4096.
 */
#ifndef EPHEM_POOL_H
#define EPHEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct pool;

/* How a kind of pool gives and takes back storage; `offset` and `length` in bytes. */
struct pool_ops {
    int (*grow)(int fd, uint64_t offset, uint64_t length); /* 0, -ENOSPC, other errno */
    void (*punch)(int fd, uint64_t offset, uint64_t length);
};

extern const struct pool_ops pool_dir_ops;

enum pool_kind { POOL_DIR, POOL_BLOCK, POOL_SHARED, POOL_RAM };

struct pool_config {
    enum pool_kind kind;
    bool lz4;           /* POOL_RAM */
    int fd;             /* the pool's from success on; -1 for POOL_RAM */
    uint16_t id;        /* enters every tweak */
    uint64_t bytes;     /* the most it takes; 0: no bound */
    uint64_t ram;       /* bytes of memory in front; 0: none */
    uint64_t low_water; /* bytes; 0: never warn */
};

/* 0 or negative errno. */
int pool_open(struct pool **out, const struct pool_config *config);
/* For tests: on other storage. */
int pool_open_on(struct pool **out, const struct pool_config *config, const struct pool_ops *ops);
void pool_close(struct pool *pool);

int pool_fd(const struct pool *pool);
uint16_t pool_id(const struct pool *pool);

/* What first touches leave free in a pool that cannot grow, so that overwrites can go on. */
#define POOL_RESERVE 1024u

/*
 * `n` slots with fresh generations, as consecutive as can be; all or none; in a pool that cannot grow
 * only while `reserve` slots stay free.  0, -ENOSPC or errno.
 */
int pool_take(struct pool *pool, uint32_t reserve, uint32_t n, uint32_t *slot,
              uint32_t *generation);

/* The generations the slots' contents were written with; entries above INDEX_MAX_SLOT are skipped. */
void pool_generations(struct pool *pool, uint32_t n, const uint32_t *slot, uint32_t *generation);

/* Slots nobody refers to any more. */
void pool_give(struct pool *pool, uint32_t n, const uint32_t *slot);

/* A write is held for want of space, or no longer; the first and the last are logged, once each. */
void pool_hold(struct pool *pool);
void pool_unhold(struct pool *pool);

/* Writes held now; `since` in CLOCK_REALTIME seconds, 0 when none. */
uint32_t pool_held(struct pool *pool, uint64_t *since);

/* Bytes taken from below, and of these in use. */
void pool_usage(struct pool *pool, uint64_t *taken, uint64_t *used);

#endif
