// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_record: DIR/DOMID holds one line, "held UUID", written in place by one system call.  Around
 * each hypercall stands "unsure": a guard that is killed in between leaves a domain paused once too
 * often rather than once too little.
 */
#include "guard_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_ROOM 64

static const char *const record_words[] = {[GUARD_RECORD_HELD] = "held",
                                           [GUARD_RECORD_REFUSED] = "refused",
                                           [GUARD_RECORD_UNSURE] = "unsure"};

int guard_record_open(const char *dir)
{
    struct stat st;

    if (mkdir(dir, 0700) && errno != EEXIST)
        return -errno;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int err = fd < 0 || fstat(fd, &st) ? -errno : 0;
    if (!err && (st.st_uid != geteuid() || st.st_mode & 022))
        err = -EPERM;
    if (!err && flock(fd, LOCK_EX | LOCK_NB))
        err = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

int guard_record_put(int dir, uint32_t domid, const char *uuid, enum guard_record what)
{
    char name[16], line[RECORD_ROOM];

    snprintf(name, sizeof(name), "%u", domid);
    if (what == GUARD_RECORD_NONE)
        return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
    /* Lines are equally long, so that none is ever left of another. */
    int length = snprintf(line, sizeof(line), "%-8s%s\n", record_words[what], uuid);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t wrote = write(fd, line, (size_t)length);
    int err = wrote == length ? 0 : wrote < 0 ? -errno : -ENOSPC;
    close(fd);
    return err;
}

enum guard_record guard_record_get(int dir, uint32_t domid, const char *uuid)
{
    char name[16], line[RECORD_ROOM], expected[RECORD_ROOM];

    snprintf(name, sizeof(name), "%u", domid);
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return GUARD_RECORD_NONE;
    ssize_t got = read(fd, line, sizeof(line) - 1);
    close(fd);
    line[got > 0 ? got : 0] = '\0';
    for (enum guard_record what = GUARD_RECORD_HELD; what <= GUARD_RECORD_UNSURE; what++) {
        snprintf(expected, sizeof(expected), "%-8s%s\n", record_words[what], uuid);
        if (!strcmp(line, expected))
            return what;
    }
    return GUARD_RECORD_NONE;
}
