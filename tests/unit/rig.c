// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rig: puts together what engine.c does, but for the hypervisor, over disks in RAM.  A punched
 * extent is filled with rubbish, so that whoever still reads it gets no zeroes by chance.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "arena.h"
#include "backing.h"
#include "fake_aio.h"
#include "iothread.h"
#include "key.h"
#include "lane.h"
#include "pool.h"
#include "secret.h"
#include "slots.h"
#include "unit.h"

#define ARENA_BYTES (3u << 19) /* 384 pages: one request of VIO_MAX and a few small ones */
#define WAIT_MS     90000u
#define EXTENT      ((uint64_t)SLOTS_PER_EXTENT * BLOCK_SIZE)

static _Atomic uint32_t extents_allowed, extents_taken;
static _Atomic uint64_t grow_fail_at;
static _Atomic int grow_error;
static _Atomic bool grow_failed;
static uint8_t *punched_disk;

/* Homes are the extents' own places, so that the disk in RAM shows which slot is which. */
static int rig_grow(struct backing *backing, uint32_t extent, bool again, uint64_t *home)
{
    (void)backing;
    *home = extent * EXTENT;
    if (grow_fail_at && atomic_fetch_sub(&grow_fail_at, 1) == 1) {
        grow_failed = true;
        return grow_error;
    }
    if (again)
        return 0;
    if (extents_taken >= extents_allowed)
        return -ENOSPC;
    extents_taken++;
    return 0;
}

static void rig_punch(struct backing *backing, uint64_t offset, uint64_t length)
{
    (void)backing;
    memset(punched_disk + offset, 0xee, length);
}

static void rig_release(struct backing *backing, uint64_t home)
{
    (void)backing;
    (void)home;
    extents_taken--;
}

static uint64_t rig_left(struct backing *backing)
{
    (void)backing;
    return (extents_allowed - extents_taken) * EXTENT;
}

static void rig_backing_close(struct backing *backing)
{
    close(backing->fd);
    free(backing);
}

static const struct backing_ops rig_backing_ops = {.grow = rig_grow,
                                                   .punch = rig_punch,
                                                   .release = rig_release,
                                                   .left = rig_left,
                                                   .close = rig_backing_close};

static void *rig_map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    CU_ASSERT_FATAL(p != MAP_FAILED);
    return p;
}

/* The keeper writes to the file, lanes to what fake_aio has of it: the same bytes. */
static void *rig_map_shared(int fd, size_t bytes)
{
    CU_ASSERT_FATAL(!ftruncate(fd, (off_t)bytes));
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(p != MAP_FAILED);
    return p;
}

static void rig_open_pool(struct rig *rig)
{
    struct pool_config config = {.kind = rig->config.ram_only ? POOL_RAM : POOL_DIR,
                                 .lz4 = rig->config.lz4,
                                 .integrity = rig->config.integrity,
                                 .whose = "guest 7: ",
                                 .id = 3,
                                 .ram = rig->config.ram};
    struct backing *backing = NULL;

    if (rig->config.ram_only) {
        config.fd = -1;
        config.bytes = rig->config.ram;
        config.ram = 0;
    } else {
        backing = calloc(1, sizeof(*backing));
        config.fd = memfd_create("pool", MFD_CLOEXEC);
        *backing = (struct backing){.ops = &rig_backing_ops, .fd = config.fd};
        rig->disk = rig_map_shared(config.fd, rig->disk_bytes);
        punched_disk = rig->disk;
        fake_disk_add(config.fd, rig->disk, rig->disk_bytes);
    }
    CU_ASSERT_EQUAL_FATAL(pool_open_on(&rig->pool, &config, backing), 0);
    CU_ASSERT_EQUAL_FATAL(pool_start(rig->pool), 0);
}

void rig_extents(uint32_t extents)
{
    extents_allowed = extents;
}

void rig_fail_grow(uint64_t nth, int error)
{
    grow_error = error;
    grow_fail_at = nth;
    grow_failed = false;
}

bool rig_grow_failed(void)
{
    return grow_failed;
}

uint8_t rig_base_byte(uint64_t offset)
{
    return (uint8_t)(0x40 + (offset / 512 * 7 + offset) % 61);
}

void rig_base_fill(uint8_t *to, uint64_t bytes)
{
    uint8_t row[61 + 512];

    for (uint32_t i = 0; i < sizeof(row); i++)
        row[i] = (uint8_t)(0x40 + i % 61);
    for (uint64_t at = 0; at < bytes; at += 512)
        memcpy(to + at, row + rig_base_byte(at) - 0x40, min_u64(512, bytes - at));
}

static void rig_open_volume(struct rig *rig)
{
    const struct rig_config *config = &rig->config;
    struct volume_config volume = {.bytes = config->bytes,
                                   .base_bytes = config->base_bytes,
                                   .base = -1,
                                   .grows = rig->growth.grows,
                                   .readonly = rig->growth.readonly,
                                   .discard = true,
                                   .name = "xvda"};

    if (config->base_bytes) {
        rig->base_room = rig->growth.most ? rig->growth.most : config->base_bytes;
        rig->base = rig_map(rig->base_room);
        rig_base_fill(rig->base, rig->base_room);
        rig->base_fd = volume.base = memfd_create("base", MFD_CLOEXEC);
        CU_ASSERT_EQUAL_FATAL(ftruncate(volume.base, (off_t)config->base_bytes), 0);
        fake_disk_add(volume.base, rig->base, rig->base_room);
    }
    CU_ASSERT_EQUAL_FATAL(volume_open(&rig->volume, rig->pool, &volume), 0);
}

