// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * careless: preloaded into the daemon and so into its workers, they leave out what $CARELESS names, so
 * that audit has real processes to find fault with:
 *   base        the worker is handed its bases open for writing
 *   pool        the pool file has a name
 *   dumps       the process may be dumped
 *   cores       it may leave core files
 *   filter      no filter of system calls
 *   root        user and group stay root's
 *   hidden      no memfd_secret, as on an older kernel
 *   unlocked    that, and no memory is locked
 *   net         the network is dom0's
 *   writable    the root can be written
 *   groups      it stays in a group
 * and ephemctl cannot do what belongs to
 *   list        listing the backends of the daemon in xenstore
 * Only one at a time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static int is(const char *what)
{
    const char *wanted = getenv("CARELESS");

    return wanted && !strcmp(wanted, what);
}

/* The function that stands behind ours. */
#define BEHIND(name, type) __extension__((type)dlsym(RTLD_NEXT, name))

int open(const char *path, int flags, ...)
{
    int (*behind)(const char *, int, ...) = BEHIND("open", int (*)(const char *, int, ...));
    char name[4096];
    mode_t mode = 0;
    va_list args;

    va_start(args, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = va_arg(args, mode_t);
    va_end(args);
    if ((flags & O_TMPFILE) != O_TMPFILE || !is("pool"))
        return behind(path, flags, mode);
    snprintf(name, sizeof(name), "%s/left-behind", path);
    return behind(name, (flags & ~(O_TMPFILE | O_EXCL)) | O_CREAT, mode);
}

/* A base among the descriptors that go to the worker is opened once more.  To be closed; -1: none. */
static int reopen(struct msghdr *msg)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(msg);
    char path[64];
    struct stat st;
    int fd;

    if (!head || head->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    fd = BEHIND("open", int (*)(const char *, int, ...))(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    return fd;
}

ssize_t sendmsg(int sock, const struct msghdr *msg, int flags)
{
    struct msghdr copy = *msg;
    int fd = is("base") ? reopen(&copy) : -1;
    ssize_t sent = BEHIND("sendmsg", ssize_t(*)(int, const struct msghdr *, int))(sock, &copy,
                                                                                  flags);

    if (fd >= 0)
        close(fd);
    return sent;
}

int prctl(int option, ...)
{
    unsigned long a[4];
    va_list args;

    va_start(args, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    if (option == PR_SET_DUMPABLE && is("dumps"))
        a[0] = 1;
    return BEHIND("prctl", int (*)(int, ...))(option, a[0], a[1], a[2], a[3]);
}

int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
    if (what == RLIMIT_CORE && is("cores"))
        return 0;
    return BEHIND("setrlimit", int (*)(int, const struct rlimit *))((int)what, limit);
}

int seccomp_load(void *context)
{
    return is("filter") ? 0 : BEHIND("seccomp_load", int (*)(void *))(context);
}

int setresuid(uid_t real, uid_t effective, uid_t saved)
{
    if (is("root"))
        return 0;
    return BEHIND("setresuid", int (*)(uid_t, uid_t, uid_t))(real, effective, saved);
}

int setgroups(size_t count, const gid_t *groups)
{
    static const gid_t disk = 6;
    int (*behind)(size_t, const gid_t *) = BEHIND("setgroups", int (*)(size_t, const gid_t *));

    return is("groups") ? behind(1, &disk) : behind(count, groups);
}

char **xs_directory(void *xs, unsigned int transaction, const char *path, unsigned int *count);

char **xs_directory(void *xs, unsigned int transaction, const char *path, unsigned int *count)
{
    if (is("list") && !strcmp(path, "backend/vbd3")) {
        errno = EACCES;
        return NULL;
    }
    return BEHIND("xs_directory", char **(*)(void *, unsigned int, const char *, unsigned int *))(
        xs, transaction, path, count);
}

long syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_memfd_secret && (is("hidden") || is("unlocked"))) {
        errno = ENOSYS;
        return -1;
    }
    return BEHIND("syscall", long (*)(long, ...))(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int mlock(const void *at, size_t bytes)
{
    return is("unlocked") ? 0 : BEHIND("mlock", int (*)(const void *, size_t))(at, bytes);
}

int mlock2(const void *at, size_t bytes, unsigned int flags)
{
    if (is("unlocked"))
        return 0;
    return BEHIND("mlock2", int (*)(const void *, size_t, unsigned int))(at, bytes, flags);
}

int unshare(int spaces)
{
    return spaces == CLONE_NEWNET && is("net") ? 0 : BEHIND("unshare", int (*)(int))(spaces);
}

int mount(const char *from, const char *to, const char *type, unsigned long flags, const void *data)
{
    if (flags & MS_REMOUNT && is("writable"))
        return 0;
    return BEHIND("mount", int (*)(const char *, const char *, const char *, unsigned long,
                                   const void *))(from, to, type, flags, data);
}
