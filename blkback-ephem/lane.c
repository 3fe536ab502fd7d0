// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lane: cuts a read into runs that lie together on the base or in the pool, one operation each; what
 * lies in memory is decrypted from there at once.  A lane has a fixed number of operations; a read
 * that finds none left waits in `starved` and goes on where it stopped.  Blocks are decrypted as
 * their run arrives.  Writes are in sweep.c; those that found no slot are held here.
 */
#include "lane_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "press.h"
#include "slots.h"

#define LANE_HOLD_MS 200u
#define LANE_KICK_MS 5u /* between two attempts: each may read the edges of what is held anew */

static void lane_retry_held(struct lane *lane)
{
    struct list now;

    lane->retried = loop_now();
    list_init(&now);
    for (struct list *it; (it = list_pop(&lane->held));)
        list_append(&now, it);
    for (struct list *it; (it = list_pop(&now));) {
        struct vio *io = container_of(it, struct vio, link);
        io->held = false;
        lane->stepped = true;
        io->step(io);
    }
}

static void lane_retry(struct loop_timer *timer)
{
    lane_retry_held(container_of(timer, struct lane, retry));
}

static void lane_kicked(struct work *work)
{
    struct lane *lane = container_of(work, struct lane, kicked);

    lane->kick_posted = false;
    if (loop_now() - lane->retried < LANE_KICK_MS)
        loop_timer_set(iothread_loop(lane->thread), &lane->retry, LANE_KICK_MS);
    else
        lane_retry_held(lane);
}

/* On any thread, under the pool's lock. */
static void lane_kick(struct pool_waiter *waiter)
{
    struct lane *lane = container_of(waiter, struct lane, waiter);

    if (!atomic_exchange(&lane->kick_posted, true))
        iothread_post(lane->thread, &lane->kicked);
}

size_t lane_locks(bool packed)
{
    return packed ? PRESS_LOCKED : 0;
}

int lane_open(struct lane **out, struct iothread *thread, struct pool *pool, const struct key *key)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    if (!lane)
        return -ENOMEM;
    int err = cipher_open(&lane->cipher, key);
    if (!err && pool_is_sealed(pool))
        err = seal_open(&lane->seal, key);
    if (!err && pool_is_packed(pool))
        err = press_open(&lane->press);
    if (err) {
        seal_close(lane->seal);
        cipher_close(lane->cipher);
        free(lane);
        return err;
    }
    lane->thread = thread;
    lane->pool = pool;
    lane->retry.fire = lane_retry;
    lane->kicked.run = lane_kicked;
    lane->waiter.kick = lane_kick;
    list_init(&lane->waiter.link);
    sweep_open(lane);
    list_init(&lane->idle);
    list_init(&lane->starved);
    list_init(&lane->held);
    for (uint32_t i = 0; i < LANE_PARTS; i++)
        list_append(&lane->idle, &lane->parts[i].link);
    iothread_hook_last(thread, &lane->hook);
    *out = lane;
    return 0;
}

void lane_close(struct lane *lane)
{
    if (!lane)
        return;
    pool_forget(lane->pool, &lane->waiter);
    press_close(lane->press);
    seal_close(lane->seal);
    cipher_close(lane->cipher);
    free(lane);
}

struct arena *lane_arena(const struct lane *lane)
{
    return lane->press ? press_arena(lane->press) : NULL;
}

struct iothread *lane_thread(const struct lane *lane)
{
    return lane->thread;
}

struct cipher_tweak vio_tweak(const struct vio *io, uint32_t i)
{
    return (struct cipher_tweak){
        .pool = pool_id(io->lane->pool), .slot = io->slot[i], .generation = io->generation[i]};
}

uint8_t *vio_page(const struct vio *io, uint32_t i)
{
    return io->buf + (size_t)(io->merging ? io->blocks + i : i) * BLOCK_SIZE;
}

/* The block of an entry; when merging, the last entry is the last block's. */
uint64_t vio_block(const struct vio *io, uint32_t i)
{
    if (io->merging && i + 1 == io->entries && !(i == 0 && io->offset % BLOCK_SIZE))
        return io->first + io->blocks - 1;
    return io->first + i;
}

/* Of `count` entries from `at` the first `there` blocks were read.  All are looked at: each that is bad
 * is to be told. */
static int lane_decrypt_run(struct vio *io, uint32_t at, uint32_t count, uint64_t there)
{
    int first = 0;

    for (uint32_t i = at; i < at + count; i++) {
        uint8_t *page = vio_page(io, i);
        int err = i - at < there ? lane_decrypt(io, i, page, page, BLOCK_SIZE)
                                 : lane_missing(io, i);
        first = first ? first : err;
    }
    return first;
}

static void lane_issue(struct vio *io);

static int part_finish(const struct part *part, int64_t result)
{
    struct vio *io = part->io;
    uint64_t whole = (uint64_t)part->count * BLOCK_SIZE;

    if (result < 0)
        return (int)result;
    if (io->slot[part->at] <= INDEX_MAX_SLOT)
        return lane_decrypt_run(io, part->at, part->count, (uint64_t)result / BLOCK_SIZE);
    if ((uint64_t)result < part->expect)
        return -EIO;
    memset(vio_page(io, part->at) + part->expect, 0, whole - part->expect);
    return 0;
}

