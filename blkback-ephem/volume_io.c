// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_io: the steps of a request, downward:
 *
 *   read     look up -> lane_read -> done
 *   write    claim -> merge the edges -> lane_place (slots, encrypt, write) -> commit -> done
 *   discard  claim -> zero, some regions at a time -> done
 *
 * A write goes to fresh slots and the overlay is switched when it has arrived, so a reader never
 * sees a mixture, and a write that failed has left the old data.  Claims make two mutations of one
 * block run one after the other: neither half of a block is lost.
 * Deliberately absent: flush.  What was answered is in the pool, and nothing can outlive the
 * process, so there is nothing to make durable.
 */
#include "volume_state.h"

#include <errno.h>
#include <string.h>
#include "lane.h"
#include "pool.h"

#define DISCARD_REGIONS 16u

uint32_t vio_pages(enum vio_op op, uint64_t offset, uint64_t length)
{
    uint64_t end = offset + length;
    uint64_t blocks = (end + BLOCK_SIZE - 1) / BLOCK_SIZE - offset / BLOCK_SIZE;

    if (op == VIO_DISCARD)
        return 0;
    if (op == VIO_WRITE)
        blocks += (uint64_t)(offset % BLOCK_SIZE != 0) + (end % BLOCK_SIZE != 0);
    return (uint32_t)blocks;
}

static void volume_count_time(struct volume_stats *stats, uint64_t ns)
{
    stats->latency_ns += ns;
    stats->latency[latency_class(ns)]++;
}

/* Under the lock.  What was dropped has taken as long as its door was open. */
static void volume_count(struct volume *volume, const struct vio *io, int error)
{
    if (error != -ECANCELED && io->op != VIO_DISCARD)
        volume_count_time(&volume->stats, clock_ns() - io->begun);
    if (error && error != -ECANCELED)
        volume->stats.errors++;
    if (io->op == VIO_READ) {
        volume->stats.reads++;
        volume->stats.bytes_read += io->length;
    } else if (io->op == VIO_WRITE) {
        volume->stats.writes++;
        volume->stats.bytes_written += io->length;
    } else {
        volume->stats.discards++;
    }
}

static void volume_read_done(struct vio *io)
{
    struct volume *volume = io->volume;

    pthread_mutex_lock(&volume->lock);
    overlay_read_end(volume->overlay, &io->read);
    volume_count(volume, io, io->error);
    pthread_mutex_unlock(&volume->lock);
    volume_reap(volume);
    io->done(io, io->error);
}

/* States and generations of `n` blocks into io->slot[at...]; -EIO when the base may not be read. */
static int volume_look_up(struct vio *io, uint64_t block, uint32_t n, uint32_t at)
{
    struct volume *volume = io->volume;

    for (uint32_t i = 0; i < n; i++) {
        io->slot[at + i] = overlay_get(volume->overlay, block + i);
        if (io->slot[at + i] == INDEX_BASE && volume->base_changed)
            return -EIO;
    }
    pool_generations(volume->pool, n, io->slot + at, io->generation + at);
    return 0;
}

static void volume_read(struct vio *io)
{
    struct volume *volume = io->volume;

    io->step = volume_read_done;
    pthread_mutex_lock(&volume->lock);
    overlay_read_begin(volume->overlay, &io->read);
    int err = volume_look_up(io, io->first, io->blocks, 0);
    pthread_mutex_unlock(&volume->lock);
    if (err) {
        io->error = err;
        volume_read_done(io);
        return;
    }
    lane_read(io, io->blocks);
}

static void volume_claimed(struct work *work);

static struct vio *claim_vio(struct list *grant)
{
    return container_of(container_of(grant, struct overlay_claim, grant), struct vio, claim);
}

/* Lets go of the claim, if it is still there, and sets those going who waited for it. */
static void volume_release(struct vio *io)
{
    struct volume *volume = io->volume;
    struct list granted;

    list_init(&granted);
    pthread_mutex_lock(&volume->lock);
    overlay_release(volume->overlay, &io->claim, &granted);
    list_for_each(it, &granted) claim_vio(it)->waiting = false;
    pthread_mutex_unlock(&volume->lock);
    for (struct list *it; (it = list_pop(&granted));) {
        struct vio *next = claim_vio(it);
        next->work.run = volume_claimed;
        iothread_post(lane_thread(next->lane), &next->work);
    }
}

/* The end of every mutation. */
static void volume_mutated(struct vio *io, int error)
{
    struct volume *volume = io->volume;

    lane_end_hold(io);
    volume_release(io);
    pthread_mutex_lock(&volume->lock);
    volume_count(volume, io, error);
    pthread_mutex_unlock(&volume->lock);
    volume_reap(volume);
    io->dropped = error == -ECANCELED;
    io->done(io, error);
}

/* Goes on at once, or when the last who had one of its blocks is done. */
static void volume_claim(struct vio *io)
{
    struct volume *volume = io->volume;

    pthread_mutex_lock(&volume->lock);
    bool held = overlay_claim(volume->overlay, &io->claim);
    io->waiting = !held;
    pthread_mutex_unlock(&volume->lock);
    if (held)
        volume_claimed(&io->work);
}

/* Without its claim: a discard of the same blocks may be what will make space. */
static void volume_hold(struct vio *io, int why)
{
    if (io->drop_if_held || (io->impatient && why == -ENOSPC)) {
        volume_mutated(io, -ECANCELED);
        return;
    }
    volume_release(io);
    lane_hold(io, why, volume_claim);
}

