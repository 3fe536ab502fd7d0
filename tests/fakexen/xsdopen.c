// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preload for xenstored: its two files of /proc/xen are looked for in $FAKEXEN_DIR instead. It has
 * to be an LD_PRELOAD, since a library further down is searched after libc for open().
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static int redirected(const char *path, int flags, mode_t mode)
{
    static const char prefix[] = "/proc/xen/";
    const char *dir = getenv("FAKEXEN_DIR");
    char other[160];

    if (dir && !strncmp(path, prefix, sizeof(prefix) - 1)) {
        snprintf(other, sizeof(other), "%s/%s", dir, path + sizeof(prefix) - 1);
        path = other;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    va_start(args, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(args, mode_t);
    va_end(args);
    return redirected(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    va_start(args, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(args, mode_t);
    va_end(args);
    return redirected(path, flags, mode);
}
