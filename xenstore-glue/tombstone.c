// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tombstone: a file for each UUID, named by it, with one line "domid time"; all are in memory too.  A
 * file is written beside its place, synced and renamed, so that it is whole or not there.  What one
 * says does not matter, that it is there does: one that cannot be read still counts.
 * A guest has one UUID, so it causes one record; but hosts save many guests, and what is never lifted
 * must not grow for ever: the oldest record gives way, with a line in the log.
 */
#include "tombstone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define TOMBSTONE_ROOM 128 /* policy allows no longer state-dir than 64 */

struct tombstones {
    char dir[TOMBSTONE_ROOM];
    struct tombstone *items;
    size_t count, room;
};

bool tombstone_parse_uuid(const char *text, char out[TOMBSTONE_UUID])
{
    for (size_t i = 0; i < TOMBSTONE_UUID - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];

        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (dash ? c != '-' : !c || !strchr("0123456789abcdef", c))
            return false;
        out[i] = c;
    }
    out[TOMBSTONE_UUID - 1] = '\0';
    return !text[TOMBSTONE_UUID - 1];
}

static void tombstone_path(const struct tombstones *all, const char *name,
                           char path[TOMBSTONE_ROOM + 64])
{
    snprintf(path, TOMBSTONE_ROOM + 64, "%s/%s", all->dir, name);
}

static struct tombstone *tombstone_of(const struct tombstones *all, const char *uuid)
{
    for (size_t i = 0; i < all->count; i++)
        if (!strcmp(all->items[i].uuid, uuid))
            return &all->items[i];
    return NULL;
}

static void tombstone_drop(struct tombstones *all, struct tombstone *item)
{
    *item = all->items[--all->count];
}

/* Makes a place; the oldest record's, when there are too many. */
static int tombstone_make_room(struct tombstones *all)
{
    struct tombstone *oldest = all->items;
    char path[TOMBSTONE_ROOM + 64];

    if (all->count >= TOMBSTONE_MOST) {
        for (size_t i = 1; i < all->count; i++)
            if (all->items[i].since < oldest->since)
                oldest = &all->items[i];
        log_warn("%d suspended guests are recorded: %s, the oldest, is not refused any longer",
                 TOMBSTONE_MOST, oldest->uuid);
        tombstone_path(all, oldest->uuid, path);
        unlink(path);
        tombstone_drop(all, oldest);
    }
    if (all->count < all->room)
        return 0;
    size_t room = all->room ? all->room * 2 : 16;
    struct tombstone *items = realloc(all->items, room * sizeof(*items));
    if (!items)
        return -ENOMEM;
    all->items = items;
    all->room = room;
    return 0;
}

static int tombstone_sync_dir(const struct tombstones *all)
{
    int fd = open(all->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 || fsync(fd) ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return err;
}

static int tombstone_write(const struct tombstones *all, const struct tombstone *item)
{
    char path[TOMBSTONE_ROOM + 64], beside[TOMBSTONE_ROOM + 64];
    int err = 0;

    tombstone_path(all, item->uuid, path);
    tombstone_path(all, ".new", beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (dprintf(fd, "%u %" PRId64 "\n", item->domid, item->since) < 0 || fsync(fd))
        err = errno ? -errno : -EIO;
    if (close(fd) && !err)
        err = -errno;
    if (!err && rename(beside, path))
        err = -errno;
    if (err)
        unlink(beside);
    return err ? err : tombstone_sync_dir(all);
}

static void tombstone_read(const struct tombstones *all, struct tombstone *item)
{
    char path[TOMBSTONE_ROOM + 64];

    tombstone_path(all, item->uuid, path);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%" SCNu32 " %" SCNd64, &item->domid, &item->since) != 2)
        item->domid = 0, item->since = 0;
    if (file)
        fclose(file);
}

static int tombstone_load(struct tombstones *all, const char *name)
{
    struct tombstone item = {.kept = true};

    if (!tombstone_parse_uuid(name, item.uuid) || strcmp(item.uuid, name))
        return 0;
    int err = tombstone_make_room(all);
    if (err)
        return err;
    tombstone_read(all, &item);
    all->items[all->count++] = item;
    return 0;
}

int tombstones_open(const char *state_dir, struct tombstones **out)
{
    struct tombstones *all = calloc(1, sizeof(*all));
    const struct dirent *entry;
    int err = 0;

    if (!all)
        return -ENOMEM;
    snprintf(all->dir, sizeof(all->dir), "%.64s" TOMBSTONE_DIR, state_dir);
    DIR *dir = opendir(all->dir);
    if (!dir)
        err = -errno;
    errno = 0;
    while (!err && (entry = readdir(dir)) != NULL) {
        err = tombstone_load(all, entry->d_name);
        errno = 0;
    }
    if (!err && errno)
        err = -errno;
    if (dir)
        closedir(dir);
    if (err) {
        log_error("%s: cannot be read, so nobody knows which guests were suspended: %s", all->dir,
                  strerror(-err));
        tombstones_close(all);
        return err;
    }
    *out = all;
    return 0;
}

void tombstones_close(struct tombstones *all)
{
    if (!all)
        return;
    free(all->items);
    free(all);
}

const struct tombstone *tombstones_find(const struct tombstones *all, const char *uuid)
{
    char name[TOMBSTONE_UUID];

    return tombstone_parse_uuid(uuid, name) ? tombstone_of(all, name) : NULL;
}

int tombstones_add(struct tombstones *all, const char *uuid, uint32_t domid, int64_t since)
{
    struct tombstone fresh = {.domid = domid, .since = since};

    if (!tombstone_parse_uuid(uuid, fresh.uuid))
        return -EINVAL;
    struct tombstone *item = tombstone_of(all, fresh.uuid);
    bool known = item != NULL;
    if (known && item->kept)
        return 0;
    if (!known) {
        int err = tombstone_make_room(all);
        if (err)
            return err;
        item = &all->items[all->count++];
        *item = fresh;
    }
    int err = tombstone_write(all, item);
    item->kept = !err;
    return err ? err : !known;
}

int tombstones_remove(struct tombstones *all, const char *uuid)
{
    char name[TOMBSTONE_UUID], path[TOMBSTONE_ROOM + 64];
    struct tombstone *item = tombstone_parse_uuid(uuid, name) ? tombstone_of(all, name) : NULL;

    if (!item)
        return -ENOENT;
    tombstone_path(all, name, path);
    if (unlink(path) && errno != ENOENT && item->kept)
        return -errno;
    tombstone_drop(all, item);
    return 0;
}

size_t tombstones_count(const struct tombstones *all)
{
    return all->count;
}

const struct tombstone *tombstones_at(const struct tombstones *all, size_t at)
{
    return &all->items[at];
}