void rig_open(struct rig *rig, const struct rig_config *config)
{
    rig_open_growing(rig, config, &(struct rig_growth){.most = 0});
}

void rig_open_growing(struct rig *rig, const struct rig_config *config,
                      const struct rig_growth *growth)
{
    size_t arena = config->arena ? config->arena : ARENA_BYTES;

    if (secret_state() == -EINVAL) /* a program without a main of ours */
        secret_enter();
    *rig = (struct rig){.config = *config, .growth = *growth};
    fake_aio_reset(config->seed);
    extents_allowed = config->extents;
    extents_taken = 0;
    grow_fail_at = 0;
    rig->disk_bytes = (size_t)64 * EXTENT;
    CU_ASSERT_EQUAL_FATAL(key_open(&rig->key), 0);
    rig_open_pool(rig);
    for (uint32_t i = 0; i < config->lanes; i++) {
        CU_ASSERT_EQUAL_FATAL(iothread_open(&rig->threads[i], i, arena), 0);
        iothread_polls(rig->threads[i], config->poll);
        CU_ASSERT_EQUAL_FATAL(lane_open(&rig->lanes[i], rig->threads[i], rig->pool, rig->key), 0);
    }
    rig_open_volume(rig);
    for (uint32_t i = 0; i < config->lanes; i++)
        CU_ASSERT_EQUAL_FATAL(iothread_start(rig->threads[i]), 0);
}

uint64_t rig_pool_used(struct rig *rig)
{
    struct pool_stats stats;

    pool_stats(rig->pool, &stats);
    CU_ASSERT(rig->config.ram || stats.taken <= extents_taken * EXTENT);
    return stats.used;
}

void rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->config.lanes; i++) {
        iothread_stop(rig->threads[i]);
        CU_ASSERT_EQUAL(arena_in_use(iothread_arena(rig->threads[i])), 0);
        lane_close(rig->lanes[i]);
        iothread_close(rig->threads[i]);
    }
    CU_ASSERT_EQUAL(fake_aio_flying(), 0);
    volume_close(rig->volume);
    CU_ASSERT_EQUAL(rig_pool_used(rig), 0);
    pool_close(rig->pool);
    key_close(rig->key);
    if (rig->disk)
        munmap(rig->disk, rig->disk_bytes);
    if (rig->base)
        munmap(rig->base, rig->base_room);
}

static void rig_io_done(struct vio *vio, int error)
{
    struct rig_io *io = container_of(vio, struct rig_io, io);
    struct arena *arena = iothread_arena(io->rig->threads[io->lane]);

    if (!error && vio->op == VIO_READ)
        memcpy(io->data, vio_data(vio), vio->length);
    arena_put(arena, vio->buf, vio_pages(vio->op, vio->offset, vio->length));
    vio->buf = NULL;
    pthread_mutex_lock(&io->lock);
    io->error = error;
    io->done++;
    pthread_cond_broadcast(&io->cond);
    pthread_mutex_unlock(&io->lock);
}

static void rig_io_submit(struct work *work)
{
    struct rig_io *io = container_of(work, struct rig_io, work);
    struct vio *vio = &io->io;
    uint32_t pages = vio_pages(vio->op, vio->offset, vio->length);

    if (pages) {
        vio->buf = arena_get(iothread_arena(io->rig->threads[io->lane]), pages);
        if (!vio->buf) { /* all are in use: a little later */
            iothread_post(io->rig->threads[io->lane], &io->work);
            return;
        }
    }
    if (vio->op == VIO_WRITE)
        memcpy(vio_data(vio), io->data, vio->length);
    volume_submit(io->rig->volume, io->rig->lanes[io->lane], vio);
}

void rig_start(struct rig_io *io, struct rig *rig, uint32_t lane, enum vio_op op, uint64_t offset,
               uint64_t length, uint8_t *data)
{
    memset(io, 0, offsetof(struct rig_io, io) + offsetof(struct vio, slot));
    io->io = (struct vio){.op = op, .offset = offset, .length = length, .done = rig_io_done};
    io->work.run = rig_io_submit;
    io->rig = rig;
    io->lane = lane;
    io->data = data;
    io->done = 0;
    pthread_mutex_init(&io->lock, NULL);
    pthread_cond_init(&io->cond, NULL);
    iothread_post(rig->threads[lane], &io->work);
}

int rig_wait_ms(struct rig_io *io, unsigned int ms)
{
    struct timespec until;
    int err = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&io->lock);
    while (!io->done && !err)
        err = pthread_cond_timedwait(&io->cond, &io->lock, &until);
    err = io->done ? io->error : -ETIMEDOUT;
    pthread_mutex_unlock(&io->lock);
    return err;
}

int rig_wait(struct rig_io *io)
{
    int err = rig_wait_ms(io, WAIT_MS);

    if (err == -ETIMEDOUT) {
        fprintf(stderr, "a request never ended: op %d at %llu\n", (int)io->io.op,
                (unsigned long long)io->io.offset);
        abort();
    }
    return err;
}

static void rig_drop_there(void *arg)
{
    struct rig_io *io = arg;

    if (!io->done)
        volume_drop_held(&io->io);
}

void rig_drop(struct rig_io *io)
{
    iothread_call(io->rig->threads[io->lane], rig_drop_there, io);
}

int rig_do(struct rig *rig, uint32_t lane, enum vio_op op, uint64_t offset, uint64_t length,
           uint8_t *data)
{
    struct rig_io io;

    rig_start(&io, rig, lane, op, offset, length, data);
    return rig_wait(&io);
}
