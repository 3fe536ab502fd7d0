// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fakecgroup: preloaded into a daemon, the control groups it finds are folders below $FAKECGROUP, where
 * a test reads and changes them: files `cgroup` and `mountinfo` there stand for those of /proc/self, a
 * folder made has the files that the kernel would put into it, and one with a living process stays.
 * A group that stays is a line of the file `refused`, if there is one.
 * While there is a file `die`, the daemon is gone in the moment it would send a worker a volume.
 *
 * Deliberately absent: what the kernel does with the values.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "wire.h"

#define FILES 5
#define ROOM  512

static const char *const files[FILES][2] = {{"cgroup.procs", ""},
                                            {"cpu.weight", "100\n"},
                                            {"pids.max", "max\n"},
                                            {"memory.max", "max\n"},
                                            {"memory.swap.max", "max\n"}};

static FILE *open_next(const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "fopen");

    memcpy(&next, &symbol, sizeof(next));
    return next(path, mode);
}

static int call_next(const char *name, const char *path, mode_t mode)
{
    int (*next)(const char *, mode_t) = NULL;
    void *symbol = dlsym(RTLD_NEXT, name);

    memcpy(&next, &symbol, sizeof(next));
    return next(path, mode);
}

static bool is_group(const char *path)
{
    const char *root = getenv("FAKECGROUP");

    return root && !strncmp(path, root, strlen(root)) && path[strlen(root)] == '/';
}

/* Takes the place of libc's, as all below. */
FILE *fopen(const char *path, const char *mode)
{
    const char *root = getenv("FAKECGROUP"), *name = strrchr(path, '/');
    char other[ROOM];

    if (root && (!strcmp(path, "/proc/self/cgroup") || !strcmp(path, "/proc/self/mountinfo"))) {
        snprintf(other, sizeof(other), "%s%s", root, name);
        path = other;
    }
    return open_next(path, mode);
}

int mkdir(const char *path, mode_t mode)
{
    char file[ROOM];

    if (call_next("mkdir", path, mode))
        return -1;
    for (int i = 0; i < FILES && is_group(path); i++) {
        snprintf(file, sizeof(file), "%s/%s", path, files[i][0]);
        FILE *f = open_next(file, "we");
        if (!f)
            abort();
        fputs(files[i][1], f);
        fclose(f);
    }
    return 0;
}

/* A worker has inherited us, and its sandbox knows no access(). */
ssize_t sendmsg(int sock, const struct msghdr *message, int flags)
{
    ssize_t (*next)(int, const struct msghdr *, int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "sendmsg");
    const char *root = getenv("FAKECGROUP");
    char die[ROOM];
    uint32_t type;

    memcpy(&next, &symbol, sizeof(next));
    snprintf(die, sizeof(die), "%s/die", root ? root : "");
    memcpy(&type, message->msg_iov[0].iov_base, sizeof(type));
    if (type == WIRE_VOLUME_ADD && root &&
        !strcmp(program_invocation_short_name, "blkback-ephemd") && !access(die, F_OK))
        _exit(137);
    return next(sock, message, flags);
}

/* The kernel does not count a process that has ended and is not waited for yet. */
static bool is_alive(int pid)
{
    char exe[64], target[ROOM];

    snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
    return pid && readlink(exe, target, sizeof(target)) > 0;
}

static void note_refused(const char *path)
{
    char file[ROOM];

    snprintf(file, sizeof(file), "%s/refused", getenv("FAKECGROUP"));
    FILE *f = open_next(file, "r+e");
    if (!f)
        return;
    fseek(f, 0, SEEK_END);
    fprintf(f, "%s\n", path);
    fclose(f);
}

int rmdir(const char *path)
{
    char file[ROOM];
    int pid = 0;

    snprintf(file, sizeof(file), "%s/cgroup.procs", path);
    FILE *f = is_group(path) ? open_next(file, "re") : NULL;
    if (f) {
        if (fscanf(f, "%d", &pid) != 1)
            pid = 0;
        fclose(f);
    }
    if (is_alive(pid)) {
        note_refused(path);
        errno = EBUSY;
        return -1;
    }
    for (int i = 0; i < FILES && f; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, files[i][0]);
        unlink(file);
    }
    return call_next("rmdir", path, 0);
}
