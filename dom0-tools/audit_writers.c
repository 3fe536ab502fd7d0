// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_writers: asks the kernel's own books: mounts, swap, loop devices, what lies upon a block device
 * (device mapper, RAID, bcache), members of a btrfs; and xenstore, which devices dom0's kernel serves to guests.
 * A block device is looked at with its partitions, and a partition with its whole disk: they are the same
 * sectors.  Nothing is opened but those books.
 *
 * Not seen: mounts in other mount namespaces than dom0's first; a loop device whose file has another name now;
 * who writes to what lies below a device, as the physical volume below a logical one.
 */
#include "audit_writers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "audit_proc.h"

#define WRITERS_DEVICES 512 /* a disk and its partitions */

struct writers {
    const struct audit_file *file;
    const struct audit_givens *givens;
    bool any;
    dev_t devices[WRITERS_DEVICES]; /* [0]: itself; none for a file */
    size_t count;
    bool mounted; /* of a file system that only reads */
    char *how;
    const char **remedy;
};

static bool writers_concern(const struct writers *writers, dev_t device)
{
    for (size_t i = 0; i < writers->count; i++)
        if (writers->devices[i] == device)
            return true;
    return false;
}

static bool writers_same(const struct writers *writers, const struct audit_file *file)
{
    return audit_file_same(file, writers->file) ||
           (file->block && writers_concern(writers, file->dev));
}

__attribute__((format(printf, 4, 5))) static int
writers_found(const struct writers *writers, dev_t device, const char *remedy, const char *fmt, ...)
{
    va_list args;
    int at = 0;

    if (writers->count && device != writers->devices[0])
        at = snprintf(writers->how, AUDIT_PATH, "(as %u:%u) ", major(device), minor(device));
    va_start(args, fmt);
    vsnprintf(writers->how + at, AUDIT_PATH - (size_t)at, fmt, args);
    va_end(args);
    *writers->remedy = remedy;
    return 1;
}

/* "MAJOR:MINOR" in a file of sysfs.  0 or negative errno. */
static int writers_device(int dir, const char *name, dev_t *out)
{
    char *text = audit_read(dir, name);
    unsigned int maj, min;
    int err = text ? 0 : -errno;

    if (!err && sscanf(text, "%u:%u", &maj, &min) != 2)
        err = -EINVAL;
    if (!err)
        *out = makedev(maj, min);
    free(text);
    return err;
}

static int writers_add(struct writers *writers, int dir, const char *name)
{
    dev_t device;
    int err = writers_device(dir, name, &device);

    if (!err && writers->count == WRITERS_DEVICES)
        err = -E2BIG;
    if (!err)
        writers->devices[writers->count++] = device;
    return err;
}

/* Partitions are directories in their disk's. */
static int writers_add_kin(struct writers *writers)
{
    char path[300];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(writers->file->dev),
             minor(writers->file->dev));
    DIR *disk = opendir(path);
    if (!disk)
        return -errno;
    int dir = dirfd(disk), err = 0;
    writers->devices[writers->count++] = writers->file->dev;
    if (!faccessat(dir, "partition", F_OK, 0))
        err = writers_add(writers, dir, "../dev");
    for (struct dirent *at; !err && (at = readdir(disk));) {
        snprintf(path, sizeof(path), "%s/partition", at->d_name);
        if (at->d_name[0] == '.' || faccessat(dir, path, F_OK, 0))
            continue;
        snprintf(path, sizeof(path), "%s/dev", at->d_name);
        err = writers_add(writers, dir, path);
    }
    closedir(disk);
    return err;
}

/* ---- the books: 1, 0 or negative errno ---- */

/* btrfs and the like mount under a number of their own: then by what was mounted. */
static int writers_mounted(struct writers *writers)
{
    char *text = audit_read(AT_FDCWD, "/proc/1/mountinfo"), *at = text;
    struct proc_mount mount;
    int found = text ? 0 : -errno, err = 0;

    if (text && !*text) /* there always is a root */
        found = -EINVAL;
    while (text && found <= 0 && !(err = proc_mount(&at, &mount))) {
        dev_t device = makedev(mount.major, mount.minor);
        struct audit_file from;

        if (!writers_concern(writers, device)) {
            if (mount.source[0] != '/' || audit_file_of(mount.source, &from) || !from.block ||
                !writers_concern(writers, from.dev))
                continue;
            device = from.dev;
        }
        writers->mounted = true;
        if (mount.fs_writable || writers->any)
            found = writers_found(writers, device, "unmount it; destroy the guest",
                                  "is mounted%s at %s", mount.fs_writable ? " read-write" : "",
                                  mount.place);
    }
    free(text);
    return !found && err != -ENOENT ? err : found;
}

