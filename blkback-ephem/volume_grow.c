// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_grow: a volume follows its base.  Room in the index first, which nobody sees; then the sizes,
 * base_bytes before bytes.  What is already under way was judged by the old size and stays within it;
 * untouched blocks have nothing to be changed about them.
 *
 * But for the last block of a volume that ends inside it: if it was written or discarded, the overlay
 * has it whole, with zeros behind the old end, where the base's bytes must be from now on.  So a
 * writable volume writes them there like a guest would, through its own claims and merging, before the
 * new size is seen.  Between that and the new size a discard up to the old end must not take the block
 * as a whole (volume_discard_end).
 *
 *   main thread   volume_grow: index -> [lane: room -> read the base -> write] -> sizes -> done
 *
 * The write waits for no space in the pool: that may never come.  What failed is tried again at the
 * next look; the log says so once.
 */
#include "volume_state.h"

#include <errno.h>
#include <string.h>
#include "lane.h"
#include "log.h"
#include "mailbox.h"

static struct growth *growth_of(struct work *work)
{
    return container_of(work, struct growth, work);
}

static struct volume *volume_of(struct growth *growth)
{
    return container_of(growth, struct volume, growth);
}

static void growth_fails(struct volume *volume, int error)
{
    if (!volume->growth.told)
        log_error("%s: its base has grown, the volume cannot: %s", volume->config.name,
                  error == -EFBIG       ? "at most 16T; it stays as large as it is"
                  : error == -ECANCELED ? "no space in the pool; it is tried again"
                                        : strerror(-error));
    volume->growth.told = true;
}

/* Main thread: the end. */
static void growth_ended(struct work *work)
{
    struct growth *growth = growth_of(work);
    struct volume *volume = volume_of(growth);
    int error = growth->error;

    growth->running = false;
    if (error) {
        growth_fails(volume, error);
    } else {
        growth->told = false;
        log_info("%s: has grown with its base to %llu bytes", volume->config.name,
                 (unsigned long long)growth->bytes);
    }
    growth->how.done(growth->how.arg, error);
}

static void growth_show(struct volume *volume)
{
    pthread_mutex_lock(&volume->lock);
    volume->base_bytes = volume->growth.bytes;
    volume->bytes = volume->growth.bytes;
    volume->growth.filling = false;
    pthread_mutex_unlock(&volume->lock);
}

static struct iothread *growth_thread(const struct growth *growth)
{
    return lane_thread(growth->how.lane);
}

/* A turn of its own, since the volume may be closed as soon as the main thread knows. */
static void growth_filled(struct work *work)
{
    struct growth *growth = growth_of(work);
    struct volume *volume = volume_of(growth);

    arena_put(iothread_arena(growth_thread(growth)), growth->buf, growth->pages);
    growth->buf = NULL;
    if (!growth->error)
        growth_show(volume);
    growth->filling = false;
    work->run = growth_ended;
    mailbox_post(growth->how.mailbox, work);
}

static void growth_fill_ends(struct growth *growth, int error)
{
    growth->error = error;
    growth->work.run = growth_filled;
    iothread_post(growth_thread(growth), &growth->work);
}

static void growth_written(struct vio *io, int error)
{
    growth_fill_ends(container_of(io, struct growth, io), error);
}

/* The base's block is in the first page, its bytes where the write wants them. */
static void growth_read(struct aio_op *op, int64_t result)
{
    struct growth *growth = container_of(op, struct growth, read);
    struct vio *io = &growth->io;

    if (result < (int64_t)(io->offset % BLOCK_SIZE + io->length)) {
        growth_fill_ends(growth, result < 0 ? (int)result : -EIO);
        return;
    }
    volume_submit(volume_of(growth), growth->how.lane, io);
}

static void growth_fill(struct growth *growth)
{
    struct volume *volume = volume_of(growth);
    struct iothread *thread = growth_thread(growth);
    uint64_t old = volume->bytes, start = old - old % BLOCK_SIZE;
    struct vio *io = &growth->io;

    memset(io, 0, offsetof(struct vio, slot));
    io->op = VIO_WRITE;
    io->offset = old;
    io->length = min_u64(start + BLOCK_SIZE, growth->bytes) - old;
    io->done = growth_written;
    io->impatient = true;
    growth->pages = vio_pages(io->op, io->offset, io->length);
    growth->buf = io->buf = arena_get(iothread_arena(thread), growth->pages);
    if (!io->buf) {
        arena_wait(iothread_arena(thread), &growth->room);
        return;
    }
    growth->read.done = growth_read;
    aio_read(iothread_aio(thread), &growth->read, volume->config.base, io->buf, BLOCK_SIZE, start);
}

static void growth_room(struct arena_waiter *waiter)
{
    growth_fill(container_of(waiter, struct growth, room));
}

static void growth_begin(struct work *work)
{
    growth_fill(growth_of(work));
}

bool volume_grow(struct volume *volume, uint64_t bytes, const struct volume_growth *how)
{
    struct growth *growth = &volume->growth;
    bool fill = volume->bytes % BLOCK_SIZE && !volume->config.readonly;

    pthread_mutex_lock(&volume->lock);
    int err = overlay_grow(volume->overlay, volume_blocks(bytes));
    pthread_mutex_unlock(&volume->lock);
    if (err) {
        growth_fails(volume, err);
        return false;
    }
    growth->how = *how;
    growth->bytes = bytes;
    growth->running = true;
    growth->error = 0;
    growth->room.ready = growth_room;
    growth->work.run = fill ? growth_begin : growth_ended;
    growth->filling = fill;
    if (fill) {
        iothread_post(growth_thread(growth), &growth->work);
        return true;
    }
    growth_show(volume);
    mailbox_post(how->mailbox, &growth->work);
    return true;
}

uint64_t volume_discard_end(struct volume *volume, uint64_t end)
{
    pthread_mutex_lock(&volume->lock);
    bool whole = end == volume->bytes && !volume->growth.filling;
    pthread_mutex_unlock(&volume->lock);
    return whole ? volume_blocks(end) : end / BLOCK_SIZE;
}
