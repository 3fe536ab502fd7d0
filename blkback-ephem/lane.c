// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lane: cuts a transfer into runs that lie together on the base or in the pool, one operation each.
 * A lane has a fixed number of operations; a transfer that finds none left waits in `starved` and
 * goes on where it stopped.  Blocks are decrypted as their run arrives.
 */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "aio.h"
#include "cipher.h"
#include "loop.h"
#include "pool.h"

#define LANE_PARTS   160u
#define LANE_HOLD_MS 200u

struct part {
    struct aio_op op;
    struct list link;
    struct vio *io;
    uint32_t at, count; /* entries */
    uint64_t expect;    /* bytes */
};

struct lane {
    struct iothread *thread;
    struct pool *pool;
    struct cipher *cipher;
    struct list idle;    /* parts */
    struct list starved; /* vios in mid-transfer */
    struct list held;    /* vios waiting for space */
    struct loop_timer retry;
    struct part parts[LANE_PARTS];
};

static void lane_retry(struct loop_timer *timer)
{
    struct lane *lane = container_of(timer, struct lane, retry);
    struct list now;
    uint32_t retried = 0;

    list_init(&now);
    for (struct list *it; (it = list_pop(&lane->held));)
        list_append(&now, it);
    for (struct list *it; (it = list_pop(&now));) {
        struct vio *io = container_of(it, struct vio, link);
        io->held = false;
        retried++;
        io->step(io);
    }
    /* Only now, so that the count passes zero, and the log says so, when none is held again. */
    while (retried--)
        pool_unhold(lane->pool);
}

int lane_open(struct lane **out, struct iothread *thread, struct pool *pool, const struct key *key)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    if (!lane)
        return -ENOMEM;
    int err = cipher_open(&lane->cipher, key);
    if (err) {
        free(lane);
        return err;
    }
    lane->thread = thread;
    lane->pool = pool;
    lane->retry.fire = lane_retry;
    list_init(&lane->idle);
    list_init(&lane->starved);
    list_init(&lane->held);
    for (uint32_t i = 0; i < LANE_PARTS; i++)
        list_append(&lane->idle, &lane->parts[i].link);
    *out = lane;
    return 0;
}

void lane_close(struct lane *lane)
{
    if (!lane)
        return;
    cipher_close(lane->cipher);
    free(lane);
}

struct iothread *lane_thread(const struct lane *lane)
{
    return lane->thread;
}

static struct cipher_tweak vio_tweak(const struct vio *io, uint32_t i)
{
    return (struct cipher_tweak){
        .pool = pool_id(io->lane->pool), .slot = io->slot[i], .generation = io->generation[i]};
}

static uint8_t *vio_page(const struct vio *io, uint32_t i)
{
    return io->buf + (size_t)(io->merging ? io->blocks + i : i) * BLOCK_SIZE;
}

/* The block of an entry; when merging, the last entry is the last block's. */
static uint64_t vio_block(const struct vio *io, uint32_t i)
{
    if (io->merging && i + 1 == io->entries && !(i == 0 && io->offset % BLOCK_SIZE))
        return io->first + io->blocks - 1;
    return io->first + i;
}

int lane_encrypt(struct vio *io)
{
    for (uint32_t i = 0; i < io->blocks; i++) {
        struct cipher_tweak tweak = vio_tweak(io, i);
        int err = cipher_encrypt(io->lane->cipher, &tweak, vio_page(io, i));
        if (err)
            return err;
    }
    return 0;
}

static int lane_decrypt_run(struct vio *io, uint32_t at, uint32_t count)
{
    for (uint32_t i = at; i < at + count; i++) {
        struct cipher_tweak tweak = vio_tweak(io, i);
        int err = cipher_decrypt(io->lane->cipher, &tweak, vio_page(io, i));
        if (err)
            return err;
    }
    return 0;
}

int lane_decrypt(struct vio *io)
{
    return lane_decrypt_run(io, 0, io->blocks);
}

static void lane_issue(struct vio *io);

static int part_finish(const struct part *part, int64_t result)
{
    struct vio *io = part->io;
    uint64_t whole = (uint64_t)part->count * BLOCK_SIZE;

    /* A file system may find out late that it is full; the second attempt learns the true reason. */
    if (!io->reading && (result == -EDQUOT || (result >= 0 && (uint64_t)result < part->expect)))
        return -ENOSPC;
    if (result < 0)
        return (int)result;
    if ((uint64_t)result < part->expect)
        return -EIO;
    if (!io->reading)
        return 0;
    if (io->slot[part->at] <= INDEX_MAX_SLOT)
        return lane_decrypt_run(io, part->at, part->count);
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

/* Entries from `at` that lie together. */
static uint32_t vio_run(const struct vio *io, uint32_t at)
{
    bool in_slot = io->slot[at] <= INDEX_MAX_SLOT;
    uint32_t n = 1;

    while (at + n < io->entries && !io->merging &&
           io->slot[at + n] == (in_slot ? io->slot[at] + n : io->slot[at]))
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
    uint64_t slot = io->slot[at];

    part->op.done = part_done;
    part->io = io;
    part->at = at;
    part->count = count;
    part->expect = in_base ? min_u64(len, in_base) : len;
    io->flying++;
    if (in_base)
        aio_read(aio, &part->op, volume_config(io->volume)->base, page, len,
                 vio_block(io, at) * BLOCK_SIZE);
    else if (io->reading)
        aio_read(aio, &part->op, pool_fd(lane->pool), page, len, slot * BLOCK_SIZE);
    else
        aio_write(aio, &part->op, pool_fd(lane->pool), page, len, slot * BLOCK_SIZE);
}

static void lane_issue(struct vio *io)
{
    struct lane *lane = io->lane;

    while (io->next < io->entries) {
        uint32_t at = io->next, count = vio_run(io, at);
        uint64_t start = vio_block(io, at) * BLOCK_SIZE, in_base = 0;
        uint64_t base_bytes = volume_base_bytes(io->volume);

        if (io->slot[at] == INDEX_BASE && start < base_bytes)
            in_base = base_bytes - start;
        if (io->slot[at] > INDEX_MAX_SLOT && !in_base) {
            memset(vio_page(io, at), 0, (size_t)count * BLOCK_SIZE);
            io->next += count;
            continue;
        }
        if (list_empty(&lane->idle)) {
            list_append(&lane->starved, &io->link);
            return;
        }
        lane_start(container_of(list_pop(&lane->idle), struct part, link), io, at, count, in_base);
        io->next += count;
    }
    if (!io->flying)
        io->step(io);
}

void lane_read(struct vio *io, uint32_t entries)
{
    io->reading = true;
    io->entries = entries;
    io->next = 0;
    io->error = 0;
    lane_issue(io);
}

void lane_write(struct vio *io)
{
    io->reading = false;
    io->entries = io->blocks;
    io->next = 0;
    io->error = 0;
    lane_issue(io);
}

void lane_hold(struct vio *io, void (*retry)(struct vio *io))
{
    struct lane *lane = io->lane;

    io->held = true;
    io->step = retry;
    pool_hold(lane->pool);
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
    pool_unhold(io->lane->pool);
    return true;
}