static void volume_written(struct vio *io)
{
    struct volume *volume = io->volume;
    int err = io->error;

    if (err == -ENOSPC || err == -EAGAIN) {
        volume_hold(io, err);
        return;
    }
    if (err) {
        volume_mutated(io, -EIO);
        return;
    }
    pthread_mutex_lock(&volume->lock);
    err = overlay_set_all(volume->overlay, io->first, io->blocks, io->slot);
    pthread_mutex_unlock(&volume->lock);
    if (err)
        pool_give(volume->pool, io->blocks, io->slot);
    volume_mutated(io, err);
}

/* True when it takes new space: it leaves the pool's reserve to those that do not. */
static bool volume_first_touch(const struct vio *io)
{
    struct volume *volume = io->volume;
    bool first = false;

    pthread_mutex_lock(&volume->lock);
    for (uint32_t i = 0; i < io->blocks && !first; i++)
        first = overlay_get(volume->overlay, io->first + i) > INDEX_MAX_SLOT;
    pthread_mutex_unlock(&volume->lock);
    return first;
}

static void volume_place(struct vio *io)
{
    io->merging = false;
    io->step = volume_written;
    lane_place(io, volume_first_touch(io));
}

static void volume_merged(struct vio *io)
{
    uint32_t head = (uint32_t)(io->offset % BLOCK_SIZE);
    uint32_t tail = (uint32_t)((io->offset + io->length) % BLOCK_SIZE);
    const uint8_t *edge = io->buf + (size_t)io->blocks * BLOCK_SIZE;
    uint8_t *last = io->buf + (size_t)(io->blocks - 1) * BLOCK_SIZE;

    if (io->error) {
        volume_mutated(io, io->error);
        return;
    }
    if (head)
        memcpy(io->buf, edge, head);
    if (tail)
        memcpy(last + tail, edge + (io->entries - 1) * BLOCK_SIZE + tail, BLOCK_SIZE - tail);
    volume_place(io);
}

/* The blocks a write covers only in part are read first. */
static void volume_merge(struct vio *io)
{
    struct volume *volume = io->volume;
    bool head = io->offset % BLOCK_SIZE;
    bool tail = (io->offset + io->length) % BLOCK_SIZE;
    uint32_t entries = 0;
    int err = 0;

    if (!head && !tail) {
        volume_place(io);
        return;
    }
    pthread_mutex_lock(&volume->lock);
    if (head)
        err = volume_look_up(io, io->first, 1, entries++);
    if (tail && !err && (io->blocks > 1 || !head))
        err = volume_look_up(io, io->first + io->blocks - 1, 1, entries++);
    pthread_mutex_unlock(&volume->lock);
    if (err) {
        volume_mutated(io, err);
        return;
    }
    io->merging = true;
    io->step = volume_merged;
    lane_read(io, entries);
}

/* Some regions, then room for others. */
static void volume_discard(struct work *work)
{
    struct vio *io = container_of(work, struct vio, work);
    struct volume *volume = io->volume;
    uint64_t end = volume_discard_end(volume, io->offset + io->length);
    int err = 0;

    for (uint32_t i = 0; i < DISCARD_REGIONS && io->first < end && !err; i++) {
        uint64_t some = min_u64(end - io->first,
                                INDEX_REGION_BLOCKS - io->first % INDEX_REGION_BLOCKS);
        pthread_mutex_lock(&volume->lock);
        err = overlay_zero(volume->overlay, io->first, some);
        pthread_mutex_unlock(&volume->lock);
        volume_reap(volume);
        io->first += some;
    }
    if (err || io->first >= end)
        volume_mutated(io, err);
    else
        iothread_post(lane_thread(io->lane), &io->work);
}

static void volume_claimed(struct work *work)
{
    struct vio *io = container_of(work, struct vio, work);

    if (io->op == VIO_WRITE) {
        volume_merge(io);
        return;
    }
    io->work.run = volume_discard;
    volume_discard(&io->work);
}

void volume_submit(struct volume *volume, struct lane *lane, struct vio *io)
{
    uint64_t end = io->offset + io->length;

    io->volume = volume;
    io->lane = lane;
    io->begun = clock_ns();
    io->error = 0;
    io->flying = 0;
    io->merging = io->held = io->reported = io->drop_if_held = io->dropped = false;
    io->first = io->offset / BLOCK_SIZE;
    if (io->op == VIO_READ || io->op == VIO_WRITE) {
        io->blocks = (uint32_t)((end + BLOCK_SIZE - 1) / BLOCK_SIZE - io->first);
    } else {
        io->blocks = 0;
        io->first = (io->offset + BLOCK_SIZE - 1) / BLOCK_SIZE;
    }
    if (io->op == VIO_READ) {
        volume_read(io);
        return;
    }
    io->claim.first = io->offset / BLOCK_SIZE;
    io->claim.last = end ? (end - 1) / BLOCK_SIZE : 0;
    volume_claim(io);
}

void volume_drop_held(struct vio *io)
{
    struct volume *volume = io->volume;
    bool queued = false;

    io->drop_if_held = true;
    if (io->op == VIO_READ)
        return;
    pthread_mutex_lock(&volume->lock);
    queued = io->waiting;
    io->waiting = false;
    if (queued)
        list_remove(&io->claim.link); /* under the lock: nobody grants it any more */
    pthread_mutex_unlock(&volume->lock);
    if (lane_unhold(io) || queued)
        volume_mutated(io, -ECANCELED);
}
