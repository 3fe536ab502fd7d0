/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_backing: storage below a pool, in a memfd, that knows of every block whether it is there, and
 * fails, waits or runs out as a test likes.  Homes are not the extents' numbers.  Tests may change
 * what is under "set by tests" at any time.
 */
#ifndef UNIT_FAKE_BACKING_H
#define UNIT_FAKE_BACKING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "backing.h"
#include "pool.h"
#include "slots.h"

#define FAKE_HOMES 96u

struct fake_backing {
    struct backing backing;
    /* Set by tests. */
    _Atomic uint32_t allowed; /* homes there may be */
    _Atomic uint32_t fail_at; /* the nth growth from now fails, and all after it; 0: none */
    _Atomic int error;        /* with this */
    _Atomic uint32_t pause_ms;
    _Atomic uint64_t left;
    /* What happened. */
    _Atomic uint32_t grows, failed, punches, wrong;
    _Atomic uint32_t homes; /* taken */
    _Atomic bool growing;
    pthread_mutex_t lock; /* of all below */
    bool taken[FAKE_HOMES];
    uint64_t blocks; /* there */
    uint64_t most;   /* of these, ever */
    bool there[FAKE_HOMES * SLOTS_PER_EXTENT];
};

/* Opens and starts a pool on it.  `config` as for pool_open_on; the fd is filled in. */
struct pool *fake_pool(struct fake_backing *fake, struct pool_config *config);

bool fake_is_there(struct fake_backing *fake, uint64_t offset);
uint64_t fake_blocks(struct fake_backing *fake);

/* Writes fail from now, or no more. */
void fake_break(struct fake_backing *fake, bool broken);
/* Those to the first home there will be do, and no others. */
void fake_break_first(struct fake_backing *fake);

/* A waiter that can be waited for. */
struct unit_waiter {
    struct pool_waiter waiter;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    uint32_t kicks, told; /* -ENOSPC */
};
void waiter_init(struct unit_waiter *waiter);
/* Until there was a kick since the last call; false after `ms`. */
bool waiter_wait(struct unit_waiter *waiter, unsigned int ms);
uint32_t waiter_kicks(struct unit_waiter *waiter);

/* Takes, waiting for kicks, until it succeeds or was told -ENOSPC more than `refusals` times; then
 * it is forgotten.  0, -ENOSPC; -ETIMEDOUT after 20 s without a kick, -ELOOP when kicked in vain
 * 1000 times. */
int waiter_take(struct unit_waiter *waiter, struct pool *pool, struct pool_slots *slots, bool first,
                uint32_t refusals);

/* Checks `condition` until it holds; false after 20 s.  For what a pool does without telling. */
bool unit_until(bool (*condition)(void *arg), void *arg);

#endif
