// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_writers: asks the kernel's own books.  A read lease is refused while a file is open for
 * writing anywhere, loop devices included.  A block device is opened exclusively for a moment, which
 * fails while it is mounted, swapped to, or part of something (LVM, RAID, device mapper, another's
 * partition); the only such user that is borne is a mount whose file system is read-only.
 *
 * Not found: a process that writes a raw device directly, or opens the file later; the shared lock
 * keeps out those who lock.  What cannot be found out is refused.
 */
#include "store_writers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "util.h"

#define WRITERS_TRIES 3
#define WRITERS_PAUSE 20 /* ms; somebody else may be probing at the same time */

/* "36 35 98:0 / /mnt rw,noatime master:1 - ext4 /dev/root rw,errors=continue": 1 when it is a mount
 * of `device`, and whether that file system is writable; 0 when not. */
static int writers_read_mount(char *line, dev_t device, bool *writable)
{
    unsigned int maj = 0, min = 0;
    char *dash = strstr(line, " - "), *at = NULL;
    struct stat st;

    if (!dash || sscanf(line, "%*u %*u %u:%u", &maj, &min) != 2)
        return 0;
    dash += 3;
    strtok_r(dash, " \n", &at);
    char *source = strtok_r(NULL, " \n", &at), *options = strtok_r(NULL, " \n", &at);
    if (!source || !options)
        return 0;
    *writable = strncmp(options, "ro", 2) || (options[2] && options[2] != ',');
    if (makedev(maj, min) == device)
        return 1;
    /* btrfs and the like mount under a number of their own. */
    unescape_octal(source);
    return source[0] == '/' && !stat(source, &st) && S_ISBLK(st.st_mode) && st.st_rdev == device;
}

/* How many mounts there are of the device, *writable if any is; negative errno without /proc. */
static int writers_mounts(dev_t device, bool *writable)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    int mounts = 0;

    *writable = false;
    if (!file)
        return -errno;
    while (getline(&line, &room, file) > 0) {
        bool rw = false;

        if (writers_read_mount(line, device, &rw)) {
            mounts++;
            *writable = *writable || rw;
        }
    }
    if (ferror(file))
        mounts = -EIO;
    free(line);
    fclose(file);
    return mounts;
}

/* 0 when nobody holds the device; -EBUSY when somebody does; else negative errno. */
static int writers_probe(const char *path, dev_t device)
{
    const struct timespec pause = {.tv_nsec = WRITERS_PAUSE * 1000000l};
    int err = -EBUSY;

    for (int tries = 0; tries < WRITERS_TRIES && err == -EBUSY; tries++) {
        struct stat st;

        if (tries)
            nanosleep(&pause, NULL);
        int fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        err = fd < 0 ? -errno : 0;
        if (!err && (fstat(fd, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != device))
            err = -ESTALE;
        if (fd >= 0)
            close(fd);
    }
    return err;
}

static int writers_of_device(const struct stat *st, const char *path, char text[STORE_TEXT])
{
    int err = writers_probe(path, st->st_rdev);
    bool writable = false;

    if (!err)
        return 0;
    if (err != -EBUSY)
        return store_fail(text, err, "base " PATH_SHOWN ": cannot be checked for writers: %s", path,
                          strerror(-err));
    int mounts = writers_mounts(st->st_rdev, &writable);
    if (mounts < 0)
        return store_fail(
            text, -EBUSY,
            "base " PATH_SHOWN ": in use, and /proc does not say by whom: mount /proc", path);
    if (mounts && !writable)
        return 0;
    if (mounts)
        return store_fail(text, -EBUSY,
                          "base " PATH_SHOWN ": mounted read-write: unmount it, or mount it "
                          "read-only",
                          path);
    return store_fail(text, -EBUSY,
                      "base " PATH_SHOWN ": in use by another part of the system (a partition of "
                      "it, LVM, RAID, device mapper, swap): stop that first",
                      path);
}

/* The file system keeps no leases, or locks, at all. */
static bool writers_no_leases(int err)
{
    return err == EINVAL || err == ENOLCK || err == EOPNOTSUPP || err == ENOSYS;
}

static int writers_of_file(int fd, const struct stat *st, const char *path, char text[STORE_TEXT])
{
    if (!fcntl(fd, F_SETLEASE, F_RDLCK)) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return 0;
    }
    if (errno == EAGAIN)
        return store_fail(text, -EBUSY,
                          "base " PATH_SHOWN ": open for writing elsewhere (mounted by a loop "
                          "device? a running guest?): close it first",
                          path);
    if (!(st->st_mode & 0222) || (geteuid() == 0 && writers_no_leases(errno)))
        return 0;
    return store_fail(text, -EACCES,
                      "base " PATH_SHOWN ": cannot be checked for writers: run as its owner or "
                      "root, or make it read-only (chmod a-w)",
                      path);
}

int store_check_writers(int fd, const struct stat *st, const char *path, char text[STORE_TEXT])
{
    if (flock(fd, LOCK_SH | LOCK_NB)) {
        if (errno == EWOULDBLOCK)
            return store_fail(text, -EBUSY,
                              "base " PATH_SHOWN ": locked by another process: stop what uses it",
                              path);
        if (!writers_no_leases(errno))
            return store_fail(text, -errno, "base " PATH_SHOWN ": cannot be locked: %s", path,
                              strerror(errno));
    }
    return S_ISBLK(st->st_mode) ? writers_of_device(st, path, text)
                                : writers_of_file(fd, st, path, text);
}
