// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extents_device: a device is kept from everybody else by O_EXCL, which goes with every duplicate of
 * the descriptor: workers get duplicates, so that the device stays ours while no daemon runs.  A new
 * daemon then finds it busy; it shares the device with the workers it has taken over, by an open
 * without O_EXCL, and claims it anew when the last of them is gone.  A device that nobody kept for us
 * meanwhile, worker and daemon having died together, is looked at like a strange one before it is
 * discarded: somebody may have put it to another use.
 *
 * An exclusive device is discarded as a whole when its life is over, not before a life begins: a
 * worker reads nothing that it has not written, and what an even earlier daemon's guest has left goes
 * with the rest at the end.  A shared one is discarded extent by extent, in runs of at most
 * DEVICE_BATCH.  A discard that fails counts as done: ciphertext stays, but its key is gone.
 */
#include "extents_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store.h"
#include "wire.h"

/* linux/fs.h defines a BLOCK_SIZE of its own. */
#ifndef BLKGETSIZE64
#define BLKGETSIZE64 _IOR(0x12, 114, size_t)
#endif
#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif
#define DEVICE_BATCH    ((uint32_t)(((uint64_t)1 << 30) / WIRE_EXTENT)) /* extents a process */
#define DEVICE_AGAIN    1000                                            /* ms */
#define DEVICE_PATIENCE 5 /* attempts until it is told */

struct extents_device *extents_device_find(struct extents *extents, uint64_t rdev)
{
    list_for_each(it, &extents->devices)
    {
        struct extents_device *device = container_of(it, struct extents_device, link);

        if (device->id.rdev == rdev)
            return device;
    }
    return NULL;
}

static void device_again(struct loop_timer *timer)
{
    extents_device_run(container_of(timer, struct extents_device, again));
}

int extents_device_new(struct extents *extents, const struct extents_identity *id,
                       struct extents_device **out)
{
    struct extents_device *device = calloc(1, sizeof(*device));

    if (!device)
        return -ENOMEM;
    device->extents = extents;
    device->id = *id;
    device->fd = -1;
    device->again.fire = device_again;
    list_init(&device->uses);
    list_init(&device->ended);
    list_append(&extents->devices, &device->link);
    *out = device;
    return 0;
}

static int device_fail(const char *path, int err, char text[WIRE_TEXT], const char *what)
{
    snprintf(text, WIRE_TEXT, "pool block:%.120s: %s", path, what);
    return err;
}

int extents_device_identify(const char *path, struct extents_identity *id, char text[WIRE_TEXT])
{
    struct stat st;

    if (copy_string(id->path, sizeof(id->path), path))
        return device_fail(path, -ENAMETOOLONG, text, "path too long");
    if (stat(path, &st))
        return device_fail(path, -errno, text, strerror(errno));
    if (!S_ISBLK(st.st_mode))
        return device_fail(path, -ENOTBLK, text, "not a block device: name one");
    id->rdev = st.st_rdev;
    return 0;
}

static bool device_has_adopted(const struct extents_device *device)
{
    list_for_each(it, &device->uses)
    {
        if (container_of(it, struct extents_use, link)->adopted)
            return true;
    }
    return false;
}

/* Whether `fd` is the device that `id` means; learns its size and number when `id` has none. */
static int device_measure(int fd, struct extents_identity *id)
{
    struct stat st;
    uint64_t bytes = 0, seq = 0;

    if (fstat(fd, &st) || ioctl(fd, BLKGETSIZE64, &bytes))
        return -errno;
    if (ioctl(fd, BLKGETDISKSEQ, &seq))
        seq = 0;
    if (!S_ISBLK(st.st_mode) || st.st_rdev != id->rdev ||
        (id->bytes && (bytes < id->bytes || seq != id->seq)))
        return -ESTALE;
    if (!id->bytes)
        id->bytes = id->shared ? bytes - bytes % WIRE_EXTENT : bytes;
    id->seq = seq;
    return id->bytes ? 0 : -ENOSPC;
}