static int writers_swapped(struct writers *writers)
{
    char *text = audit_read(AT_FDCWD, "/proc/swaps"), *at = text;
    int found = text || errno == ENOENT ? 0 : -errno;
    const char *path;
    bool block;

    if (text && proc_swaps(&at))
        found = -EINVAL;
    while (text && found <= 0 && !proc_swap(&at, &path, &block)) {
        struct audit_file file;
        int err = audit_file_of(path, &file);

        if (!err && writers_same(writers, &file))
            found = writers_found(writers, file.dev, "swapoff it; destroy the guest", "is swap");
        else if (err && block == writers->file->block)
            found = err;
    }
    free(text);
    return found;
}

/* Loop devices write to their file without a process. */
static int writers_looped(struct writers *writers)
{
    DIR *blocks = opendir("/sys/block");
    int found = blocks ? 0 : -errno;

    for (struct dirent *at; blocks && found <= 0 && (at = readdir(blocks));) {
        struct audit_file behind;
        char path[300];

        snprintf(path, sizeof(path), "%s/loop/backing_file", at->d_name);
        char *backing = audit_read(dirfd(blocks), path);
        if (!backing)
            continue;
        backing[strcspn(backing, "\n")] = '\0';
        snprintf(path, sizeof(path), "%s/ro", at->d_name);
        char *readonly = audit_read(dirfd(blocks), path);
        bool writable = !readonly || *readonly != '1';
        if (!audit_file_of(backing, &behind) && writers_same(writers, &behind) &&
            (writable || writers->any))
            found = writers_found(writers, behind.dev, "losetup -d it; destroy the guest",
                                  "is behind /dev/%.100s%s", at->d_name,
                                  writable ? ", which can be written" : "");
        free(readonly);
        free(backing);
    }
    if (blocks)
        closedir(blocks);
    return found;
}

/* What claimed it. */
static int writers_held(struct writers *writers)
{
    int found = 0;

    for (size_t i = 0; i < writers->count && found <= 0; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(writers->devices[i]),
                 minor(writers->devices[i]));
        DIR *holders = opendir(path);
        if (!holders)
            found = -errno;
        for (struct dirent *at; holders && (at = readdir(holders));)
            if (at->d_name[0] != '.')
                found = writers_found(writers, writers->devices[i], "stop that; destroy the guest",
                                      "is part of /dev/%.100s", at->d_name);
        if (holders)
            closedir(holders);
    }
    return found;
}

/* Of a btrfs on many devices only one is a mount's source. */
static int writers_in_btrfs(struct writers *writers)
{
    DIR *all = writers->mounted ? NULL : opendir("/sys/fs/btrfs");
    int found = 0;

    for (struct dirent *fs; all && (fs = readdir(all));) {
        char path[600];

        snprintf(path, sizeof(path), "/sys/fs/btrfs/%s/devices", fs->d_name);
        DIR *members = fs->d_name[0] == '.' ? NULL : opendir(path);
        for (struct dirent *at; members && (at = readdir(members));) {
            dev_t device;

            snprintf(path, sizeof(path), "%s/dev", at->d_name);
            if (at->d_name[0] != '.' && !writers_device(dirfd(members), path, &device) &&
                writers_concern(writers, device))
                found = writers_found(writers, device, "unmount that; destroy the guest",
                                      "is part of a btrfs that is mounted, %.64s", fs->d_name);
        }
        if (members)
            closedir(members);
    }
    if (all)
        closedir(all);
    return found;
}

static int writers_given(struct writers *writers)
{
    const struct audit_givens *givens = writers->givens;

    for (size_t i = 0; i < givens->count; i++) {
        const struct audit_given *given = &givens->list[i];

        if (writers_concern(writers, given->device) && (given->writable || writers->any))
            return writers_found(writers, given->device, "detach it there; destroy the guest",
                                 "is disk %s of domain %u%s, by %s", given->name, given->domid,
                                 given->writable ? ", writable" : "", given->kind);
    }
    return givens->err;
}

int audit_writers(const struct audit_file *file, const struct audit_givens *givens, bool any,
                  char how[AUDIT_PATH], const char **remedy)
{
    static int (*const books[])(struct writers *) = {writers_mounted,  writers_held,
                                                     writers_in_btrfs, writers_given,
                                                     writers_swapped,  writers_looped};
    struct writers *writers = calloc(1, sizeof(*writers));
    int err = 0, found = 0;

    *how = '\0';
    *remedy = AUDIT_AS_ROOT;
    if (!writers)
        return -ENOMEM;
    *writers = (struct writers){
        .file = file, .givens = givens, .any = any, .how = how, .remedy = remedy};
    if (file->block)
        err = writers_add_kin(writers);
    /* Those at the begin know of devices only. */
    for (size_t i = file->block ? 0 : 4; i < sizeof(books) / sizeof(*books) && found <= 0; i++) {
        found = books[i](writers);
        if (found < 0)
            err = found;
    }
    free(writers);
    return found > 0 ? 1 : err;
}
