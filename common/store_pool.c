// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_pool: what the operator names as a pool, judged and opened.
 *
 * A device is opened first and looked at through that descriptor.  O_EXCL is the kernel's own book of
 * who uses a device: mounts, swap, LVM, RAID, device mapper, and every other pool of ours.  `force`
 * says that the contents do not matter; it never says that a user does not.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store_signature.h"
#include "util.h"

/* linux/fs.h and sys/mount.h, which have them, both define a BLOCK_SIZE of their own. */
#ifndef BLKGETSIZE64
#define BLKGETSIZE64 _IOR(0x12, 114, size_t)
#endif
#ifndef BLKSSZGET
#define BLKSSZGET _IO(0x12, 104)
#endif
#ifndef BLKROGET
#define BLKROGET _IO(0x12, 94)
#endif
#ifndef BLKDISCARD
#define BLKDISCARD _IO(0x12, 119)
#endif

static int pool_dir_failed(const char *path, int err, char text[STORE_TEXT])
{
    switch (err) {
    case -ENOENT:
        return store_fail(text, err, "pool dir:" PATH_SHOWN ": no such directory: create it", path);
    case -ENOTDIR:
        return store_fail(text, err, "pool dir:" PATH_SHOWN ": not a directory: name one", path);
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return store_fail(text, err,
                          "pool dir:" PATH_SHOWN ": not writable by us: change its permissions or "
                          "choose another directory",
                          path);
    case -EOPNOTSUPP:
    case -EISDIR:
        return store_fail(text, err,
                          "pool dir:" PATH_SHOWN ": its file system has no O_TMPFILE: choose a "
                          "directory on ext4, xfs, btrfs or tmpfs",
                          path);
    case -EINVAL:
        return store_fail(text, err,
                          "pool dir:" PATH_SHOWN ": its file system has no O_DIRECT: choose a "
                          "directory on ext4, xfs or btrfs",
                          path);
    default:
        return store_fail(text, err, "pool dir:" PATH_SHOWN ": %s", path, strerror(-err));
    }
}

static int pool_open_dir(const char *path, struct store_pool *out, char text[STORE_TEXT])
{
    int err = 0;
    int fd = open(path, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return pool_dir_failed(path, -errno, text);
    if (fcntl(fd, F_SETFL, O_DIRECT))
        err = pool_dir_failed(path, -errno, text);
    else if (fallocate(fd, 0, 0, BLOCK_SIZE) && errno == EOPNOTSUPP)
        err = store_fail(text, -EOPNOTSUPP,
                         "pool dir:" PATH_SHOWN ": its file system cannot reserve space "
                         "(fallocate): choose a directory on ext4, xfs, btrfs or tmpfs",
                         path);
    if (err)
        close(fd);
    else
        out->fd = fd;
    return err;
}

static int pool_block_failed(const char *path, int err, char text[STORE_TEXT])
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENXIO:
    case -ENODEV:
    case -ENOMEDIUM:
        return store_fail(text, err, "pool block:" PATH_SHOWN ": no such device: check the path",
                          path);
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return store_fail(text, err,
                          "pool block:" PATH_SHOWN ": not writable by us: give permission, or name "
                          "another",
                          path);
    case -EBUSY:
        return store_fail(text, err,
                          "pool block:" PATH_SHOWN ": in use: it is mounted, part of LVM, RAID or "
                          "device mapper, swap, or another guest's pool: free it, or name another",
                          path);
    default:
        return store_fail(text, err, "pool block:" PATH_SHOWN ": %s", path, strerror(-err));
    }
}