static int device_open_as(struct extents_device *device, int flags, int *fd)
{
    *fd = open(device->id.path, O_RDWR | O_DIRECT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (*fd < 0)
        return -errno;
    int err = device_measure(*fd, &device->id);
    if (err)
        close(*fd);
    return err;
}

/* Nothing of anybody else's may lie on it. */
static int device_check(const struct extents_device *device, int fd, char text[WIRE_TEXT])
{
    struct store_pool_spec spec = {.kind = device->id.shared ? WIRE_POOL_SHARED : WIRE_POOL_BLOCK,
                                   .force = device->force};
    uint64_t bytes;

    snprintf(spec.path, sizeof(spec.path), "%s", device->id.path);
    return store_check_device(fd, &spec, &bytes, text);
}

int extents_device_open(struct extents_device *device, char text[WIRE_TEXT])
{
    int fd;

    if (device->fd >= 0)
        return 0;
    int err = device_open_as(device, O_EXCL, &fd);
    bool claimed = !err;
    if (err == -EBUSY && device_has_adopted(device))
        err = device_open_as(device, 0, &fd);
    if (!err && claimed) {
        err = device_check(device, fd, text);
        if (err) {
            close(fd);
            return err;
        }
    }
    if (!err) {
        device->fd = fd;
        device->claimed = claimed;
        return 0;
    }
    if (err == -EBUSY)
        return device_fail(device->id.path, err, text,
                           "in use: mounted, part of LVM or RAID, or another program's: free it, "
                           "or name another");
    if (err == -ESTALE)
        return device_fail(device->id.path, err, text, "another device by now");
    return device_fail(device->id.path, err, text, strerror(-err));
}

/* The workers that had the claim are gone: it is ours again.  Or somebody else's by now: then it is let
 * go, and discarded only once it can be had alone and nothing is found on it. */
static void device_claim(struct extents_device *device)
{
    int fd;

    if (device->fd < 0 || device->claimed || device_has_adopted(device))
        return;
    int err = device_open_as(device, O_EXCL, &fd);
    close(device->fd);
    device->fd = err ? -1 : fd;
    device->claimed = !err;
    if (err)
        log_error("pool block:%s: cannot be claimed again: %s; what guests left there is not "
                  "discarded meanwhile",
                  device->id.path, strerror(-err));
}

static uint32_t device_dirty(const struct extents_device *device)
{
    return device->map ? extent_map_counts(device->map).dirty : device->dirty;
}

/* Lives of an earlier daemon may not have said yet what they have. */
static bool device_is_known(const struct extents_device *device)
{
    list_for_each(it, &device->uses)
    {
        if (container_of(it, struct extents_use, link)->life->phase == LIFE_RESUMING)
            return false;
    }
    return device->extents->started;
}

static void device_forget_ended(struct extents_device *device)
{
    struct list *it;

    while ((it = list_pop(&device->ended)))
        extents_record_free(container_of(it, struct extents_record, link), true);
}

/* It could not be opened, or no process be started.  True: it is given up and gone. */
static bool device_failed(struct extents_device *device, int err, const char *text)
{
    bool other = err == -ENOENT || err == -ENXIO || err == -ENODEV || err == -ESTALE ||
                 err == -EEXIST;

    if (other && list_empty(&device->uses) && device->fd < 0) {
        log_warn("%s: what guests left there is not discarded; its keys are gone", text);
        device_forget_ended(device);
        extents_device_free(device);
        return true;
    }
    if (++device->bad == DEVICE_PATIENCE)
        log_error("%s: what guests left there is not discarded yet; trying on", text);
    loop_timer_set(device->extents->glue->loop, &device->again, DEVICE_AGAIN);
    return false;
}

static void device_tell(struct extents_device *device, int error)
{
    if (!error || device->told)
        return;
    device->told = true;
    if (error == -EOPNOTSUPP)
        log_warn("pool block:%s: it cannot discard: what guests wrote stays on it, as ciphertext "
                 "whose key is gone",
                 device->id.path);
    else
        log_error("pool block:%s: discard failed: %s: what guests wrote stays on it, as ciphertext "
                  "whose key is gone",
                  device->id.path, strerror(-error));
}

static void device_discarded(void *owner, int error)
{
    struct extents_device *device = owner;
    bool done = error != -EINTR;

    if (device->map)
        extent_map_discarded(device->map, device->first, device->n, done);
    else
        device->dirty = !done;
    if (!done) {
        loop_timer_set(device->extents->glue->loop, &device->again, DEVICE_AGAIN);
        return;
    }
    device_tell(device, error);
    extents_device_run(device);
}

/* Begins the next discard, if there is one.  True: the device is gone. */
static bool device_discard(struct extents_device *device)
{
    uint64_t offset = 0, bytes = device->id.bytes;
    char text[WIRE_TEXT];

    if (reclaim_is_busy(&device->reclaim) || !device_dirty(device) ||
        (!device->map && !list_empty(&device->uses)))
        return false;
    int err = extents_device_open(device, text);
    if (err)
        return device_failed(device, err, text);
    if (device->map) {
        device->n = extent_map_dirty(device->map, DEVICE_BATCH, &device->first);
        offset = device->first * WIRE_EXTENT;
        bytes = device->n * WIRE_EXTENT;
    }
    err = reclaim_start(&device->reclaim, device->extents->glue->loop, device->fd,
                        device->extents->lock, offset, bytes, device_discarded, device);
    if (!err) {
        device->bad = 0;
        return false;
    }
    if (device->map)
        extent_map_discarded(device->map, device->first, device->n, false);
    device_fail(device->id.path, err, text, strerror(-err));
    return device_failed(device, err, text);
}

static void device_serve(struct extents_device *device)
{
    uint32_t extent[WIRE_EXTENTS], n;
    struct extent_holder *holder;

    while ((n = extent_map_serve(device->map, WIRE_EXTENTS, &holder, extent)))
        extents_give(holder->owner, n, extent);
}

void extents_device_run(struct extents_device *device)
{
    struct glue *glue = device->extents->glue;

    if (!device_is_known(device) || device_discard(device))
        return;
    if (device->map)
        device_serve(device);
    if (device_dirty(device))
        return;
    device_forget_ended(device);
    if (list_empty(&device->uses) && !device->kept) {
        extents_device_free(device);
        glue_changed(glue); /* somebody may wait for it */
    }
}

int extents_device_join(struct extents_device *device, struct life *life, uint64_t quota,
                        struct extents_record *record)
{
    struct extents_use *use = calloc(1, sizeof(*use));
    int err = use && record ? 0 : -ENOMEM;

    if (!err && device->id.shared && !device->map)
        err = extent_map_open(&device->map,
                              (uint32_t)min_u64(device->id.bytes / WIRE_EXTENT, EXTENT_MAP_MOST));
    if (!err && device->map)
        err = extent_map_join(device->map, (uint32_t)min_u64(quota / WIRE_EXTENT, EXTENT_MAP_MOST),
                              use, &use->holder);
    if (err) {
        extents_record_free(record, true);
        free(use);
        return err;
    }
    use->device = device;
    use->life = life;
    use->record = record;
    list_append(&device->uses, &use->link);
    life->extents = use;
    return 0;
}

void extents_device_leave(struct extents_use *use, bool began)
{
    struct extents_device *device = use->device;

    list_remove(&use->link);
    if (began)
        list_append(&device->ended, &use->record->link);
    else
        extents_record_free(use->record, true);
    if (device->map)
        extent_map_leave(device->map, use->holder);
    else
        device->dirty = began;
    free(use);
    device_claim(device);
    extents_device_run(device);
}

void extents_device_free(struct extents_device *device)
{
    struct list *it;

    loop_timer_stop(&device->again);
    reclaim_stop(&device->reclaim);
    while ((it = list_pop(&device->uses))) {
        struct extents_use *use = container_of(it, struct extents_use, link);

        extents_record_free(use->record, false);
        if (device->map)
            extent_map_leave(device->map, use->holder);
        free(use);
    }
    while ((it = list_pop(&device->ended)))
        extents_record_free(container_of(it, struct extents_record, link), false);
    extent_map_close(device->map);
    if (device->fd >= 0)
        close(device->fd);
    list_remove(&device->link);
    free(device);
}
