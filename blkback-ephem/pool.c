// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: slots under a lock, taken only where there is storage or memory for them, so that want of
 * space is found before a guest's write has been taken on, never in the middle.  What is short the
 * keeper finds; whoever waited is kicked and tries again.
 */
#include "pool_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "index.h"
#include "log.h"
#include "loop.h"

static int pool_open_tier(struct pool *pool)
{
    const struct pool_config *config = &pool->config;
    uint64_t bytes = config->kind == POOL_RAM ? config->bytes : config->ram;

    if (config->kind == POOL_RAM && config->lz4)
        return pack_open(&pool->pack, bytes);
    return bytes ? tier_open(&pool->tier, bytes) : 0;
}

static uint32_t pool_most_extents(const struct pool_config *config)
{
    if (config->kind != POOL_RAM || config->lz4)
        return POOL_EXTENTS;
    return (uint32_t)min_u64(config->bytes / BACKING_EXTENT, POOL_EXTENTS);
}

int pool_open_on(struct pool **out, const struct pool_config *config, struct backing *backing)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    pthread_condattr_t attr;
    int err = -ENOMEM;

    if (!pool)
        return err;
    pool->config = *config;
    pool->left = UINT64_MAX;
    pool->holds.burst = POOL_HOLDS_TOLD;
    pool->tamperings.burst = POOL_TAMPERS_TOLD;
    list_init(&pool->waiters);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->work, &attr);
    pthread_cond_init(&pool->running, NULL);
    pthread_condattr_destroy(&attr);
    err = slots_open(&pool->slots, pool_most_extents(config));
    if (!err)
        err = pool_open_tier(pool);
    if (err) {
        pool_close(pool);
        return err;
    }
    pool->backing = backing;
    *out = pool;
    return 0;
}

int pool_open(struct pool **out, const struct pool_config *config)
{
    struct backing *backing = NULL;
    struct pool_extents *extents = NULL;
    int err = 0;

    if (config->kind == POOL_DIR)
        err = backing_dir_open(&backing, config->fd);
    else if (config->kind == POOL_BLOCK)
        err = backing_block_open(&backing, config->fd, config->bytes);
    else if (config->kind == POOL_SHARED)
        err = backing_shared_open(&backing, config->fd, &extents);
    if (!err)
        err = pool_open_on(out, config, backing);
    if (!err)
        (*out)->extents = extents;
    if (err && backing) {
        backing->fd = -1; /* the caller's */
        backing->ops->close(backing);
    }
    return err;
}

int pool_start(struct pool *pool)
{
    return keeper_start(pool);
}

static void pool_free_berths(struct pool *pool)
{
    for (uint32_t i = 0; i < BERTH_CHUNKS; i++) {
        for (uint32_t k = 0; pool->berths[i] && k < BERTH_CHUNK; k++)
            free(pool->berths[i][k].tags);
        free(pool->berths[i]);
    }
}

void pool_close(struct pool *pool)
{
    if (!pool)
        return;
    keeper_stop(pool);
    tier_close(pool);
    pack_close(pool->pack);
    slots_close(pool->slots);
    pool_free_berths(pool);
    if (pool->backing)
        pool->backing->ops->close(pool->backing);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->running);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct pool_extents *pool_extents(const struct pool *pool)
{
    return pool->extents;
}

