// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keeper: the pool's own thread, the only one that waits for storage: it grows the pool ahead of its
 * users, spills memory when it gets short, and gives back what is not used.
 *
 *   spill   the oldest frame's blocks go below as they are, under the tweaks they have; readers use
 *           the frame until that has been done
 *   grow    an extent whose free places were punched, else a new one
 *   thin    the extent with the most free places, once these are more than an eighth of what is used:
 *           so what is stored stays below 1.25 of the live data, in whatever order it was written
 *
 * A failed attempt makes the pool full until a later one succeeds; while somebody waits it is tried
 * again every 200 ms, with another frame, since one that cannot be written must not keep the others.
 */
#include "pool_state.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "loop.h"

#define PATIENCE_MS 2000u
#define STACK_BYTES (256u << 10)

/* Under the lock.  Whoever waits is told that it is full. */
static void keeper_failed(struct pool *pool, int err)
{
    pool->full = true;
    pool->tried = loop_now();
    pool->demand = 0;
    if (err == -EIO)
        pool->why = "it cannot be written: input/output error";
    else if (err != -ENOSPC)
        pool->why = strerror(-err);
    pool_kick(pool);
}

static void keeper_succeeded(struct pool *pool)
{
    pool->full = false;
    pool_kick(pool);
}

/* Under the lock, left for the while. */
static int keeper_find_home(struct pool *pool, uint32_t extent)
{
    struct berth *berth = pool_berth(pool, extent);
    bool again = berth->homed;
    uint64_t home = berth->home, need = BACKING_EXTENT;
    int err = -ENOSPC;

    if (again)
        need -= (uint64_t)slots_extent_stored(pool->slots, extent) * BLOCK_SIZE;
    uint32_t news = pool->news;
    if (pool_allowance(pool) >= need) {
        pthread_mutex_unlock(&pool->lock);
        err = pool->backing->ops->grow(pool->backing, extent, again, &home);
        pthread_mutex_lock(&pool->lock);
        if (err == -ENOSPC)
            pool->why = "free some space";
        if (err == -EAGAIN && !pool->awaiting)
            pool->asked = loop_now();
        pool->awaiting = err == -EAGAIN && pool->news == news; /* it may have told meanwhile */
    } else {
        pool->why = "its quota is used up";
    }
    if (!err) {
        if (!again)
            berth->home = home;
        berth->homed = true;
        slots_home(pool->slots, extent, true);
    }
    return err;
}

/* All runs of the map, as they lie. */
static int keeper_write(int fd, const uint8_t *memory, uint64_t home,
                        const uint64_t map[SLOTS_WORDS])
{
    for (uint32_t at = 0, n; (n = slots_map_run(map, &at)); at += n) {
        size_t done = 0, bytes = (size_t)n * BLOCK_SIZE;
        while (done < bytes) {
            uint64_t offset = (uint64_t)at * BLOCK_SIZE + done;
            ssize_t some = pwrite(fd, memory + offset, bytes - done, (off_t)(home + offset));
            if (some < 0 && errno == EINTR)
                continue;
            if (some <= 0)
                return some ? -errno : -ENOSPC;
            done += (size_t)some;
        }
    }
    return 0;
}

/* Under the lock, left for the while.  True: it was tried. */
static bool keeper_spill(struct pool *pool)
{
    uint32_t extent = 0;
    uint64_t map[SLOTS_WORDS];
    struct frame *frame = tier_victim(pool, &extent);
    int err = 0;

    if (!frame)
        return false;
    slots_freeze(pool->slots, extent);
    uint8_t *memory = tier_contents(frame, map);
    if (slots_map_count(map)) {
        /* Of an extent that has one only the holes lack storage, and nothing lies in them. */
        err = pool_berth(pool, extent)->homed ? 0 : keeper_find_home(pool, extent);
        if (!err) {
            uint64_t home = pool_berth(pool, extent)->home;
            pthread_mutex_unlock(&pool->lock);
            err = keeper_write(pool->backing->fd, memory, home, map);
            pthread_mutex_lock(&pool->lock);
            pool->writes += !err;
            pool->write_blocks += err ? 0 : slots_map_count(map);
        }
    }
    slots_thaw(pool->slots, extent);
    if (err) {
        if (err != -EAGAIN) {
            tier_put_off(pool, extent);
            keeper_failed(pool, err);
        }
        return true;
    }
    frame = tier_detach(pool, extent);
    pthread_mutex_unlock(&pool->lock);
    tier_unmap(frame);
    pthread_mutex_lock(&pool->lock);
    tier_forget(pool, frame);
    pool->crowded = false;
    keeper_succeeded(pool);
    return true;
}

