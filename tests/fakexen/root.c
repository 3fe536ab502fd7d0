// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that makes itself an empty root must still reach the pretended hypervisor, whose doorbells
 * are sockets with a path; a real one is reached by descriptors alone.  So where a process that uses the
 * grant library mounts a tmpfs, $FAKEXEN_DIR is mounted below it, under the same path, and nothing else.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* With all directories above it, whatever the umask. */
static int make_directory(char *path, size_t from)
{
    for (char *at = path + from + 1; at; *at++ = '/') {
        at = strchr(at, '/');
        if (at)
            *at = '\0';
        if (!mkdir(path, 0755))
            chmod(path, 0755);
        if (!at)
            break;
    }
    return 0;
}

int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data)
{
    const char *dir = getenv("FAKEXEN_DIR");
    char path[PATH_MAX];
    int err = (int)syscall(SYS_mount, source, target, type, flags, data);

    if (err || !dir || !type || strcmp(type, "tmpfs"))
        return err;
    snprintf(path, sizeof(path), "%s%s", target, dir);
    make_directory(path, strlen(target));
    return (int)syscall(SYS_mount, dir, path, NULL, MS_BIND, NULL);
}
