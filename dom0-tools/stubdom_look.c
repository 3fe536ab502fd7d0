// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_look: a storage domain's bases are block devices, for libxl gives it nothing else, and mostly loop devices of
 * files: who writes such a file is asked of the file, and which file that is of the kernel, by device and inode.
 */
#include "stubdom_look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "store_writers.h"

struct look_device {
    dev_t device;
    char sys[PATH_MAX]; /* its folder in /sys, a partition's below the disk's; "": not known */
    bool loop;          /* and then: */
    struct loop_info64 behind; /* the file */
};

static int look_at(int fd, const char *path, struct look_device *out, char text[STORE_TEXT])
{
    char link[64];
    struct stat st;

    memset(out, 0, sizeof(*out));
    if (fstat(fd, &st))
        return store_fail(text, -errno, PATH_SHOWN ": %s", path, strerror(errno));
    out->device = st.st_rdev;
    snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (!realpath(link, out->sys))
        out->sys[0] = '\0';
    out->loop = !ioctl(fd, LOOP_GET_STATUS64, &out->behind);
    return 0;
}

/* The file behind a loop device, by the path that it had.  A descriptor or negative errno. */
static int look_open_file(const struct look_device *at, char file[PATH_MAX])
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/loop/backing_file", major(at->device),
             minor(at->device));
    FILE *from = fopen(path, "re");
    if (!from)
        return -errno;
    char *line = fgets(file, PATH_MAX, from);
    fclose(from);
    if (!line)
        return -ENOENT;
    file[strcspn(file, "\n")] = '\0';
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (!fstat(fd, &st) && st.st_dev == (dev_t)at->behind.lo_device &&
        st.st_ino == at->behind.lo_inode)
        return fd;
    close(fd);
    return -ESTALE;
}

/* Nobody may write the file of a base either. */
static int look_behind(const struct look_device *at, const char *path, char text[STORE_TEXT])
{
    char file[PATH_MAX];
    struct stat st;

    if (!(at->behind.lo_flags & LO_FLAGS_READ_ONLY))
        return store_fail(text, -EACCES,
                          "base " PATH_SHOWN ": a loop device that can be written: make it by "
                          "'losetup -r'",
                          path);
    int fd = look_open_file(at, file);
    if (fd < 0)
        return store_fail(text, fd,
                          "base " PATH_SHOWN ": its file is not where it was, and cannot be "
                          "checked for writers: attach it anew",
                          path);
    int err = fstat(fd, &st) ? -errno : store_check_writers(fd, &st, file, text);
    close(fd);
    return err;
}

static int look_base(const char *path, struct look_device *out, char text[STORE_TEXT])
{
    struct store_spec spec = {.blank = false};
    struct store_base base;
    struct stat st;

    if (!stat(path, &st) && S_ISREG(st.st_mode))
        return store_fail(text, -EINVAL,
                          PATH_SHOWN ": a file: name the block device that 'losetup -r -f --show' "
                                     "makes of it",
                          path);
    snprintf(spec.path, sizeof(spec.path), "%s", path);
    int err = store_open_base(&spec, &base, text);
    if (err)
        return err;
    err = look_at(base.fd, path, out, text);
    close(base.fd);
    return !err && out->loop ? look_behind(out, path, text) : err;
}

/* One of two folders of /sys is in the other. */
static bool look_within(const char *sys, const char *other)
{
    size_t length = strlen(other);

    return length && !strncmp(sys, other, length) && (!sys[length] || sys[length] == '/');
}

static bool look_overlap(const struct look_device *one, const struct look_device *other)
{
    return one->device == other->device || look_within(one->sys, other->sys) ||
           look_within(other->sys, one->sys) ||
           (one->loop && other->loop && one->behind.lo_device == other->behind.lo_device &&
            one->behind.lo_inode == other->behind.lo_inode);
}

/* Before it is opened to be written, which --overwrite allows. */
static int look_pool(const char *path, const struct look_device *bases, size_t count,
                     char text[STORE_TEXT])
{
    struct look_device pool;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return 0; /* store_open_pool says what it is */
    int err = look_at(fd, path, &pool, text);
    close(fd);
    for (size_t i = 0; !err && i < count; i++)
        if (look_overlap(&pool, &bases[i]))
            err = store_fail(text, -EINVAL, PATH_SHOWN ": is a base and the pool: name two devices",
                             path);
    return err;
}

int stub_look(const struct stub_wish *wish, char text[STORE_TEXT])
{
    struct store_pool_spec spec = {.kind = WIRE_POOL_BLOCK, .force = wish->force};
    struct look_device *bases = calloc(STUB_BASES, sizeof(*bases));
    struct store_pool pool = {.fd = -1};
    int err = bases ? 0 : store_fail(text, -ENOMEM, "no memory");

    for (size_t i = 0; i < wish->base_count && !err; i++)
        err = look_base(wish->bases[i].path, &bases[i], text);
    if (!err)
        err = look_pool(wish->pool, bases, wish->base_count, text);
    free(bases);
    snprintf(spec.path, sizeof(spec.path), "%s", wish->pool);
    if (!err)
        err = store_open_pool(&spec, &pool, text);
    if (!err)
        close(pool.fd);
    return err;
}
