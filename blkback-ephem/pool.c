// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: slots under a lock, with the file grown an extent at a time before its slots are used, so
 * that want of space is found before a guest's write has been taken on, never in the middle.  The
 * file is grown and punched outside the lock that every read takes.
 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "index.h"
#include "log.h"
#include "slots.h"
#include "util.h"

#define EXTENT_BYTES ((uint64_t)SLOTS_PER_EXTENT * BLOCK_SIZE)
#define EXTENTS_MAX  ((1u << 22) - 1)

struct pool {
    const struct pool_ops *ops;
    int fd;
    uint16_t id;
    pthread_mutex_t
        growing;          /* one thread grows at a time; taken before lock, held over the growing */
    pthread_mutex_t lock; /* short */
    struct slots *slots;  /* this and below: under lock */
    uint32_t held;
    uint64_t held_since;
};

int pool_open_on(struct pool **out, const struct pool_config *config, const struct pool_ops *ops)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return -ENOMEM;
    if (slots_open(&pool->slots, EXTENTS_MAX)) {
        free(pool);
        return -ENOMEM;
    }
    pool->ops = ops;
    pool->fd = config->fd;
    pool->id = config->id;
    pthread_mutex_init(&pool->growing, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    *out = pool;
    return 0;
}

int pool_open(struct pool **out, const struct pool_config *config)
{
    return pool_open_on(out, config, &pool_dir_ops);
}

void pool_close(struct pool *pool)
{
    if (!pool)
        return;
    slots_close(pool->slots);
    close(pool->fd);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->growing);
    free(pool);
}

int pool_fd(const struct pool *pool)
{
    return pool->fd;
}

uint16_t pool_id(const struct pool *pool)
{
    return pool->id;
}

/* What there is, if `reserve` slots stay free.  Under the lock. */
static uint32_t pool_pick(struct pool *pool, uint32_t reserve, bool scrape, uint32_t n,
                          uint32_t *slot, uint32_t *generation)
{
    if (slots_free(pool->slots) < (uint64_t)n + reserve)
        return 0;
    return slots_take(pool->slots, n, scrape, slot, generation);
}

static uint32_t pool_try(struct pool *pool, uint32_t reserve, bool scrape, uint32_t n,
                         uint32_t *slot, uint32_t *generation)
{
    pthread_mutex_lock(&pool->lock);
    uint32_t got = pool_pick(pool, reserve, scrape, n, slot, generation);
    pthread_mutex_unlock(&pool->lock);
    return got;
}

/* One extent more, if still needed for `more` slots; takes them at once. */
static int pool_grow(struct pool *pool, uint32_t reserve, uint32_t more, uint32_t *slot,
                     uint32_t *generation, uint32_t *got)
{
    int err = 0;

    pthread_mutex_lock(&pool->growing);
    pthread_mutex_lock(&pool->lock);
    *got = pool_pick(pool, reserve, false, more, slot, generation);
    uint32_t extent = *got == more ? SLOTS_NO_EXTENT : slots_grow_next(pool->slots);
    pthread_mutex_unlock(&pool->lock);
    if (extent != SLOTS_NO_EXTENT) {
        err = pool->ops->grow(pool->fd, extent * EXTENT_BYTES, EXTENT_BYTES);
        pthread_mutex_lock(&pool->lock);
        if (!err)
            slots_grown(pool->slots, extent);
        pthread_mutex_unlock(&pool->lock);
    } else if (*got < more) {
        err = -ENOSPC;
    }
    pthread_mutex_unlock(&pool->growing);
    return err;
}

void pool_give(struct pool *pool, uint32_t n, const uint32_t *slot)
{
    if (!n)
        return;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t empty = slots_give(pool->slots, slot[i]);
        if (empty == SLOTS_NO_EXTENT)
            continue;
        pthread_mutex_unlock(&pool->lock);
        pool->ops->punch(pool->fd, empty * EXTENT_BYTES, EXTENT_BYTES);
        pthread_mutex_lock(&pool->lock);
        slots_punched(pool->slots, empty);
    }
    pthread_mutex_unlock(&pool->lock);
}

int pool_take(struct pool *pool, uint32_t reserve, uint32_t n, uint32_t *slot, uint32_t *generation)
{
    uint32_t got = pool_try(pool, reserve, false, n, slot, generation);
    int err = 0;

    while (got < n && !err) {
        uint32_t more = 0;
        err = pool_grow(pool, reserve, n - got, slot + got, generation + got, &more);
        got += more;
    }
    if (got < n && err == -ENOSPC)
        got += pool_try(pool, reserve, true, n - got, slot + got, generation + got);
    if (got == n)
        return 0;
    pool_give(pool, got, slot);
    return err;
}

void pool_generations(struct pool *pool, uint32_t n, const uint32_t *slot, uint32_t *generation)
{
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < n; i++)
        if (slot[i] <= INDEX_MAX_SLOT)
            generation[i] = slots_generation(pool->slots, slot[i]);
    pthread_mutex_unlock(&pool->lock);
}

void pool_usage(struct pool *pool, uint64_t *taken, uint64_t *used)
{
    pthread_mutex_lock(&pool->lock);
    *taken = slots_backed(pool->slots) * BLOCK_SIZE;
    *used = slots_used(pool->slots) * BLOCK_SIZE;
    pthread_mutex_unlock(&pool->lock);
}

void pool_hold(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (!pool->held++) {
        pool->held_since = (uint64_t)time(NULL);
        log_warn("the pool is full: writes are held until it has space again; free some space");
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_unhold(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (!--pool->held) {
        pool->held_since = 0;
        log_info("no write is held any more");
    }
    pthread_mutex_unlock(&pool->lock);
}

uint32_t pool_held(struct pool *pool, uint64_t *since)
{
    pthread_mutex_lock(&pool->lock);
    uint32_t held = pool->held;
    *since = pool->held_since;
    pthread_mutex_unlock(&pool->lock);
    return held;
}
