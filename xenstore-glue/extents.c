// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extents: between lives and devices.  A worker that says what it may not, or holds what is not its,
 * is killed: two guests on one place would destroy each other's data.
 *
 * Processes of an earlier daemon may still discard: they hold a lock of a file, and nothing is
 * discarded or handed out until we have it.  Nor is anything of a device handed out before all
 * workers with a record of it have said what they hold.
 */
#include "extents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "extents_device.h"
#include "log.h"
#include "overlap.h"

#define EXTENTS_AGAIN    200   /* ms */
#define EXTENTS_TOLD     10    /* attempts until it is told that there is somebody to wait for */
#define EXTENTS_PATIENCE 20000 /* ms, for a worker to take extents */

static void extents_kill(struct life *life, const char *what)
{
    if (!life->worker)
        return;
    if (!life->error[0]) {
        snprintf(life->error, sizeof(life->error),
                 "the guest's worker %s; shut the guest down and start it again", what);
        log_error("guest %u: worker %d %s: killing it", life->domid, (int)worker_pid(life->worker),
                  what);
    }
    life->hushed = true;
    worker_kill(life->worker);
}

static void extents_begin(struct loop_timer *timer)
{
    struct extents *extents = container_of(timer, struct extents, timer);

    if (flock(extents->lock, LOCK_EX | LOCK_NB)) {
        if (++extents->tries == EXTENTS_TOLD)
            log_warn("%s/discard.lock: a process of an earlier daemon still discards: guests on "
                     "block devices wait for it",
                     extents->glue->policy->run_dir);
        loop_timer_set(extents->glue->loop, timer, EXTENTS_AGAIN);
        return;
    }
    extents->started = true;
    list_for_each_safe(it, tmp, &extents->devices)
        extents_device_run(container_of(it, struct extents_device, link));
    glue_changed(extents->glue);
}

int extents_open(struct glue *glue)
{
    struct extents *extents = calloc(1, sizeof(*extents));
    char path[LIFE_PATH];

    if (!extents)
        return -ENOMEM;
    snprintf(path, sizeof(path), "%.64s/discard.lock", glue->policy->run_dir);
    extents->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (extents->lock < 0) {
        int err = -errno;
        free(extents);
        return err;
    }
    extents->glue = glue;
    extents->timer.fire = extents_begin;
    list_init(&extents->devices);
    glue->extents = extents;
    return 0;
}

void extents_close(struct glue *glue)
{
    struct extents *extents = glue->extents;

    if (!extents)
        return;
    loop_timer_stop(&extents->timer);
    list_for_each_safe(it, tmp, &extents->devices)
        extents_device_free(container_of(it, struct extents_device, link));
    close(extents->lock);
    glue->extents = NULL;
    free(extents);
}

/* The device of a record, made if need be.  NULL: it is another one, or there is no memory. */
static struct extents_device *extents_recorded(struct extents *extents, const char *path,
                                               uint64_t *quota)
{
    struct extents_device *device;
    struct extents_identity id;
    int err = extents_record_read(path, &id, quota);

    if (!err) {
        device = extents_device_find(extents, id.rdev);
        if (!device)
            err = extents_device_new(extents, &id, &device);
        else if (device->id.shared != id.shared || device->id.seq != id.seq)
            err = -ESTALE;
    }
    if (err && err != -ENOENT)
        log_error("%s: not a record of a device: %s", path, strerror(-err));
    return err ? NULL : device;
}

void extents_adopt(struct glue *glue, struct life *life)
{
    char path[LIFE_PATH];
    uint64_t quota;

    life_path(life, "pool", path);
    struct extents_device *device = extents_recorded(glue->extents, path, &quota);
    if (!device)
        return;
    device->kept = device->id.shared;
    if (!extents_device_join(device, life, quota, extents_record_at(path)))
        life->extents->adopted = true;
}

/* A life that was over before its discard was: the map, if any, has all dirty from the start. */
static void extents_redo(struct extents *extents, const char *path)
{
    uint64_t quota;

    list_for_each(it, &extents->glue->lives)
    {
        char other[LIFE_PATH];

        life_path(container_of(it, struct life, link), "pool", other);
        if (!strcmp(other, path))
            return;
    }
    struct extents_device *device = extents_recorded(extents, path, &quota);
    struct extents_record *record = extents_record_at(path);
    if (!record)
        return;
    if (!device) {
        extents_record_free(record, true);
        return;
    }
    list_append(&device->ended, &record->link);
    if (!device->id.shared)
        device->dirty = true;
    else if (!device->map &&
             extent_map_open(&device->map, (uint32_t)(device->id.bytes / WIRE_EXTENT)))
        log_error("%s: no such number of extents", path);
}

void extents_start(struct glue *glue)
{
    char path[LIFE_PATH];
    struct dirent *entry;

    snprintf(path, sizeof(path), "%.64s/workers", glue->policy->run_dir);
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len < 5 || len > 34 || strcmp(entry->d_name + len - 5, ".pool"))
            continue;
        snprintf(path, sizeof(path), "%.64s/workers/%.34s", glue->policy->run_dir, entry->d_name);
        extents_redo(glue->extents, path);
    }
    if (dir)
        closedir(dir);
    extents_begin(&glue->extents->timer);
}

static int extents_fail(char text[WIRE_TEXT], int err, const char *device, const char *what)
{
    snprintf(text, WIRE_TEXT, "pool block:%.120s: %s", device, what);
    return err;
}

/* The device with this identity, free for a life, open.  As extents_attach(). */
static int extents_find(struct extents *extents, const struct extents_identity *id, bool force,
                        struct extents_device **out, char text[WIRE_TEXT])
{
    struct extents_device *device = extents_device_find(extents, id->rdev);

