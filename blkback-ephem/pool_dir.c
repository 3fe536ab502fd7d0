// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool_dir: a pool in an unlinked file.  Storage is reserved by fallocate before use and given back
 * by punching; a file system that cannot punch keeps the storage until the guest ends.
 */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>

static int pool_dir_grow(int fd, uint64_t offset, uint64_t length)
{
    int err;

    do
        err = fallocate(fd, 0, (off_t)offset, (off_t)length) ? -errno : 0;
    while (err == -EINTR);
    return err == -EDQUOT || err == -EFBIG ? -ENOSPC : err;
}

static void pool_dir_punch(int fd, uint64_t offset, uint64_t length)
{
    /* Failure only costs space: the slots' generations outlive the extent either way. */
    while (
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) &&
        errno == EINTR)
        ;
}

const struct pool_ops pool_dir_ops = {.grow = pool_dir_grow, .punch = pool_dir_punch};
