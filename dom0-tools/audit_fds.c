// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_fds: /proc/PID/fd tells what, /proc/PID/fdinfo how.  Nothing is opened: a look must not break a
 * lease, nor wake a device.
 */
#include "audit_fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "audit_proc.h"

static struct audit_file fds_file(const struct stat *st)
{
    bool block = S_ISBLK(st->st_mode);

    return (struct audit_file){
        .block = block, .dev = block ? st->st_rdev : st->st_dev, .ino = block ? 0 : st->st_ino};
}

int audit_file_of(const char *path, struct audit_file *out)
{
    struct stat st;

    if (stat(path, &st))
        return -errno;
    *out = fds_file(&st);
    return 0;
}

bool audit_file_same(const struct audit_file *a, const struct audit_file *b)
{
    return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}

static int fds_flags(int dir, const char *name, uint64_t *flags)
{
    char path[300];

    snprintf(path, sizeof(path), "fdinfo/%s", name);
    char *text = audit_read(dir, path);
    int err = text ? proc_octal(text, "flags", flags) : -errno;
    free(text);
    return err;
}

/* 1: looked at; 0: not a file. */
static int fds_one(int dir, int fds, const char *name, struct audit_fd *out)
{
    char path[300];
    struct statfs fs;
    struct stat st;
    uint64_t flags;
    ssize_t len = readlinkat(fds, name, out->link, sizeof(out->link) - 1);

    if (len < 0 || fstatat(fds, name, &st, 0))
        return -errno;
    out->link[len] = '\0';
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISBLK(st.st_mode))
        return 0;
    int err = fds_flags(dir, name, &flags);
    if (err)
        return err;
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fds, name);
    if (statfs(path, &fs))
        return -errno;
    out->number = atoi(name);
    out->mode = st.st_mode;
    out->links = st.st_nlink;
    out->size = st.st_size;
    out->file = fds_file(&st);
    out->writable = (flags & O_ACCMODE) != O_RDONLY;
    out->direct = flags & O_DIRECT;
    out->in_memory = fs.f_type == TMPFS_MAGIC;
    return 1;
}

int audit_fds(int dir, void (*look)(void *arg, const struct audit_fd *fd), void *arg)
{
    int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    DIR *list = fds < 0 ? NULL : fdopendir(fds);
    struct audit_fd fd;

    if (!list)
        return -errno;
    for (struct dirent *at; (at = readdir(list));) {
        if (at->d_name[0] == '.')
            continue;
        int one = fds_one(dir, fds, at->d_name, &fd);
        if (one > 0)
            look(arg, &fd);
        else if (one < 0 && one != -ENOENT)
            err = one;
    }
    closedir(list);
    return err;
}