    if (device && device->id.shared != id->shared)
        return extents_fail(text, -EBUSY, id->path,
                            id->shared ? "in use as the pool of one guest alone: name another"
                                       : "in use as a shared pool: name another, or share it");
    if (device && !id->shared)
        return list_empty(&device->uses) ? -EAGAIN
                                         : extents_fail(text, -EBUSY, id->path,
                                                        "another guest's pool: name another, or "
                                                        "share it among guests");
    if (!device) {
        int err = extents_device_new(extents, id, &device);
        if (err)
            return extents_fail(text, err, id->path, strerror(-err));
        device->force = force;
    }
    int err = extents_device_open(device, text);
    if (err && list_empty(&device->uses) && list_empty(&device->ended) && !device->kept)
        extents_device_free(device);
    else
        *out = device;
    return err;
}

static int extents_join(struct extents_device *device, uint64_t quota, struct life *life, int *fd)
{
    struct extents_record *record;
    int err = extents_record_write(life, &device->id, quota, &record);

    if (!err)
        err = extents_device_join(device, life, quota, record);
    if (!err) {
        *fd = fcntl(device->fd, F_DUPFD_CLOEXEC, 0);
        err = *fd < 0 ? -errno : 0;
    }
    return err;
}

int extents_attach(struct glue *glue, const char *path, bool shared, uint64_t quota, bool force,
                   struct life *life, int *fd, uint64_t *bytes, char text[WIRE_TEXT])
{
    struct extents_identity id = {.shared = shared};
    struct extents_device *device;

    text[0] = '\0';
    *fd = -1;
    if (!glue->extents->started)
        return -EAGAIN;
    if (shared && quota && quota < WIRE_EXTENT)
        return extents_fail(text, -EINVAL, path, "the quota is below an extent: at least 4M");
    int err = extents_device_identify(path, &id, text);
    if (!err && overlap_is_base(glue, id.rdev))
        err = extents_fail(text, -EBUSY, path, "the base of a guest's disk: name another");
    if (!err)
        err = extents_find(glue->extents, &id, force, &device, text);
    if (err)
        return err;
    device->kept = shared;
    err = extents_join(device, quota, life, fd);
    if (!err) {
        *bytes = device->id.bytes;
        extents_device_run(device);
        return 0;
    }
    extents_fail(text, err, path, strerror(-err));
    if (life->extents)
        extents_detach(glue, life, false);
    else if (!shared)
        extents_device_free(device);
    return err;
}

void extents_detach(struct glue *glue, struct life *life, bool began)
{
    struct extents_use *use = life->extents;

    (void)glue;
    life->extents = NULL;
    if (use)
        extents_device_leave(use, began);
}

void extents_hello(struct life *life, const struct wire_pool *pool)
{
    const struct extents_use *use = life->extents;
    bool shared = pool->kind == WIRE_POOL_SHARED, block = shared || pool->kind == WIRE_POOL_BLOCK;

    if (block != (use != NULL) || (use && use->device->id.shared != shared))
        extents_kill(life, "claims another pool than it was given");
}

void extents_claim(struct life *life, const struct wire_extents *msg)
{
    const struct extents_use *use = life->extents;

    if (!use || !use->holder || msg->count > WIRE_EXTENTS ||
        extent_map_claim(use->device->map, use->holder, msg->count, msg->extent))
        extents_kill(life, "claims extents of the pool that are not its own");
}

void extents_reset(struct life *life)
{
    if (life->extents && life->extents->holder)
        extent_map_reset(life->extents->device->map, life->extents->holder);
}

void extents_resumed(struct life *life)
{
    const struct extents_use *use = life->extents;
    char text[WIRE_TEXT];

    if (!use)
        return;
    /* While the worker lives: what lies on it then is its own. */
    if (extents_device_open(use->device, text))
        log_error("guest %u: %s", life->domid, text);
    extents_device_run(use->device);
}

static void extents_given(void *arg, int error, const char *text)
{
    struct life *life = arg;

    (void)text;
    if (life->extents)
        life->extents->giving--;
    if (error && error != -EPIPE)
        extents_kill(life, "refuses extents of the pool");
}

void extents_give(struct extents_use *use, uint32_t n, const uint32_t *extent)
{
    struct wire_msg msg;

    wire_start(&msg, WIRE_EXTENTS_GIVE, 0);
    msg.u.extents.count = n;
    if (n)
        memcpy(msg.u.extents.extent, extent, n * sizeof(*extent));
    int err = life_call(use->life, &msg, NULL, 0, EXTENTS_PATIENCE, extents_given, use->life);
    use->giving += !err;
    if (err && err != -EPIPE)
        extents_kill(use->life, "cannot be told of its extents");
}

void extents_message(struct life *life, const struct wire_msg *msg)
{
    struct extents_use *use = life->extents;
    const struct wire_extents *asked = &msg->u.extents;

    if (!use || !use->holder || !asked->count) {
        extents_kill(life, "asks for extents of a pool that has none");
        return;
    }
    if (msg->type == WIRE_EXTENTS_WANT && use->giving)
        extents_kill(life, "asks for extents of the pool without end");
    else if (msg->type == WIRE_EXTENTS_WANT)
        extent_map_want(use->device->map, use->holder, min_u32(asked->count, WIRE_EXTENTS));
    else if (asked->count > WIRE_EXTENTS ||
             extent_map_back(use->device->map, use->holder, asked->count, asked->extent))
        extents_kill(life, "returns extents of the pool that are not its own");
    extents_device_run(use->device);
    if (msg->type == WIRE_EXTENTS_WANT && use->holder->wants && !use->giving)
        extents_give(use, 0, NULL);
}
