// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store: opens first, then looks at what it has opened, so that nothing can be exchanged in between.
 *
 * "Nobody writes it" is found out by the kernel's own books, in store_writers.c.  Deliberately
 * absent: any look into a base's contents (no blkid, no partition scan).  Pools: store_pool.c.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store_writers.h"
#include "util.h"

/* linux/fs.h and sys/mount.h, which have it, both define a BLOCK_SIZE of their own. */
#ifndef BLKGETSIZE64
#define BLKGETSIZE64 _IOR(0x12, 114, size_t)
#endif

int store_fail(char text[STORE_TEXT], int err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, STORE_TEXT, fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return err;
}

static int store_parse_blank(const char *size, struct store_spec *out, char text[STORE_TEXT])
{
    out->blank = true;
    if (parse_size(size, &out->size) || !out->size || out->size % SECTOR_SIZE)
        return store_fail(text, -EINVAL,
                          "volume blank:%.40s: not a size: write a multiple of 512 such as 1G",
                          size);
    if (out->size > STORE_MOST)
        return store_fail(text, -EINVAL, "volume blank:%.40s: too large: at most 16T", size);
    return 0;
}

int store_parse_volume(const char *spec, struct store_spec *out, char text[STORE_TEXT])
{
    memset(out, 0, sizeof(*out));
    if (strncmp(spec, "blank:", 6) == 0)
        return store_parse_blank(spec + 6, out, text);
    if (strncmp(spec, "cow:", 4) == 0)
        spec += 4;
    if (copy_string(out->path, sizeof(out->path), spec))
        return store_fail(text, -EINVAL, "base " PATH_SHOWN "...: path too long", spec);
    char *size = strstr(out->path, ",size=");
    if (size) {
        *size = '\0';
        size += 6;
        if (parse_size(size, &out->size) || !out->size || out->size % SECTOR_SIZE)
            return store_fail(text, -EINVAL,
                              "base " PATH_SHOWN ": size=%.40s: not a size: write a multiple of "
                              "512 such as 20G",
                              out->path, size);
        if (out->size > STORE_MOST)
            return store_fail(text, -EINVAL,
                              "base " PATH_SHOWN ": size=%.40s: too large: at most 16T", out->path,
                              size);
    }
    if (out->path[0] != '/')
        return store_fail(text, -EINVAL,
                          "base \"" PATH_SHOWN "\": not an absolute path: write "
                          "[cow:]/PATH[,size=SIZE] or blank:SIZE",
                          out->path);
    return 0;
}

static int store_open_failed(const char *path, int err, char text[STORE_TEXT])
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
        return store_fail(text, err, "base " PATH_SHOWN ": does not exist: check the path", path);
    case -EACCES:
    case -EPERM:
        return store_fail(text, err,
                          "base " PATH_SHOWN ": not readable by us: give read permission", path);
    case -ENAMETOOLONG:
        return store_fail(text, err, "base " PATH_SHOWN "...: path too long: shorten it", path);
    case -ENXIO:
        return store_fail(text, err, "base " PATH_SHOWN ": neither a file nor a block device",
                          path);
    case -EINVAL:
        return store_fail(text, err,
                          "base " PATH_SHOWN ": its file system has no O_DIRECT: move it to ext4, "
                          "xfs, btrfs or a block device",
                          path);
    default:
        return store_fail(text, err, "base " PATH_SHOWN ": cannot be opened: %s", path,
                          strerror(-err));
    }
}

static int store_base_size(int fd, const struct stat *st, const char *path, uint64_t *bytes,
                           char text[STORE_TEXT])
{
    if (S_ISDIR(st->st_mode))
        return store_fail(text, -EISDIR,
                          "base " PATH_SHOWN ": a directory: name a file or a block device", path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return store_fail(text, -EINVAL, "base " PATH_SHOWN ": neither a file nor a block device",
                          path);
    *bytes = (uint64_t)st->st_size;
    if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, bytes))
        return store_fail(text, -errno, "base " PATH_SHOWN ": size unknown: %s", path,
                          strerror(errno));
    if (!*bytes)
        return store_fail(text, -EINVAL,
                          "base " PATH_SHOWN ": empty: for a volume without a base write "
                          "blank:SIZE",
                          path);
    if (*bytes % SECTOR_SIZE)
        return store_fail(text, -EINVAL,
                          "base " PATH_SHOWN ": %llu bytes are not a multiple of 512: pad it "
                          "(truncate -s %%512)",
                          path, (unsigned long long)*bytes);
    return 0;
}

int store_open_base(const struct store_spec *spec, struct store_base *out, char text[STORE_TEXT])
{
    struct stat st;
    int err, fd;

    if (spec->blank) {
        *out = (struct store_base){.fd = -1, .base_bytes = 0, .bytes = spec->size};
        return 0;
    }
    fd = open(spec->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return store_open_failed(spec->path, -errno, text);
    if (fstat(fd, &st)) {
        err = store_open_failed(spec->path, -errno, text);
        goto out;
    }
    err = store_base_size(fd, &st, spec->path, &out->base_bytes, text);
    if (err)
        goto out;
    if (fcntl(fd, F_SETFL, O_DIRECT)) {
        err = store_open_failed(spec->path, -errno, text);
        goto out;
    }
    err = store_check_writers(fd, &st, spec->path, text);
    if (err)
        goto out;
    out->bytes = spec->size ? spec->size : out->base_bytes;
    if (out->bytes > STORE_MOST) {
        err = store_fail(text, -EFBIG,
                         "base " PATH_SHOWN ": too large: at most 16T; with ,size= only that much "
                         "of it is seen",
                         spec->path);
        goto out;
    }
    out->base_bytes = min_u64(out->base_bytes, out->bytes);
    out->grows = !spec->size;
    out->fd = fd;
    return 0;
out:
    close(fd);
    return err;
}
