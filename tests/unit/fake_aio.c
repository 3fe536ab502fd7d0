// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake_aio: blkback-ephem/aio.h in RAM.  An eventfd that stays readable while operations are left
 * keeps the thread turning; each reap completes a random part of them.
 */
#include "fake_aio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "aio.h"
#include "unit.h"

#define DISKS 4

struct fake_op {
    uint8_t *buf;            /* of a read */
    const struct iovec *iov; /* of a write */
    uint64_t offset;
    uint32_t length;
    uint32_t early; /* bit i: block i % 32 was moved at submission */
    int error;
    int fd;
    bool write;
};
_Static_assert(sizeof(struct fake_op) <= sizeof(((struct aio_op *)0)->control), "fits");

struct aio {
    int event;
    uint32_t flying;
    uint64_t random;
    struct list queue, flight;
};

static struct {
    int fd;
    uint8_t *bytes;
    size_t size;
} disks[DISKS];
static uint64_t world_seed;
static _Atomic uint64_t fail_from, fail_count, failed;
static _Atomic int fail_error, hold_fd;
static _Atomic bool fail_writes, hold_all, refuse_all;
static _Atomic uint32_t flying_all, opened;
static _Atomic uint64_t spoilt, spoilt_bytes;

void fake_disk_add(int fd, uint8_t *bytes, size_t size)
{
    for (int i = 0; i < DISKS; i++) {
        if (disks[i].bytes)
            continue;
        disks[i].fd = fd;
        disks[i].bytes = bytes;
        disks[i].size = size;
        return;
    }
}

void fake_disk_cut(int fd, size_t size)
{
    for (int i = 0; i < DISKS; i++)
        if (disks[i].bytes && disks[i].fd == fd)
            disks[i].size = size;
}

void fake_aio_reset(uint64_t seed)
{
    memset(disks, 0, sizeof(disks));
    world_seed = seed;
    fail_from = fail_count = failed = 0;
    hold_all = refuse_all = false;
    opened = 0;
    spoilt_bytes = 0;
}

void fake_aio_fail(uint64_t nth, uint64_t count, int error, bool writes_only)
{
    fail_error = error;
    fail_writes = writes_only;
    failed = 0;
    fail_count = count;
    fail_from = nth;
}

uint64_t fake_aio_failed(void)
{
    return failed;
}

void fake_aio_spoil(uint64_t offset, uint64_t bytes)
{
    spoilt = offset;
    spoilt_bytes = bytes;
}

void fake_aio_refuse(bool refuse)
{
    refuse_all = refuse;
}

void fake_aio_hold(bool hold, int fd)
{
    hold_fd = fd;
    hold_all = hold;
}

uint32_t fake_aio_flying(void)
{
    return flying_all;
}

/* The error this operation shall have; counts it. */
static int fake_fate(bool write)
{
    if (!fail_from || (fail_writes && !write))
        return 0;
    uint64_t left = atomic_fetch_sub(&fail_from, 1);
    if (left > 1 || left == 0)
        return 0;
    if (atomic_fetch_sub(&fail_count, 1) > 1)
        fail_from = 1;
    failed++;
    return fail_error;
}

static struct fake_op *fake(struct aio_op *op)
{
    return (struct fake_op *)(void *)op->control;
}

int aio_open(struct aio **out)
{
    struct aio *aio = calloc(1, sizeof(*aio));

    if (!aio)
        return -ENOMEM;
    aio->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    aio->random = world_seed * 31 + ++opened;
    list_init(&aio->queue);
    list_init(&aio->flight);
    *out = aio;
    return 0;
}

void aio_close(struct aio *aio)
{
    if (!aio)
        return;
    close(aio->event);
    free(aio);
}

int aio_fd(const struct aio *aio)
{
    return aio->event;
}

static void fake_queue(struct aio *aio, struct aio_op *op, const struct fake_op *what)
{
    memcpy(op->control, what, sizeof(*what));
    list_append(&aio->queue, &op->link);
}

void aio_read(struct aio *aio, struct aio_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
    fake_queue(aio, op,
               &(struct fake_op){.buf = buf, .offset = offset, .length = (uint32_t)len, .fd = fd});
}

