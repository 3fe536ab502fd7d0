// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool_stats: what a pool tells: that writes are held, that it runs low, and figures.
 */
#include "pool_state.h"

#include <time.h>
#include "log.h"

/* Under the lock.  A guest can begin and end it as often as it likes; what lasts is told by the next
 * pool_look at the latest. */
static void pool_tell_hold(struct pool *pool)
{
    if (pool->hold_told || !log_allowed(&pool->holds))
        return;
    pool->hold_told = true;
    log_warn("the pool is full: %s: writes are held until it has space again",
             pool->why ? pool->why : "free some space");
}

void pool_hold(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (!pool->held++) {
        pool->held_since = (uint64_t)time(NULL);
        pool_tell_hold(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_unhold(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (!--pool->held) {
        pool->held_since = 0;
        if (pool->hold_told)
            log_info("no write is held any more");
        pool->hold_told = false;
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

void pool_count_write(struct pool *pool, uint32_t blocks)
{
    pthread_mutex_lock(&pool->lock);
    pool->writes++;
    pool->write_blocks += blocks;
    pthread_mutex_unlock(&pool->lock);
}

/* A guest that reads one of them again and again must not use up the lines for others.  Once overwritten
 * a block has another slot or generation.  Under the lock. */
static bool pool_tell_tampered(struct pool *pool, struct pool_bad bad)
{
    for (uint32_t i = 0; i < POOL_BAD_KEPT; i++)
        if (pool->bad[i].slot == bad.slot && pool->bad[i].generation == bad.generation)
            return false;
    if (!log_allowed(&pool->tamperings))
        return false;
    pool->bad[pool->bad_at++ % POOL_BAD_KEPT] = bad;
    return true;
}

bool pool_tampered(struct pool *pool, uint32_t slot, uint64_t generation)
{
    pthread_mutex_lock(&pool->lock);
    pool->tampered++;
    bool allowed = pool_tell_tampered(pool, (struct pool_bad){slot, generation});
    pthread_mutex_unlock(&pool->lock);
    return allowed;
}

uint64_t pool_allowance(const struct pool *pool)
{
    uint64_t stored = pool->pack ? pack_used(pool->pack) : slots_stored(pool->slots) * BLOCK_SIZE;

    if (!pool->config.bytes)
        return UINT64_MAX;
    return pool->config.bytes > stored ? pool->config.bytes - stored : 0;
}

void pool_stats(struct pool *pool, struct pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    *stats = (struct pool_stats){
        .taken = slots_stored(pool->slots) * BLOCK_SIZE,
        .used = slots_used(pool->slots) * BLOCK_SIZE,
        .left = pool->left,
        .ram = pool->tier ? pool->tier->charged * BLOCK_SIZE : 0,
        .memory = slots_memory(pool->slots) +
                  slots_extents(pool->slots) * (sizeof(struct berth) + sizeof(void *)) +
                  pool->tagged * POOL_TAGS,
        .tampered = pool->tampered,
        .writes = pool->writes,
        .write_blocks = pool->write_blocks,
        .low_since = pool->low_since,
    };
    if (pool->pack) {
        stats->taken = stats->ram = pack_used(pool->pack);
        stats->memory += pack_memory(pool->pack);
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_look(struct pool *pool)
{
    uint64_t below = pool->backing ? pool->backing->ops->left(pool->backing) : UINT64_MAX;

    pthread_mutex_lock(&pool->lock);
    uint64_t left = min_u64(below, pool_allowance(pool)), mark = pool->config.low_water;
    pool->left = left;
    if (left < mark && !pool->low_since) {
        pool->low_since = (uint64_t)time(NULL);
        log_warn("only %llu MiB are left of the pool: below the low-water mark of %llu MiB: free "
                 "some space",
                 (unsigned long long)left >> 20, (unsigned long long)mark >> 20);
    } else if (pool->low_since && left >= mark + mark / 8) {
        pool->low_since = 0;
        log_info("the pool is above its low-water mark again");
    }
    if (pool->held)
        pool_tell_hold(pool);
    pthread_mutex_unlock(&pool->lock);
}
