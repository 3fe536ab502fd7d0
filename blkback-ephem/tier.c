// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tier: blocks in memory, as they will be written: encrypted.  A frame is 4 MiB of address space that
 * stands in for the storage of an extent; a page of it costs memory, and counts against the budget,
 * from its first use until the frame is spilled or the page is punched, so the budget bounds memory
 * whatever the guest does.  Which slots of the extent lie in the frame a bitmap tells; the others lie
 * below, where the extent may have a home already.
 *
 * Readers hold `frames` for reading while they copy; a frame goes away under the write lock, and
 * never while a slot in it is taken and not settled.
 */
#include "pool_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define BURST_PAGES 2048u /* what a guest may write while one extent is spilled */

struct frame {
    struct list link;
    uint32_t extent;
    uint32_t busy;    /* slots taken and not settled */
    uint32_t charged; /* pages touched */
    uint8_t *memory;
    uint64_t touched[SLOTS_WORDS];
    _Atomic uint64_t here[SLOTS_WORDS]; /* settled; changed under the pool's lock */
};

int tier_open(struct tier **out, uint64_t bytes)
{
    struct tier *tier = calloc(1, sizeof(*tier));
    pthread_rwlockattr_t attr;

    if (!tier)
        return -ENOMEM;
    pthread_rwlockattr_init(&attr);
    /* The keeper must get its turn however many readers there are. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&tier->frames, &attr);
    pthread_rwlockattr_destroy(&attr);
    tier->budget = bytes / BLOCK_SIZE;
    list_init(&tier->fifo);
    *out = tier;
    return 0;
}

void tier_close(struct pool *pool)
{
    struct tier *tier = pool->tier;

    if (!tier)
        return;
    for (struct list *it; (it = list_pop(&tier->fifo));) {
        struct frame *frame = container_of(it, struct frame, link);
        tier_unmap(frame);
        tier_forget(pool, frame);
    }
    pthread_rwlock_destroy(&tier->frames);
    free(tier);
}

bool tier_has_room(const struct tier *tier, uint64_t pages)
{
    return tier->charged + pages <= tier->budget;
}

bool tier_is_short(const struct tier *tier)
{
    uint64_t burst = min_u64(tier->budget / 4, BURST_PAGES);

    return !tier_has_room(tier, burst > tier->budget / 8 ? burst : tier->budget / 8);
}

static struct frame *tier_frame(const struct pool *pool, uint32_t slot)
{
    return atomic_load_explicit(&pool_berth(pool, slot / SLOTS_PER_EXTENT)->frame,
                                memory_order_acquire);
}

static struct frame *tier_attach(struct pool *pool, uint32_t extent)
{
    struct frame *frame = calloc(1, sizeof(*frame));

    if (!frame)
        return NULL;
    frame->memory = mmap(NULL, BACKING_EXTENT, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (frame->memory == MAP_FAILED) {
        free(frame);
        return NULL;
    }
    /* A huge page would cost 2 MiB at its first use. */
    madvise(frame->memory, BACKING_EXTENT, MADV_NOHUGEPAGE);
    madvise(frame->memory, BACKING_EXTENT, MADV_DONTDUMP);
    frame->extent = extent;
    list_append(&pool->tier->fifo, &frame->link);
    atomic_store_explicit(&pool_berth(pool, extent)->frame, frame, memory_order_release);
    return frame;
}

int tier_charge(struct pool *pool, uint32_t slot)
{
    struct frame *frame = tier_frame(pool, slot);
    uint32_t at = slot % SLOTS_PER_EXTENT;

    if (!frame)
        frame = tier_attach(pool, slot / SLOTS_PER_EXTENT);
    if (!frame)
        return -ENOMEM;
    frame->busy++;
    if (!(frame->touched[at / 64] >> (at % 64) & 1)) {
        frame->touched[at / 64] |= 1ull << (at % 64);
        frame->charged++;
        pool->tier->charged++;
    }
    return 0;
}

void tier_settle(struct pool *pool, uint32_t slot)
{
    struct frame *frame = tier_frame(pool, slot);
    uint32_t at = slot % SLOTS_PER_EXTENT;

    atomic_fetch_or_explicit(&frame->here[at / 64], 1ull << (at % 64), memory_order_release);
    frame->busy--;
}

void tier_uncharge(struct pool *pool, uint32_t slot)
{
    tier_frame(pool, slot)->busy--;
}

struct frame *tier_victim(struct pool *pool, uint32_t *extent)
{
    struct frame *oldest = NULL;

