// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sweep: the writes of a lane.  They are gathered, given slots together, encrypted, and leave as few
 * large operations, because slots that are taken together lie together: what a guest strews over its
 * disk reaches ours in one sweep.
 *
 *   place -> gathered -> (ripe) take slots, encrypt -> memory: done
 *                                                  -> placed -> swept out -> done
 *
 * While a sweep is under way, new writes gather for the next; how deep a guest's queue was lately
 * tells how many to expect, and a guest with few under way is never made to wait.  An operation that
 * failed is repeated a segment at a time, so that only the request concerned fails.
 */
#include "lane_state.h"

#include <errno.h>
#include <time.h>
#include "press.h"

#define SHALLOW   8u     /* a queue like that gains nothing from gathering */
#define ENOUGH    16u    /* blocks: no reason to wait for more */
#define MUCH      40u    /* blocks: sent out in two halves */
#define LINGER_NS 60000u /* without a new write, to wait for half of what is expected */

static struct pool_slots vio_slots(struct vio *io)
{
    return (struct pool_slots){
        .n = io->blocks, .slot = io->slot, .generation = io->generation, .ram = io->ram};
}

void lane_place(struct vio *io, bool fresh)
{
    struct lane *lane = io->lane;

    io->fresh = fresh;
    io->error = 0;
    list_append(&lane->gathered, &io->link);
    lane->gathered_at = 0;
    lane->gathered_vios++;
    lane->gathered_blocks += io->blocks;
}

/* Its data is in the pool, or it has failed. */
static void sweep_end(struct vio *io)
{
    struct pool_slots slots = vio_slots(io);

    if (io->error == -ENOSPC) {
        /* Only the plaintext may be tried again: it will get new slots and generations. */
        for (uint32_t i = 0; i < io->blocks; i++) {
            struct cipher_tweak tweak = vio_tweak(io, i);
            if (cipher_decrypt(io->lane->cipher, &tweak, vio_page(io, i), vio_page(io, i),
                               BLOCK_SIZE))
                io->error = -EIO;
        }
    }
    if (io->error)
        pool_untake(io->lane->pool, &slots, io->error != -ENOSPC);
    io->lane->flying_vios--;
    io->step(io);
}

static void sweep_start(struct sweep *sweep, uint32_t first, uint32_t count, uint64_t offset)
{
    struct lane *lane = sweep->lane;

    aio_write(iothread_aio(lane->thread), &sweep->op, pool_fd(lane->pool), sweep->iov + first,
              (int)count, offset);
}

static void segment_done(struct sweep *sweep, uint32_t i, int err)
{
    struct vio *io = sweep->io[i];

    if (err && !io->error)
        io->error = err;
    if (!--io->flying && io->next == io->blocks)
        sweep_end(io);
}

/* A file system may find out late that it is full; the next attempt learns the true reason.  What the
 * kernel has no memory for just now (-EAGAIN) is held like that, too. */
static int sweep_result(int64_t result, uint64_t expected)
{
    if (result == -EDQUOT || result == -EAGAIN || (result >= 0 && (uint64_t)result < expected))
        return -ENOSPC;
    return result < 0 ? (int)result : 0;
}

static void sweep_issue(struct lane *lane);

static void sweep_done(struct aio_op *op, int64_t result)
{
    struct sweep *sweep = container_of(op, struct sweep, op);
    struct lane *lane = sweep->lane;
    uint32_t from = sweep->alone ? sweep->done : 0;
    uint32_t to = sweep->alone ? from + 1 : sweep->segs;
    uint64_t expected = 0;

    for (uint32_t i = from; i < to; i++)
        expected += sweep->iov[i].iov_len;
    int err = sweep_result(result, expected);
    if (err && sweep->segs > 1 && !sweep->alone) {
        sweep->alone = true;
        sweep_start(sweep, 0, 1, sweep->offset);
        return;
    }
    sweep->done = to;
    sweep->offset += expected;
    bool more = sweep->done < sweep->segs;
    if (more)
        sweep_start(sweep, sweep->done, 1, sweep->offset);
    for (uint32_t i = from; i < to; i++)
        segment_done(sweep, i, err);
    if (more)
        return;
    if (!err)
        pool_count_write(lane->pool, sweep->blocks);
    lane->flying_sweeps--;
    list_append(&lane->swept, &sweep->link);
    sweep_issue(lane);
}

/* Blocks of the vio from io->next on that lie together. */
static uint32_t vio_stretch(const struct vio *io)
{
    const struct pool *pool = io->lane->pool;
    uint64_t offset = pool_offset(pool, io->slot[io->next]);
    uint32_t n = 1;

    while (io->next + n < io->blocks &&
           pool_offset(pool, io->slot[io->next + n]) == offset + (uint64_t)n * BLOCK_SIZE)
        n++;
    return n;
}

/* Adds what follows to the sweep; false: it does not fit. */
static bool sweep_add(struct sweep *sweep, struct vio *io)
{
    uint64_t offset = pool_offset(sweep->lane->pool, io->slot[io->next]);
    uint32_t n = vio_stretch(io), i = sweep->segs;

    if (i == SWEEP_SEGS || (i && offset != sweep->offset + (uint64_t)sweep->blocks * BLOCK_SIZE))
        return false;
    if (!i)
        sweep->offset = offset;
    sweep->iov[i] = (struct iovec){vio_page(io, io->next), (size_t)n * BLOCK_SIZE};
    sweep->io[i] = io;
    sweep->segs++;
    sweep->blocks += n;
    io->next += n;
    io->flying++;
    return true;
}

