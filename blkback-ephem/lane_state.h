/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane_state: what a lane is made of, private to lane.c (reads, holding), sweep.c (writes) and
 * lane_seal.c (what becomes of a block's bytes on the way).
 */
#ifndef EPHEM_LANE_STATE_H
#define EPHEM_LANE_STATE_H

#include <stdatomic.h>
#include "aio.h"
#include "cipher.h"
#include "lane.h"
#include "loop.h"
#include "pool.h"
#include "seal.h"

#define LANE_PARTS  160u
#define LANE_SWEEPS 32u
#define SWEEP_SEGS  64u

/* One read under way. */
struct part {
    struct aio_op op;
    struct list link;
    struct vio *io;
    uint32_t at, count; /* entries */
    uint64_t expect;    /* bytes */
};

/* One write under way: consecutive slots of one or more vios. */
struct sweep {
    struct aio_op op;
    struct list link;
    struct lane *lane;
    uint64_t offset;
    uint32_t segs, blocks;
    bool alone;    /* it failed as a whole: its segments are written one by one, */
    uint32_t done; /* so many have been */
    struct iovec iov[SWEEP_SEGS];
    struct vio *io[SWEEP_SEGS];
};

struct lane {
    struct iothread *thread;
    struct pool *pool;
    struct cipher *cipher;
    struct seal *seal;   /* NULL without integrity */
    struct press *press; /* NULL but where blocks are compressed */
    struct iothread_hook hook;
    struct list idle;    /* parts */
    struct list starved; /* vios in the middle of a read */

    struct list gathered; /* vios to be placed */
    struct list placed;   /* vios in the middle of a write: slots taken, encrypted */
    struct list swept;    /* sweeps: idle */
    uint32_t gathered_vios, gathered_blocks;
    uint32_t flying_sweeps, flying_vios;
    uint32_t depth;       /* how many writes a guest had under way, lately */
    uint64_t gathered_at; /* ns: since then nobody has added; 0: just now */
    bool stepped;         /* a vio went on outside of a completion */

    struct list held; /* vios waiting for space */
    struct loop_timer retry;
    uint64_t retried; /* ms */
    struct pool_waiter waiter;
    struct work kicked;
    _Atomic bool kick_posted;

    struct part parts[LANE_PARTS];
    struct sweep sweeps[LANE_SWEEPS];
};

/* Where an entry's data goes, and the tweak of its slot. */
uint8_t *vio_page(const struct vio *io, uint32_t i);
struct cipher_tweak vio_tweak(const struct vio *io, uint32_t i);
/* The block of an entry. */
uint64_t vio_block(const struct vio *io, uint32_t i);

/* lane_seal.c: `bytes` of an entry into what goes to the pool, with its tag; `plain` and `out` may be the
 * same.  0 or -EIO. */
int lane_encrypt(struct vio *io, uint32_t i, const uint8_t *plain, uint8_t *out, uint32_t bytes);
/* And back, if they are what was written: else -EIO, `plain` is zeroes, and the log has a line. */
int lane_decrypt(struct vio *io, uint32_t i, const uint8_t *in, uint8_t *plain, uint32_t bytes);
/* The pool had nothing where the entry lies: -EIO and a line. */
int lane_missing(struct vio *io, uint32_t i);

/* sweep.c: the hook at the end of the thread's turn. */
void sweep_open(struct lane *lane);
bool sweep_flush(struct iothread_hook *hook);

#endif