    list_for_each(it, &pool->tier->fifo)
    {
        struct frame *frame = container_of(it, struct frame, link);

        if (frame->busy || slots_frozen(pool->slots, frame->extent))
            continue;
        if (frame->extent != slots_current(pool->slots)) {
            *extent = frame->extent;
            return frame;
        }
        oldest = frame;
    }
    if (oldest)
        *extent = oldest->extent;
    return oldest;
}

void tier_put_off(struct pool *pool, uint32_t extent)
{
    struct frame *frame = pool_berth(pool, extent)->frame;

    list_remove(&frame->link);
    list_append(&pool->tier->fifo, &frame->link);
}

uint8_t *tier_contents(const struct frame *frame, uint64_t map[SLOTS_WORDS])
{
    for (uint32_t i = 0; i < SLOTS_WORDS; i++)
        map[i] = atomic_load_explicit(&frame->here[i], memory_order_acquire);
    return frame->memory;
}

struct frame *tier_detach(struct pool *pool, uint32_t extent)
{
    struct tier *tier = pool->tier;
    struct berth *berth = pool_berth(pool, extent);
    struct frame *frame = berth->frame;

    pthread_rwlock_wrlock(&tier->frames);
    berth->frame = NULL;
    pthread_rwlock_unlock(&tier->frames);
    list_remove(&frame->link);
    return frame;
}

void tier_unmap(struct frame *frame)
{
    munmap(frame->memory, BACKING_EXTENT);
}

void tier_forget(struct pool *pool, struct frame *frame)
{
    pool->tier->charged -= frame->charged;
    free(frame);
}

/* Locked memory is only given back by the newer call. */
static void frame_drop(struct frame *frame, uint32_t from, uint32_t to)
{
    uint8_t *at = frame->memory + (size_t)from * BLOCK_SIZE;
    size_t bytes = (size_t)(to - from) * BLOCK_SIZE;

    if (!madvise(at, bytes, MADV_DONTNEED_LOCKED))
        return;
    munlock(at, bytes);
    madvise(at, bytes, MADV_DONTNEED);
}

/* In a full pool the page is given back at once, since its frame cannot be spilled: that is what
 * overwrites live on. */
void tier_give(struct pool *pool, uint32_t slot)
{
    struct frame *frame = tier_frame(pool, slot);
    uint32_t at = slot % SLOTS_PER_EXTENT;
    uint64_t bit = 1ull << (at % 64);

    if (!frame)
        return;
    atomic_fetch_and_explicit(&frame->here[at / 64], ~bit, memory_order_release);
    if (!pool->full || !pool->backing || !(frame->touched[at / 64] & bit))
        return;
    frame_drop(frame, at, at + 1);
    frame->touched[at / 64] &= ~bit;
    frame->charged--;
    pool->tier->charged--;
}

void tier_punch(struct pool *pool, uint32_t extent, const uint64_t map[SLOTS_WORDS])
{
    struct frame *frame = pool_berth(pool, extent)->frame;
    uint64_t drop[SLOTS_WORDS];

    if (!frame)
        return;
    for (uint32_t i = 0; i < SLOTS_WORDS; i++) {
        drop[i] = frame->touched[i] & map[i];
        frame->touched[i] &= ~map[i];
    }
    for (uint32_t at = 0, n; (n = slots_map_run(drop, &at)); at += n)
        frame_drop(frame, at, at + n);
    uint32_t pages = slots_map_count(drop);
    frame->charged -= pages;
    pool->tier->charged -= pages;
}

uint8_t *pool_memory(const struct pool *pool, uint32_t slot)
{
    return tier_frame(pool, slot)->memory + (size_t)(slot % SLOTS_PER_EXTENT) * BLOCK_SIZE;
}

void pool_read_lock(struct pool *pool)
{
    if (pool->tier)
        pthread_rwlock_rdlock(&pool->tier->frames);
}

void pool_read_unlock(struct pool *pool)
{
    if (pool->tier)
        pthread_rwlock_unlock(&pool->tier->frames);
}

const uint8_t *pool_peek(const struct pool *pool, uint32_t slot)
{
    struct frame *frame = pool->tier ? tier_frame(pool, slot) : NULL;
    uint32_t at = slot % SLOTS_PER_EXTENT;

    if (!frame ||
        !(atomic_load_explicit(&frame->here[at / 64], memory_order_acquire) >> (at % 64) & 1))
        return NULL;
    return frame->memory + (size_t)at * BLOCK_SIZE;
}