void pool_look_again(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->awaiting = false;
    pool->news++;
    pool->tried = 0;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

uint16_t pool_id(const struct pool *pool)
{
    return pool->config.id;
}

bool pool_has_memory(const struct pool *pool)
{
    return pool->tier || pool->pack;
}

int pool_fd(const struct pool *pool)
{
    return pool->backing->fd;
}

uint64_t pool_offset(const struct pool *pool, uint32_t slot)
{
    return pool_berth(pool, slot / SLOTS_PER_EXTENT)->home +
           (uint64_t)(slot % SLOTS_PER_EXTENT) * BLOCK_SIZE;
}

bool pool_is_sealed(const struct pool *pool)
{
    return pool->config.integrity;
}

uint8_t *pool_tag(const struct pool *pool, uint32_t slot)
{
    if (!pool->config.integrity)
        return NULL;
    return pool_berth(pool, slot / SLOTS_PER_EXTENT)->tags +
           (size_t)(slot % SLOTS_PER_EXTENT) * POOL_TAG;
}

const char *pool_whose(const struct pool *pool)
{
    return pool->config.whose;
}

void pool_kick(struct pool *pool)
{
    for (struct list *it; (it = list_pop(&pool->waiters));) {
        struct pool_waiter *waiter = container_of(it, struct pool_waiter, link);
        waiter->kick(waiter);
    }
}

/* Takes all of them or none. */
static bool pool_take_from(struct pool *pool, struct pool_slots *slots, enum slots_from from)
{
    uint32_t got = slots_take(pool->slots, slots->n, from, slots->slot, slots->generation);

    for (uint32_t i = 0; got < slots->n && i < got; i++)
        slots_give(pool->slots, slots->slot[i]);
    return got == slots->n;
}

/* In memory. */
static int pool_pick_ram(struct pool *pool, struct pool_slots *slots, uint32_t reserve)
{
    bool any = pool->full;
    uint64_t there = any ? slots_free(pool->slots) : slots_ample(pool->slots);
    uint32_t i = 0;

    if (pool->backing && !tier_has_room(pool->tier, (uint64_t)slots->n + reserve)) {
        pool->crowded = true;
        return -EAGAIN;
    }
    if (there < (uint64_t)slots->n + reserve ||
        !pool_take_from(pool, slots, any ? SLOTS_ANY : SLOTS_AMPLE))
        return -EAGAIN;
    while (i < slots->n && !tier_charge(pool, slots->slot[i]))
        i++;
    slots->ram = true;
    if (i == slots->n)
        return 0;
    for (uint32_t k = 0; k < slots->n; k++) {
        if (k < i)
            tier_uncharge(pool, slots->slot[k]);
        slots_give(pool->slots, slots->slot[k]);
    }
    pool->full = true;
    pool->tried = loop_now();
    pool->why = "there is no memory for it";
    return -EAGAIN;
}

/* Below. */
static int pool_pick_below(struct pool *pool, struct pool_slots *slots, uint32_t reserve)
{
    enum slots_from from = !pool->full ? SLOTS_AMPLE : pool->tier ? SLOTS_HOMED : SLOTS_ANY;
    uint64_t there = pool->full ? slots_free(pool->slots) : slots_ample(pool->slots);

    slots->ram = false;
    if (there < (uint64_t)slots->n + reserve || !pool_take_from(pool, slots, from))
        return -EAGAIN;
    return 0;
}

/* In units of what each block compresses to. */
static int pool_pick_packed(struct pool *pool, struct pool_slots *slots, uint32_t reserve)
{
    if (!pack_has_room(pool->pack, slots->n + reserve)) {
        if (pack_is_promised(pool->pack))
            return -EAGAIN; /* what others were promised is the worst case, and known soon */
        pool->full = true;
        pool->tried = loop_now();
        pool->why = "its bound is reached";
        return -ENOSPC;
    }
    if (slots_ample(pool->slots) < slots->n || !pool_take_from(pool, slots, SLOTS_AMPLE))
        return -EAGAIN;
    pack_promise(pool->pack, slots->n);
    slots->ram = true;
    return 0;
}

int pool_take(struct pool *pool, struct pool_slots *slots, bool first, struct pool_waiter *waiter)
{
    uint32_t reserve = first ? POOL_RESERVE : 0;
    int err;

    pthread_mutex_lock(&pool->lock);
    err = pool->pack   ? pool_pick_packed(pool, slots, reserve)
          : pool->tier ? pool_pick_ram(pool, slots, reserve)
                       : -EAGAIN;
    /* Where memory stands in front, what is below only helps out for what it holds already. */
    if (err && pool->backing && (!pool->tier || (pool->full && !first)))
        err = pool_pick_below(pool, slots, reserve);
    if (err) {
        pool->demand = slots->n + reserve > pool->demand ? slots->n + reserve : pool->demand;
        list_remove(&waiter->link);
        list_append(&pool->waiters, &waiter->link);
        /* What was tried long ago says nothing: the keeper tries again before anybody is told. */
        err = pool->full && loop_now() - pool->tried <= KEEPER_RETRY_MS ? -ENOSPC : -EAGAIN;
    }
    if (err || slots_ample(pool->slots) < KEEPER_AHEAD || (pool->tier && tier_is_short(pool->tier)))
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    return err;
}

void pool_forget(struct pool *pool, struct pool_waiter *waiter)
{
    pthread_mutex_lock(&pool->lock);
    list_remove(&waiter->link);
    pthread_mutex_unlock(&pool->lock);
}

void pool_settle(struct pool *pool, const struct pool_slots *slots)
{
    if (!slots->ram)
        return;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < slots->n && pool->tier; i++)
        tier_settle(pool, slots->slot[i]);
    if (pool->pack) {
        pack_unpromise(pool->pack, slots->n);
        pool_kick(pool);
    }
    if (pool->crowded)
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_is_loose(const struct pool *pool)
{
    uint64_t used = slots_used(pool->slots), stored = slots_stored(pool->slots);
    uint64_t spare = stored > used ? stored - used : 0;

    return spare > used / 8 + POOL_SPARE || (spare > POOL_SPARE && slots_has_empty(pool->slots));
}

/* Under the lock: something has come free. */
static void pool_freed(struct pool *pool)
{
    if (pool->pack)
        pool->full = false;
    pool_kick(pool);
    if (pool_is_loose(pool))
        pthread_cond_signal(&pool->work);
}

void pool_untake(struct pool *pool, const struct pool_slots *slots, bool bad)
{
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < slots->n; i++) {
        if (pool->pack)
            pack_drop(pool->pack, slots->slot[i]);
        else if (slots->ram)
            tier_uncharge(pool, slots->slot[i]);
        if (bad)
            slots_spoil(pool->slots, slots->slot[i]);
        else
            slots_give(pool->slots, slots->slot[i]);
    }
    if (pool->pack)
        pack_unpromise(pool->pack, slots->n);
    pool_freed(pool);
    pthread_mutex_unlock(&pool->lock);
}

void pool_give(struct pool *pool, uint32_t n, const uint32_t *slot)
{
    if (!n)
        return;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < n; i++) {
        if (pool->tier)
            tier_give(pool, slot[i]);
        if (pool->pack)
            pack_drop(pool->pack, slot[i]);
        slots_give(pool->slots, slot[i]);
    }
    pool_freed(pool);
    pthread_mutex_unlock(&pool->lock);
}

void pool_generations(struct pool *pool, uint32_t n, const uint32_t *slot, uint64_t *generation)
{
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < n; i++)
        if (slot[i] <= INDEX_MAX_SLOT)
            generation[i] = slots_generation(pool->slots, slot[i]);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_is_packed(const struct pool *pool)
{
    return pool->pack;
}

uint8_t *pool_put(struct pool *pool, uint32_t slot, uint32_t bytes)
{
    pthread_mutex_lock(&pool->lock);
    uint8_t *unit = pack_put(pool->pack, slot, bytes);
    pthread_mutex_unlock(&pool->lock);
    return unit;
}

const uint8_t *pool_unit(const struct pool *pool, uint32_t slot, uint32_t *bytes)
{
    return pack_find(pool->pack, slot, bytes);
}
