// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_base: the watch on a base.  A base may grow (truncate, lvextend, losetup -c) and must not be
 * written.
 *
 * Growing a file changes its mtime, as writing does.  So it counts only while nobody has the file open
 * for writing, which a read lease finds out: while we have it nobody can begin to, and size and times
 * are taken under it.  A lease is only for the file's owner; a worker that has given up its ids gets
 * none, and believes the size.
 * Growing a device leaves its mtime alone, but udev touches the node a moment later.
 * Deliberately absent: a look at the contents.  Who writes into the old range and grows the base, both
 * between two looks, is not found out.
 */
#include "volume_base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "loop.h"

#define BASE_SETTLES 10000u /* ms udev may take */

/* linux/fs.h and sys/mount.h, which have it, both define a BLOCK_SIZE of their own. */
#ifndef BLKGETDISKSEQ
#define BLKGETDISKSEQ _IOR(0x12, 128, uint64_t)
#endif

/* Another medium behind the same name has another number. */
static uint64_t base_sequence(int fd)
{
    uint64_t sequence = 0;

    return ioctl(fd, BLKGETDISKSEQ, &sequence) ? 0 : sequence;
}

static int base_take(struct base_watch *now, int fd)
{
    if (fstat(fd, &now->was))
        return -errno;
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes < 0)
        return -errno;
    now->bytes = (uint64_t)bytes;
    now->sequence = base_sequence(fd);
    return 0;
}

int base_watch_open(struct base_watch *watch, int fd)
{
    *watch = (struct base_watch){.settled = 0};
    return base_take(watch, fd);
}

static bool base_same_time(const struct base_watch *a, const struct base_watch *b)
{
    return a->was.st_mtim.tv_sec == b->was.st_mtim.tv_sec &&
           a->was.st_mtim.tv_nsec == b->was.st_mtim.tv_nsec;
}

static bool base_is_device(const struct base_watch *watch)
{
    return S_ISBLK(watch->was.st_mode);
}

/* True unless somebody has the file open for writing; `now` is taken while nobody can have. */
static bool base_is_still(struct base_watch *now, int fd)
{
    bool leased = !fcntl(fd, F_SETLEASE, F_RDLCK);

    if (!leased)
        return errno != EAGAIN;
    int err = base_take(now, fd);
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return !err;
}

enum base_news base_look(struct base_watch *watch, int fd)
{
    struct base_watch now = *watch;

    if (base_take(&now, fd) || now.sequence != watch->sequence)
        return BASE_CHANGED;
    bool quiet = base_same_time(&now, watch) ||
                 (base_is_device(&now) && loop_now() < watch->settled);
    if (now.bytes == watch->bytes) {
        *watch = quiet ? now : *watch;
        return quiet ? BASE_SAME : BASE_CHANGED;
    }
    if (!base_is_device(&now) && !base_is_still(&now, fd))
        return BASE_CHANGED;
    if (now.bytes <= watch->bytes)
        return BASE_CHANGED;
    now.settled = loop_now() + BASE_SETTLES;
    *watch = now;
    return BASE_GROWN;
}