/* Sends out what is placed, as far as there are sweeps. */
static void sweep_issue(struct lane *lane)
{
    while (!list_empty(&lane->placed) && !list_empty(&lane->swept)) {
        struct sweep *sweep = container_of(list_pop(&lane->swept), struct sweep, link);
        struct vio *io = container_of(lane->placed.next, struct vio, link);

        sweep->segs = sweep->blocks = sweep->done = 0;
        sweep->alone = false;
        while (sweep_add(sweep, io)) {
            if (io->next < io->blocks)
                continue;
            list_remove(&io->link);
            if (list_empty(&lane->placed))
                break;
            io = container_of(lane->placed.next, struct vio, link);
        }
        lane->flying_sweeps++;
        sweep_start(sweep, 0, sweep->segs, sweep->offset);
    }
}

/* Compressed, then encrypted as one unit. */
static int sweep_press(struct vio *io, uint32_t i)
{
    struct lane *lane = io->lane;
    uint32_t bytes;
    const uint8_t *plain = press_block(lane->press, vio_page(io, i), &bytes);
    uint8_t *unit = pool_put(lane->pool, io->slot[i], bytes);
    int err = unit ? lane_encrypt(io, i, plain, unit, bytes) : -EAGAIN;

    press_wipe(lane->press);
    return err;
}

/* Into memory, or in place to be written from there. */
static int sweep_encrypt(struct vio *io)
{
    struct lane *lane = io->lane;
    int err = 0;

    for (uint32_t i = 0; i < io->blocks && !err; i++) {
        uint8_t *page = vio_page(io, i);
        if (lane->press)
            err = sweep_press(io, i);
        else
            err = lane_encrypt(io, i, page, io->ram ? pool_memory(lane->pool, io->slot[i]) : page,
                               BLOCK_SIZE);
    }
    return err;
}

/* Half of what is much: the other half is encrypted while the first is under way. */
static void sweep_take(struct lane *lane, struct list *taken)
{
    uint32_t keep = lane->gathered_blocks >= MUCH && !pool_has_memory(lane->pool)
                        ? lane->gathered_blocks / 2
                        : 0;

    while (!list_empty(&lane->gathered) && lane->gathered_blocks > keep) {
        struct vio *io = container_of(list_pop(&lane->gathered), struct vio, link);
        struct pool_slots slots = vio_slots(io);

        lane->gathered_vios--;
        lane->gathered_blocks -= io->blocks;
        io->error = pool_take(lane->pool, &slots, io->fresh, &lane->waiter);
        io->ram = slots.ram;
        io->next = 0;
        io->flying = 0;
        list_append(taken, &io->link);
    }
}

static void sweep_out(struct lane *lane)
{
    struct list taken;

    list_init(&taken);
    sweep_take(lane, &taken);
    for (struct list *it; (it = list_pop(&taken));) {
        struct vio *io = container_of(it, struct vio, link);
        struct pool_slots slots = vio_slots(io);

        if (!io->error) {
            io->error = sweep_encrypt(io);
            if (io->error)
                pool_untake(lane->pool, &slots, false);
            else
                pool_settle(lane->pool, &slots);
        }
        if (io->error || io->ram) {
            lane->stepped = true;
            io->step(io);
        } else {
            lane->flying_vios++;
            list_append(&lane->placed, &io->link);
        }
    }
    sweep_issue(lane);
}

/* True: worth waiting a little, since the guest keeps adding. */
static bool lane_is_patient(struct lane *lane)
{
    uint64_t now = clock_ns();

    if (lane->gathered_vios >= min_u32(lane->depth * 3 / 4, ENOUGH))
        return false;
    if (!lane->gathered_at)
        lane->gathered_at = now;
    if (now - lane->gathered_at >= LINGER_NS)
        return false;
    iothread_soon(lane->thread, (uint32_t)(LINGER_NS - (now - lane->gathered_at)) / 1000 + 1);
    return true;
}

/* Whether to send out what is gathered, or to wait for more. */
static bool lane_is_ripe(struct lane *lane)
{
    uint32_t under_way = lane->gathered_vios + lane->flying_vios;

    if (under_way > lane->depth)
        lane->depth = under_way;
    if (pool_has_memory(lane->pool) || lane->depth <= SHALLOW || lane->gathered_blocks >= ENOUGH)
        return true;
    return !lane->flying_sweeps && !lane_is_patient(lane);
}

bool sweep_flush(struct iothread_hook *hook)
{
    struct lane *lane = container_of(hook, struct lane, hook);

    if (!list_empty(&lane->gathered) && lane_is_ripe(lane)) {
        lane->depth -= (lane->depth + 31) / 32;
        sweep_out(lane);
    }
    bool again = lane->stepped || lane->gathered_blocks >= ENOUGH;
    lane->stepped = false;
    return again;
}

void sweep_open(struct lane *lane)
{
    list_init(&lane->gathered);
    list_init(&lane->placed);
    list_init(&lane->swept);
    for (uint32_t i = 0; i < LANE_SWEEPS; i++) {
        lane->sweeps[i].lane = lane;
        lane->sweeps[i].op.done = sweep_done;
        list_append(&lane->swept, &lane->sweeps[i].link);
    }
    lane->hook.flush = sweep_flush;
}