/* Size, sectors, and whether it is writable, which open() does not ask every driver. */
static int pool_measure(int fd, const char *path, uint64_t *bytes, char text[STORE_TEXT])
{
    int sector = 0, readonly = 0;

    if (ioctl(fd, BLKGETSIZE64, bytes) || ioctl(fd, BLKSSZGET, &sector) ||
        ioctl(fd, BLKROGET, &readonly))
        return store_fail(text, -errno, "pool block:" PATH_SHOWN ": size unknown: %s", path,
                          strerror(errno));
    if (readonly)
        return store_fail(text, -EROFS,
                          "pool block:" PATH_SHOWN ": read-only: make it writable (blockdev "
                          "--setrw), or name another",
                          path);
    if (*bytes < STORE_POOL_LEAST)
        return store_fail(text, -EINVAL,
                          "pool block:" PATH_SHOWN ": %llu bytes are too small: at least 8M", path,
                          (unsigned long long)*bytes);
    if (sector <= 0 || (unsigned int)sector > BLOCK_SIZE)
        return store_fail(text, -EINVAL,
                          "pool block:" PATH_SHOWN ": sectors of %d bytes: name a device with at "
                          "most 4096",
                          path, sector);
    return 0;
}

static int pool_look(int fd, const struct store_pool_spec *spec, char text[STORE_TEXT])
{
    char name[STORE_SIGNATURE];
    int found = spec->force ? 0 : store_signature(fd, name);

    if (found < 0)
        return store_fail(text, found, "pool block:" PATH_SHOWN ": cannot be read: %s", spec->path,
                          strerror(-found));
    if (found)
        return store_fail(text, -EEXIST,
                          "pool block:" PATH_SHOWN ": has %s on it: wipe it (wipefs -a), or write "
                          ",force behind it",
                          spec->path, name);
    return 0;
}

int store_check_device(int fd, const struct store_pool_spec *spec, uint64_t *bytes,
                       char text[STORE_TEXT])
{
    int err = pool_measure(fd, spec->path, bytes, text);

    /* libblkid reads without regard to alignment. */
    if (!err && fcntl(fd, F_SETFL, 0))
        err = pool_block_failed(spec->path, -errno, text);
    if (!err)
        err = pool_look(fd, spec, text);
    if (!err && fcntl(fd, F_SETFL, O_DIRECT))
        err = pool_block_failed(spec->path, -errno, text);
    return err;
}

/* O_EXCL means nothing on what is no device, and O_NONBLOCK keeps a FIFO from holding us up. */
static int pool_open_block(const struct store_pool_spec *spec, struct store_pool *out,
                           char text[STORE_TEXT])
{
    struct stat st;
    int err;

    if (!stat(spec->path, &st) && !S_ISBLK(st.st_mode))
        return store_fail(text, -ENOTBLK,
                          "pool block:" PATH_SHOWN ": not a block device: name one, or a directory "
                          "as dir:/PATH",
                          spec->path);
    int fd = open(spec->path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return pool_block_failed(spec->path, -errno, text);
    if (fstat(fd, &st) || !S_ISBLK(st.st_mode))
        err = pool_block_failed(spec->path, -ENXIO, text);
    else
        err = store_check_device(fd, spec, &out->bytes, text);
    if (err)
        close(fd);
    else
        out->fd = fd;
    return err;
}

int store_open_pool(const struct store_pool_spec *spec, struct store_pool *out,
                    char text[STORE_TEXT])
{
    *out = (struct store_pool){.fd = -1};
    switch (spec->kind) {
    case WIRE_POOL_DIR:
        return pool_open_dir(spec->path, out, text);
    case WIRE_POOL_BLOCK:
    case WIRE_POOL_SHARED:
        return pool_open_block(spec, out, text);
    case WIRE_POOL_RAM:
        out->bytes = spec->bytes;
        return 0;
    }
    return store_fail(text, -EINVAL, "pool of an unknown kind");
}

int store_discard_pool(int fd, uint64_t bytes)
{
    uint64_t all[2] = {0, bytes};
    int err;

    do
        err = ioctl(fd, BLKDISCARD, all) ? -errno : 0;
    while (err == -EINTR);
    return err;
}