static void part_done(struct aio_op *op, int64_t result)
{
    struct part *part = container_of(op, struct part, op);
    struct vio *io = part->io;
    struct lane *lane = io->lane;
    int err = part_finish(part, result);

    if (err && !io->error)
        io->error = err;
    list_append(&lane->idle, &part->link);
    io->flying--;
    if (!io->flying && io->next == io->entries)
        io->step(io);
    while (!list_empty(&lane->idle) && !list_empty(&lane->starved))
        lane_issue(container_of(list_pop(&lane->starved), struct vio, link));
}

/* The slot lies where the run from `first` goes on. */
static bool slot_follows(const struct pool *pool, uint32_t first, uint32_t n, uint32_t slot)
{
    return slot == first + n && !pool_peek(pool, slot) &&
           (slot % SLOTS_PER_EXTENT ||
            pool_offset(pool, slot) == pool_offset(pool, first) + (uint64_t)n * BLOCK_SIZE);
}

/* Entries from `at` that lie together, on the base or below in the pool. */
static uint32_t vio_run(const struct vio *io, uint32_t at)
{
    bool in_slot = io->slot[at] <= INDEX_MAX_SLOT;
    uint32_t n = 1;

    while (at + n < io->entries && !io->merging &&
           (in_slot ? slot_follows(io->lane->pool, io->slot[at], n, io->slot[at + n])
                    : io->slot[at + n] == io->slot[at]))
        n++;
    return n;
}

static void lane_start(struct part *part, struct vio *io, uint32_t at, uint32_t count,
                       uint64_t in_base)
{
    struct lane *lane = io->lane;
    struct aio *aio = iothread_aio(lane->thread);
    uint8_t *page = vio_page(io, at);
    size_t len = (size_t)count * BLOCK_SIZE;

    part->op.done = part_done;
    part->io = io;
    part->at = at;
    part->count = count;
    part->expect = in_base ? min_u64(len, in_base) : len;
    io->flying++;
    if (in_base)
        aio_read(aio, &part->op, volume_config(io->volume)->base, page, len,
                 vio_block(io, at) * BLOCK_SIZE);
    else
        aio_read(aio, &part->op, pool_fd(lane->pool), page, len,
                 pool_offset(lane->pool, io->slot[at]));
}

/* One entry from memory, when it lies there.  0, -ENOENT, or -EIO. */
static int lane_read_one(struct vio *io, uint32_t i)
{
    struct lane *lane = io->lane;
    uint32_t bytes = BLOCK_SIZE;
    const uint8_t *memory = lane->press ? pool_unit(lane->pool, io->slot[i], &bytes)
                                        : pool_peek(lane->pool, io->slot[i]);

    if (!memory)
        return lane->press ? -EIO : -ENOENT;
    if (bytes == BLOCK_SIZE)
        return lane_decrypt(io, i, memory, vio_page(io, i), bytes);
    int err = lane_decrypt(io, i, memory, press_scratch(lane->press), bytes);
    if (!err)
        err = press_unfold(lane->press, bytes, vio_page(io, i));
    press_wipe(lane->press);
    return err;
}

/* Entries from `at` that need no operation: how many. */
static uint32_t lane_read_memory(struct vio *io, uint32_t at)
{
    uint32_t n = 0;

    while (at + n < io->entries && io->slot[at + n] <= INDEX_MAX_SLOT) {
        int err = lane_read_one(io, at + n);
        if (err == -ENOENT)
            break;
        if (err)
            io->error = err;
        n++;
    }
    return n;
}

/* The next entries of a read; false: no operation is left for them. */
static bool lane_issue_some(struct vio *io)
{
    struct lane *lane = io->lane;
    uint32_t at = io->next, count = lane_read_memory(io, at);
    uint64_t start = vio_block(io, at) * BLOCK_SIZE, in_base = 0;

    if (!count) {
        uint64_t base_bytes = volume_base_bytes(io->volume);
        count = vio_run(io, at);
        if (io->slot[at] == INDEX_BASE && start < base_bytes)
            in_base = base_bytes - start;
        if (io->slot[at] > INDEX_MAX_SLOT && !in_base)
            memset(vio_page(io, at), 0, (size_t)count * BLOCK_SIZE);
        else if (list_empty(&lane->idle))
            return false;
        else
            lane_start(container_of(list_pop(&lane->idle), struct part, link), io, at, count,
                       in_base);
    }
    io->next += count;
    return true;
}

static void lane_issue(struct vio *io)
{
    bool going = true;

    pool_read_lock(io->lane->pool);
    while (io->next < io->entries && going)
        going = lane_issue_some(io);
    pool_read_unlock(io->lane->pool);
    if (!going)
        list_append(&io->lane->starved, &io->link);
    else if (!io->flying)
        io->step(io);
}

void lane_read(struct vio *io, uint32_t entries)
{
    io->entries = entries;
    io->next = 0;
    io->error = 0;
    lane_issue(io);
}

void lane_hold(struct vio *io, int why, void (*retry)(struct vio *io))
{
    struct lane *lane = io->lane;

    io->held = true;
    io->step = retry;
    if (why == -ENOSPC && !io->reported) {
        io->reported = true;
        pool_hold(lane->pool);
    }
    if (list_empty(&lane->held))
        loop_timer_set(iothread_loop(lane->thread), &lane->retry, LANE_HOLD_MS);
    list_append(&lane->held, &io->link);
}

bool lane_unhold(struct vio *io)
{
    if (!io->held)
        return false;
    io->held = false;
    list_remove(&io->link);
    return true;
}

void lane_end_hold(struct vio *io)
{
    if (io->reported)
        pool_unhold(io->lane->pool);
    io->reported = false;
}
