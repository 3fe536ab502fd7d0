/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit_fds: the open files of a process, as the kernel lists them.
 */
#ifndef EPHEM_AUDIT_FDS_H
#define EPHEM_AUDIT_FDS_H

#include <stdbool.h>
#include <sys/types.h>

#include "audit.h"

/* What was opened: a device by its number, anything else by file system and inode. */
struct audit_file {
    bool block;
    dev_t dev;
    ino_t ino;
};

struct audit_fd {
    int number;
    mode_t mode;
    nlink_t links;
    off_t size;
    struct audit_file file;
    bool writable, direct;
    bool in_memory; /* on tmpfs, or of no file system */
    char link[AUDIT_PATH];
};

/*
 * Calls `look` for each descriptor of the process behind `dir` (/proc/PID) that is open on a file, a
 * directory or a block device.  0; negative errno when they, or one of them, cannot be looked at (the
 * others still are); one that is closed meanwhile is passed over.
 */
int audit_fds(int dir, void (*look)(void *arg, const struct audit_fd *fd), void *arg);

/* What a path is now.  0 or negative errno. */
int audit_file_of(const char *path, struct audit_file *out);
bool audit_file_same(const struct audit_file *a, const struct audit_file *b);

#endif