void aio_write(struct aio *aio, struct aio_op *op, int fd, const struct iovec *iov, int count,
               uint64_t offset)
{
    struct fake_op what = {.iov = iov, .offset = offset, .fd = fd, .write = true};

    for (int i = 0; i < count; i++)
        what.length += (uint32_t)iov[i].iov_len;
    fake_queue(aio, op, &what);
}

/* Where byte `at` of an operation is; blocks lie whole in one piece. */
static uint8_t *fake_memory(const struct fake_op *op, uint64_t at)
{
    const struct iovec *iov = op->iov;

    if (!op->write)
        return op->buf + at;
    while (at >= iov->iov_len)
        at -= iov++->iov_len;
    return (uint8_t *)iov->iov_base + at;
}

/* Moves the blocks of one half; how many bytes the disk has of the whole, or an error. */
static int64_t fake_move(const struct fake_op *op, bool early)
{
    int i = 0;

    while (i < DISKS && (!disks[i].bytes || disks[i].fd != op->fd))
        i++;
    if (i == DISKS)
        return -EBADF;
    uint64_t size = disks[i].size;
    uint64_t have = op->offset >= size ? 0 : min_u64(op->length, size - op->offset);
    bool beyond = have < op->length;
    if (have && op->error == FAKE_SHORT)
        have -= 512;
    for (uint64_t at = 0, block = 0; at < have; at += BLOCK_SIZE, block++) {
        if ((op->early >> block % 32 & 1) != early)
            continue;
        uint8_t *disk = disks[i].bytes + op->offset + at;
        size_t n = (size_t)min_u64(BLOCK_SIZE, have - at);
        uint8_t *memory = fake_memory(op, at);
        memcpy(op->write ? disk : memory, op->write ? memory : disk, n);
    }
    return op->write && beyond ? -ENOSPC : (int64_t)have;
}

bool aio_submit(struct aio *aio)
{
    uint64_t one = 1;
    bool refused = false;

    while (!list_empty(&aio->queue) && aio->flying < AIO_DEPTH) {
        struct aio_op *op = container_of(list_pop(&aio->queue), struct aio_op, link);
        struct fake_op *f = fake(op);

        if (refuse_all) {
            refused = true;
            op->done(op, -EAGAIN);
            continue;
        }
        f->error = fake_fate(f->write);
        if (f->write && f->offset < spoilt + spoilt_bytes && spoilt < f->offset + f->length)
            f->error = -EIO;
        f->early = f->error ? 0 : (uint32_t)unit_random(&aio->random);
        if (!f->error)
            fake_move(f, true);
        list_append(&aio->flight, &op->link);
        aio->flying++;
        flying_all++;
    }
    if (aio->flying && write(aio->event, &one, sizeof(one)) < 0)
        abort();
    return refused;
}

static void fake_complete(struct aio *aio, struct aio_op *op)
{
    struct fake_op *f = fake(op);
    int64_t result = f->error;

    list_remove(&op->link);
    aio->flying--;
    flying_all--;
    if (!f->error || f->error == FAKE_SHORT)
        result = fake_move(f, false);
    op->done(op, result);
}

/* A random one of those that may complete now, or NULL. */
static struct aio_op *fake_pick(struct aio *aio)
{
    uint64_t which = unit_below(&aio->random, aio->flying);
    struct list *it = aio->flight.next;

    for (; which; which--)
        it = it->next;
    struct aio_op *op = container_of(it, struct aio_op, link);
    if (hold_all && (hold_fd < 0 || hold_fd == fake(op)->fd))
        return NULL;
    return unit_below(&aio->random, 3) ? op : NULL;
}

bool aio_reap(struct aio *aio)
{
    uint64_t count;
    bool any = false;

    for (uint32_t tries = aio->flying; tries && aio->flying; tries--) {
        struct aio_op *op = fake_pick(aio);
        if (!op)
            continue;
        any = true;
        fake_complete(aio, op);
    }
    if (!aio->flying && read(aio->event, &count, sizeof(count)) < 0)
        return any;
    return any;
}
