// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool_block: a pool on a device, of the guest's own or shared.  On its own, extents get homes from
 * below as they come; on a shared one the places that the daemon gave (pool_extents.h).  What is given
 * back is discarded, so that a thin volume underneath shrinks too.
 * Deliberately absent: the discard of everything at the end, which is the control plane's (or
 * serve's): a worker may be killed.
 */
#include "backing.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "pool_extents.h"

struct block {
    struct backing backing;
    uint32_t count; /* extents of the device */
    uint32_t next;  /* where the search goes on */
    _Atomic uint32_t free;
    uint64_t taken[]; /* bitmap */
};

static struct block *block_of(struct backing *backing)
{
    return (struct block *)backing;
}

static int block_grow(struct backing *backing, uint32_t extent, bool again, uint64_t *home)
{
    struct block *block = block_of(backing);

    (void)extent;
    if (again)
        return 0; /* discarded or not, its places are still there */
    for (uint32_t i = 0; block->free && i < block->count; i++) {
        uint32_t at = (block->next + i) % block->count;
        if (block->taken[at / 64] >> (at % 64) & 1)
            continue;
        block->taken[at / 64] |= 1ull << (at % 64);
        block->free--;
        block->next = at + 1;
        *home = at * BACKING_EXTENT;
        return 0;
    }
    return -ENOSPC;
}

static void block_punch(struct backing *backing, uint64_t offset, uint64_t length)
{
    uint64_t range[2] = {offset, length};

    while (ioctl(backing->fd, BLKDISCARD, range) && errno == EINTR)
        ;
}

static void block_release(struct backing *backing, uint64_t home)
{
    struct block *block = block_of(backing);
    uint32_t at = (uint32_t)(home / BACKING_EXTENT);

    block->taken[at / 64] &= ~(1ull << (at % 64));
    block->free++;
}

static uint64_t block_left(struct backing *backing)
{
    return block_of(backing)->free * BACKING_EXTENT;
}

static void block_close(struct backing *backing)
{
    if (backing->fd >= 0)
        close(backing->fd);
    free(backing);
}

static const struct backing_ops block_ops = {
    .grow = block_grow,
    .punch = block_punch,
    .release = block_release,
    .left = block_left,
    .close = block_close,
};

int backing_block_open(struct backing **out, int fd, uint64_t bytes)
{
    uint32_t count = (uint32_t)(bytes / BACKING_EXTENT);
    struct block *block = calloc(1, sizeof(*block) + (count / 64 + 1) * sizeof(uint64_t));

    if (!block)
        return -ENOMEM;
    block->backing = (struct backing){.ops = &block_ops, .fd = fd};
    block->count = count;
    block->free = count;
    *out = &block->backing;
    return 0;
}

struct shared {
    struct backing backing;
    struct pool_extents *extents;
};

static struct shared *shared_of(struct backing *backing)
{
    return (struct shared *)backing;
}

static int shared_grow(struct backing *backing, uint32_t extent, bool again, uint64_t *home)
{
    uint32_t place = 0;

    (void)extent;
    if (again)
        return 0;
    int err = pool_extents_take(shared_of(backing)->extents, &place);
    if (!err)
        *home = place * BACKING_EXTENT;
    return err;
}

static void shared_release(struct backing *backing, uint64_t home)
{
    pool_extents_return(shared_of(backing)->extents, (uint32_t)(home / BACKING_EXTENT));
}

/* The daemon knows, and others take from it too. */
static uint64_t shared_left(struct backing *backing)
{
    (void)backing;
    return UINT64_MAX;
}

static void shared_close(struct backing *backing)
{
    pool_extents_close(shared_of(backing)->extents);
    block_close(backing);
}

static const struct backing_ops shared_ops = {
    .grow = shared_grow,
    .punch = block_punch,
    .release = shared_release,
    .left = shared_left,
    .close = shared_close,
};

int backing_shared_open(struct backing **out, int fd, struct pool_extents **extents)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    int err = shared ? pool_extents_open(&shared->extents) : -ENOMEM;

    if (err) {
        free(shared);
        return err;
    }
    shared->backing = (struct backing){.ops = &shared_ops, .fd = fd};
    *extents = shared->extents;
    *out = &shared->backing;
    return 0;
}
