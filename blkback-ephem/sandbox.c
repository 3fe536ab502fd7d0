// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sandbox: a process that holds a key must not be dumped, traced, swapped, or able to become more
 * than it is.  A worker also sees nothing: it has a network without interfaces, no IPC, a root that is
 * empty and read-only.  It is of a user of its own, since who is of the same could stop or kill it.  `serve` keeps its uid and its root, because it removes its socket at the end.
 *
 * Deliberately absent: a PID namespace, which unshare() makes for children only, and a worker's pid
 * has to mean the same to the daemon after it (signals to others are no allowed system call anyway);
 * a user namespace, which would give capabilities back; limits on memory and CPU time, which are the
 * daemon's (its cgroups).
 */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "log.h"
#include "syscalls.h"

#define NOBODY 65534u
#define USER   "blkback-ephem"
#define USERS  "/etc/passwd"

/* Where the empty root is made, in a namespace of its own; every Linux system has the directory. */
#define ROOT_PLACE "/proc"

__attribute__((format(printf, 3, 4))) static int sandbox_fail(char text[SANDBOX_TEXT], int err,
                                                              const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int at = vsnprintf(text, SANDBOX_TEXT, fmt, args);
    va_end(args);
    if (at >= 0 && at < SANDBOX_TEXT)
        snprintf(text + at, (size_t)(SANDBOX_TEXT - at), ": %s", strerror(-err));
    return err;
}

void sandbox_enter(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    mallopt(M_ARENA_MAX, 1);
    umask(0177);
}

/* Future mappings count against the limit: with a finite one they would fail instead of swap. */
static int sandbox_lock(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY)
        return 0;
    return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? -errno : 0;
}

static int sandbox_drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];

    memset(none, 0, sizeof(none));
    return syscall(SYS_capset, &header, none) ? -errno : 0;
}

/* From an initramfs there is no pivot_root(): then the old root stays underneath, out of reach. */
static int sandbox_turn_root(void)
{
    if (!syscall(SYS_pivot_root, ".", "."))
        return umount2(".", MNT_DETACH) ? -errno : 0;
    if (errno != EINVAL)
        return -errno;
    return mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") ? -errno : 0;
}

/* Slave: what dom0 unmounts must not be kept by us. */
static int sandbox_empty_root(void)
{
    unsigned long nothing = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
        mount("none", ROOT_PLACE, "tmpfs", nothing, "mode=0555,size=4k") || chdir(ROOT_PLACE) ||
        mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | nothing, NULL))
        return -errno;
    int err = sandbox_turn_root();
    return !err && chdir("/") ? -errno : err;
}

/* One that the kernel was built without keeps nobody from being served; one that we are refused does. */
static int sandbox_unshare(char text[SANDBOX_TEXT])
{
    static const struct {
        int flag;
        const char *name;
    } spaces[] = {{CLONE_NEWNET, "network"},
                  {CLONE_NEWIPC, "IPC"},
                  {CLONE_NEWUTS, "UTS"},
                  {CLONE_NEWCGROUP, "cgroup"},
                  {CLONE_NEWNS, "mount"}};

    for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
        if (!unshare(spaces[i].flag))
            continue;
        if (errno != EINVAL || spaces[i].flag == CLONE_NEWNS)
            return sandbox_fail(text, -errno, "the worker cannot have a %s namespace of its own",
                                spaces[i].name);
        log_warn("this kernel has no %s namespaces: the worker shares it with dom0",
                 spaces[i].name);
    }
    int err = SYSCALLS_REPORTS ? 0 : sandbox_empty_root();
    return err ? sandbox_fail(text, err, "the worker cannot have an empty root") : 0;
}

/* By the file: what the name service would load is nothing for a process that will hold a key. */
int sandbox_user(const char *path, uid_t *uid, gid_t *gid)
{
    char line[4096];
    struct passwd room, *user = NULL;
    FILE *file = fopen(path, "re");

    *uid = NOBODY;
    *gid = NOBODY;
    if (!file)
        return errno == ENOENT ? 0 : -errno;
    int err = 0;
    while (!err && (!user || strcmp(user->pw_name, USER)))
        err = -fgetpwent_r(file, &room, line, sizeof(line), &user);
    fclose(file);
    if (err)
        return err == -ENOENT ? 0 : err;
    *uid = user->pw_uid;
    *gid = user->pw_gid;
    return *uid && *gid ? 0 : -EPERM;
}

static int sandbox_become(uid_t uid, gid_t gid)
{
    if (geteuid() == 0 &&
        (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)))
        return -errno;
    return 0;
}

int sandbox_drop(enum sandbox_kind kind, char text[SANDBOX_TEXT])
{
    bool worker = kind == SANDBOX_WORKER;
    uid_t uid = NOBODY;
    gid_t gid = NOBODY;
    int err = worker ? sandbox_user(USERS, &uid, &gid) : 0;

    if (err)
        return sandbox_fail(text, err, "the user " USER " of " USERS " cannot be had");
    err = worker ? sandbox_unshare(text) : 0;
    if (err)
        return err;
    err = sandbox_lock();
    if (err)
        return sandbox_fail(text, err, "memory cannot be locked");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        err = -errno;
    if (!err && worker)
        err = sandbox_become(uid, gid);
    if (!err)
        err = sandbox_drop_capabilities();
    /* Changing ids makes a process dumpable again. */
    if (!err && prctl(PR_SET_DUMPABLE, 0))
        err = -errno;
    if (err)
        return sandbox_fail(text, err, "privileges cannot be dropped");
    err = syscalls_allow(worker ? SYSCALLS_WORKER_SETUP : SYSCALLS_SERVE_SETUP);
    return err ? sandbox_fail(text, err, "system calls cannot be filtered (seccomp)") : 0;
}

int sandbox_close(enum sandbox_kind kind, char text[SANDBOX_TEXT])
{
    bool worker = kind == SANDBOX_WORKER;
    struct rlimit none = {0, 0};

    /* The filter alone forbids it: a second lock, which the kernel keeps by another book. */
    int err = !SYSCALLS_REPORTS && setrlimit(RLIMIT_NPROC, &none) ? -errno : 0;
    if (err)
        return sandbox_fail(text, err, "threads cannot be limited");
    err = syscalls_allow(worker ? SYSCALLS_WORKER : SYSCALLS_SERVE);
    return err ? sandbox_fail(text, err, "system calls cannot be filtered (seccomp)") : 0;
}
