// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * turn_keeper: the production keeper, without a thread: turn_keeper() lets it do what it can do now.
 */
#include <pthread.h>
#include "pool_state.h"
#include "turn.h"

#define pthread_create(id, attr, main, arg) turn_no_thread(id, main, arg)
#define pthread_join(id, result)            ((void)(id))

static int turn_no_thread(pthread_t *id, void *(*main)(void *), void *arg)
{
    struct pool *pool = arg;

    (void)main;
    memset(id, 0, sizeof(*id));
    pool->runs = true;
    return 0;
}

#include "../../blkback-ephem/keeper.c"

#define STEPS_MOST 10000u

void turn_keeper(struct pool *pool)
{
    uint64_t wait;
    uint32_t steps = 0;

    pthread_mutex_lock(&pool->lock);
    while (keeper_step(pool, &wait))
        if (++steps > STEPS_MOST) {
            fprintf(stderr, "the keeper spins\n");
            abort();
        }
    pthread_mutex_unlock(&pool->lock);
}