/* Room for what is known of an extent and, with integrity, of its slots' contents. */
static bool keeper_add_berth(struct pool *pool, uint32_t extent)
{
    struct berth **chunk = &pool->berths[extent / BERTH_CHUNK];

    if (!*chunk)
        *chunk = calloc(BERTH_CHUNK, sizeof(**chunk));
    if (!*chunk || !pool->config.integrity)
        return *chunk;
    struct berth *berth = pool_berth(pool, extent);
    if (!berth->tags) {
        berth->tags = calloc(1, POOL_TAGS);
        pool->tagged += berth->tags != NULL;
    }
    return berth->tags;
}

/* No slot of it is in use, nor can be taken. */
static void keeper_drop_tags(struct pool *pool, struct berth *berth)
{
    pool->tagged -= berth->tags != NULL;
    free(berth->tags);
    berth->tags = NULL;
}

/* Under the lock, left for the while. */
static void keeper_grow(struct pool *pool)
{
    /* A new one has no home yet, so memory in front can be used up while storage cannot be had. */
    uint32_t extent = slots_grow(pool->slots, pool->tier && pool->backing && pool->full);
    int err = 0;

    if (extent == SLOTS_NO_EXTENT) {
        pool->why = "its bound is reached";
        keeper_failed(pool, -ENOSPC);
        return;
    }
    if (!keeper_add_berth(pool, extent))
        err = -ENOMEM;
    else if (!pool->backing)
        slots_home(pool->slots, extent, true);
    else if (!pool->tier || pool_berth(pool, extent)->homed)
        err = keeper_find_home(pool, extent); /* in front, a first home is found when spilled */
    slots_grown(pool->slots, extent, !err);
    if (err && err != -EAGAIN)
        keeper_failed(pool, err);
    else if (!err && pool->tier && pool->backing)
        pool_kick(pool); /* nothing is known of what lies below */
    else if (!err)
        keeper_succeeded(pool);
    if (!err && slots_ample(pool->slots) >= pool->demand)
        pool->demand = 0;
}

/* Not thinned: what is about to be spilled, and what users may need: with KEEPER_AHEAD left none of them
 * finds too little and makes us grow again. */
static bool keeper_leaves(void *arg, uint32_t extent)
{
    const struct pool *pool = arg;
    uint32_t nfree = slots_extent_free(pool->slots, extent);

    if (pool->backing && (pool_berth(pool, extent)->frame || !pool_berth(pool, extent)->homed))
        return true;
    return nfree >= SLOTS_AMPLE_FREE &&
           slots_ample(pool->slots) < nfree + KEEPER_AHEAD + pool->demand;
}

static void keeper_punch(struct pool *pool, uint32_t extent, const uint64_t map[SLOTS_WORDS])
{
    uint64_t home = pool_berth(pool, extent)->home;

    for (uint32_t at = 0, n; (n = slots_map_run(map, &at)); at += n)
        pool->backing->ops->punch(pool->backing, home + (uint64_t)at * BLOCK_SIZE,
                                  (uint64_t)n * BLOCK_SIZE);
}

