// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool_dir: a pool in an unlinked file.  An extent's home is its number; storage is reserved by
 * fallocate before use and given back by punching; a file system that cannot punch keeps the storage
 * until the guest ends.
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int dir_grow(struct backing *backing, uint32_t extent, bool again, uint64_t *home)
{
    int err;

    (void)again;
    *home = extent * BACKING_EXTENT;
    do
        err = fallocate(backing->fd, 0, (off_t)*home, (off_t)BACKING_EXTENT) ? -errno : 0;
    while (err == -EINTR);
    return err == -EDQUOT || err == -EFBIG ? -ENOSPC : err;
}

static void dir_punch(struct backing *backing, uint64_t offset, uint64_t length)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    while (fallocate(backing->fd, mode, (off_t)offset, (off_t)length) && errno == EINTR)
        ;
}

static void dir_release(struct backing *backing, uint64_t home)
{
    (void)backing;
    (void)home;
}

static uint64_t dir_left(struct backing *backing)
{
    struct statvfs st;

    return fstatvfs(backing->fd, &st) ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

static void dir_close(struct backing *backing)
{
    if (backing->fd >= 0)
        close(backing->fd);
    free(backing);
}

static const struct backing_ops dir_ops = {
    .grow = dir_grow,
    .punch = dir_punch,
    .release = dir_release,
    .left = dir_left,
    .close = dir_close,
};

int backing_dir_open(struct backing **out, int fd)
{
    struct backing *backing = calloc(1, sizeof(*backing));

    if (!backing)
        return -ENOMEM;
    backing->ops = &dir_ops;
    backing->fd = fd;
    *out = backing;
    return 0;
}