/* Under the lock, left for the while.  False: there is nothing to give back. */
static bool keeper_thin(struct pool *pool)
{
    uint64_t used = slots_used(pool->slots), spare = slots_stored(pool->slots) - used;
    uint64_t map[SLOTS_WORDS];
    uint32_t least = spare > used / 8 + POOL_SPARE ? SLOTS_WORTH : SLOTS_PER_EXTENT;
    bool empty;

    if (!pool_is_loose(pool))
        return false;
    uint32_t extent = slots_thin(pool->slots, least, keeper_leaves, pool, map, &empty);
    if (extent == SLOTS_NO_EXTENT)
        return false;
    struct berth *berth = pool_berth(pool, extent);
    if (pool->backing) {
        pthread_mutex_unlock(&pool->lock);
        keeper_punch(pool, extent, map);
        if (empty)
            pool->backing->ops->release(pool->backing, berth->home);
        pthread_mutex_lock(&pool->lock);
    } else {
        tier_punch(pool, extent, map);
    }
    if (empty) {
        struct frame *frame = berth->frame ? tier_detach(pool, extent) : NULL;
        slots_home(pool->slots, extent, false);
        berth->homed = false;
        keeper_drop_tags(pool, berth);
        if (frame) {
            tier_unmap(frame);
            tier_forget(pool, frame);
        }
    }
    slots_thaw(pool->slots, extent);
    return true;
}

static bool keeper_wants_room(const struct pool *pool)
{
    const struct tier *tier = pool->tier;

    /* What a spill needs below has been asked for: trying again before the answer finds the same. */
    return tier && pool->backing && !pool->awaiting && (pool->crowded || tier_is_short(tier));
}

static bool keeper_wants_slots(const struct pool *pool)
{
    uint64_t ample = slots_ample(pool->slots);

    if (pool->awaiting && !pool->tier)
        return false;
    return ample < pool->demand || (slots_used(pool->slots) && ample < KEEPER_AHEAD);
}

/* The control plane does not say whether there is more: somebody has waited for that too long. */
static bool keeper_is_left_alone(struct pool *pool)
{
    if (!pool->awaiting || list_empty(&pool->waiters) || loop_now() < pool->asked + PATIENCE_MS)
        return false;
    pool->asked = loop_now();
    pool->why = "blkback-ephemd does not hand out more";
    keeper_failed(pool, -ENOSPC);
    return true;
}

/* Until something happens, at most `ms`; 0: for ever. */
static void keeper_wait(struct pool *pool, uint64_t ms)
{
    struct timespec until;

    if (!ms) {
        pthread_cond_wait(&pool->work, &pool->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&pool->work, &pool->lock, &until);
}

/* Under the lock, left for the while.  True: something was done; else there is nothing to do until
 * something happens, or for *wait ms. */
static bool keeper_step(struct pool *pool, uint64_t *wait)
{
    uint64_t ago = loop_now() - pool->tried;

    *wait = 0;
    if (slots_ample(pool->slots) >= pool->demand)
        pool->demand = 0; /* who came with it has been kicked by whoever gave them */
    if (keeper_thin(pool))
        return true;
    if (pool->full && ago < KEEPER_RETRY_MS) {
        *wait = list_empty(&pool->waiters) ? 0 : KEEPER_RETRY_MS - ago;
        return false;
    }
    if (keeper_wants_room(pool) && keeper_spill(pool))
        return true;
    if (keeper_wants_slots(pool)) {
        keeper_grow(pool);
        return true;
    }
    if (pool->full && !pool->awaiting && !list_empty(&pool->waiters)) {
        keeper_succeeded(pool); /* nothing is short any more */
        return true;
    }
    if (keeper_is_left_alone(pool))
        return true;
    *wait = pool->awaiting && !list_empty(&pool->waiters) ? PATIENCE_MS : 0;
    return false;
}

static void *keeper_main(void *arg)
{
    struct pool *pool = arg;
    uint64_t wait;

    pthread_mutex_lock(&pool->lock);
    pool->runs = true;
    pthread_cond_broadcast(&pool->running);
    while (!pool->stop)
        if (!keeper_step(pool, &wait))
            keeper_wait(pool, wait);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int keeper_start(struct pool *pool)
{
    pthread_attr_t attr;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&pool->keeper, &attr, keeper_main, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    pool->started = !err;
    pthread_mutex_lock(&pool->lock);
    while (pool->started && !pool->runs)
        pthread_cond_wait(&pool->running, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return -err;
}

void keeper_stop(struct pool *pool)
{
    if (!pool->started)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->keeper, NULL);
    pool->started = false;
}
