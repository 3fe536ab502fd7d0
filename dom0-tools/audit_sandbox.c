// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_sandbox: what the worker's process may do, by the kernel's books on each of its threads and on
 * its undertaker: ids, capabilities, filters of system calls, tracers; dumps; namespaces and root.
 */
#include "audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_proc.h"

#define SANDBOX_REMEDY "destroy the guest: what serves it is not confined; see the daemon's log"

struct sandbox {
    unsigned int threads;
    unsigned int mighty;     /* with an id of root's, a further group or a capability */
    unsigned int unfiltered; /* without seccomp's filter, or able to gain privileges */
    unsigned int traced;
    uint64_t tracer;
    int err;
};

/* A field that is missing is an error, never 0. */
static int sandbox_judge_thread(const char *status, struct sandbox *sum)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
    uint64_t ids[8], capabilities = 0, set, seccomp, privileges, tracer;
    bool root = false;
    char groups[64];
    int err = proc_numbers(status, "Uid", ids, 4);

    if (!err)
        err = proc_numbers(status, "Gid", ids + 4, 4);
    for (size_t i = 0; i < 4 && !err; i++) {
        err = proc_hex(status, sets[i], &set);
        capabilities |= set;
    }
    if (!err)
        err = proc_number(status, "Seccomp", &seccomp);
    if (!err)
        err = proc_number(status, "NoNewPrivs", &privileges);
    if (!err)
        err = proc_number(status, "TracerPid", &tracer);
    int more = proc_field(status, "Groups", groups, sizeof(groups));
    if (err || more == -ENOENT)
        return err ? err : more;
    for (size_t i = 0; i < 8; i++)
        root = root || !ids[i];
    root = root || more || *groups;
    sum->threads++;
    sum->mighty += root || capabilities;
    sum->unfiltered += seccomp != 2 || privileges != 1;
    sum->traced += tracer != 0;
    if (tracer)
        sum->tracer = tracer;
    return 0;
}

static void sandbox_look(int process, struct sandbox *sum)
{
    int fd = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    unsigned int before = sum->threads;

    if (!tasks)
        sum->err = -errno;
    for (struct dirent *at; tasks && (at = readdir(tasks));) {
        char name[300];

        if (at->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/status", at->d_name);
        char *text = audit_read(fd, name);
        int err = text ? sandbox_judge_thread(text, sum) : -errno;
        /* A thread may end meanwhile, a process not. */
        if (err && (text || (err != -ENOENT && err != -ESRCH)))
            sum->err = err;
        free(text);
    }
    if (tasks)
        closedir(tasks);
    if (sum->threads == before && !sum->err)
        sum->err = -ESRCH;
}

static void sandbox_threads(const struct audit_domain *domain)
{
    struct sandbox sum = {.threads = 0};
    json_t *checks = domain->checks;
    char name[48];

    sandbox_look(domain->dir, &sum);
    if (domain->undertaker_dir >= 0)
        sandbox_look(domain->undertaker_dir, &sum);
    if (sum.err)
        audit_add(checks, AUDIT_UNKNOWN, "threads", AUDIT_AS_ROOT, "not all could be looked at: %s",
                  strerror(-sum.err));
    if (sum.mighty)
        audit_add(checks, AUDIT_FAIL, "privileges", SANDBOX_REMEDY,
                  "%u of %u threads have an id of root's, further groups, or capabilities",
                  sum.mighty, sum.threads);
    else if (!sum.err)
        audit_add(checks, AUDIT_OK, "privileges", NULL,
                  "no id of root's, no further group and no capability in %u threads", sum.threads);
    if (sum.unfiltered)
        audit_add(checks, AUDIT_FAIL, "system calls", SANDBOX_REMEDY,
                  "%u of %u threads are not filtered, or may gain privileges", sum.unfiltered,
                  sum.threads);
    else if (!sum.err)
        audit_add(checks, AUDIT_OK, "system calls", NULL,
                  "filtered in %u threads, and no new privileges", sum.threads);
    if (sum.traced)
        audit_add(checks, AUDIT_FAIL, "traced", "end that process; then start the guest again",
                  "process %s traces it: it can read the key",
                  audit_process_name((pid_t)sum.tracer, name));
    else if (!sum.err)
        audit_add(checks, AUDIT_OK, "traced", NULL, "by nobody");
}

/* Whether a process that is not to be dumped by all may be so for root: its files do not tell one from the
 * other.  1, 0 or negative errno. */
static int sandbox_dumps_for_root(void)
{
    char *text = audit_read(AT_FDCWD, "/proc/sys/fs/suid_dumpable");
    int is = text ? *text == '2' : -errno;

    if (text && (!*text || !strchr("012", *text)))
        is = -EINVAL;
    free(text);
    return is;
}

/* Files of a process that may not be dumped belong to root. */
static void sandbox_dumps(const struct audit_domain *domain, int process, const char *whose)
{
    json_t *checks = domain->checks;
    uint64_t soft = 1, hard = 1, ids[4] = {0};
    struct stat mem;
    char *limits = audit_read(process, "limits"), *status = audit_read(process, "status");
    int err = limits && status ? 0 : -errno;

    if (!err)
        err = proc_limit(limits, "Max core file size", &soft, &hard);
    if (!err)
        err = proc_numbers(status, "Uid", ids, 4);
    if (!err && fstatat(process, "mem", &mem, 0))
        err = -errno;
    free(limits);
    free(status);
    if (err)
        audit_add(checks, AUDIT_UNKNOWN, "dumps", AUDIT_AS_ROOT, "%s: %s", whose, strerror(-err));
    else if (soft || hard)
        audit_add(checks, AUDIT_FAIL, "dumps", SANDBOX_REMEDY, "%s may leave a core file", whose);
    else if (!ids[1])
        audit_add(checks, AUDIT_UNKNOWN, "dumps", SANDBOX_REMEDY,
                  "%s is root's: whether it can be dumped does not show", whose);
    else if (mem.st_uid == ids[1])
        audit_add(checks, AUDIT_FAIL, "dumps", SANDBOX_REMEDY,
                  "%s is dumpable: others of its user can trace it and read its memory", whose);
    else if ((err = sandbox_dumps_for_root()))
        audit_add(checks, AUDIT_UNKNOWN, "dumps",
                  err > 0 ? "sysctl fs.suid_dumpable=0; then start the guest again" : AUDIT_AS_ROOT,
                  "%s: whether it can be dumped for root does not show: fs.suid_dumpable: %s",
                  whose, err > 0 ? "2" : strerror(-err));
    else
        audit_add(checks, AUDIT_OK, "dumps", NULL, "%s is not dumpable, and its core limit is 0",
                  whose);
}

/* Dom0's are those of its first process, wherever we are ourselves. */
int audit_in_dom0(int process, const char *space)
{
    char path[32], first[64], its[64];

    snprintf(path, sizeof(path), "/proc/1/ns/%s", space);
    ssize_t firsts = readlink(path, first, sizeof(first) - 1);
    if (firsts < 0) /* all kernels have mounts' */
        return errno == ENOENT && !strcmp(space, "mnt") ? -ESRCH : -errno;
    ssize_t len = readlinkat(process, path + sizeof("/proc/1/") - 1, its, sizeof(its) - 1);
    if (len < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    first[firsts] = its[len] = '\0';
    return !strcmp(first, its);
}

static void sandbox_namespaces(const struct audit_domain *domain)
{
    static const char *const spaces[] = {"net", "ipc", "uts", "mnt", "cgroup"};
    char shared[64] = "";
    int err = 0;

    for (size_t i = 0; i < sizeof(spaces) / sizeof(*spaces); i++) {
        int is = audit_in_dom0(domain->dir, spaces[i]);

        if (is > 0)
            snprintf(shared + strlen(shared), sizeof(shared) - strlen(shared), " %s", spaces[i]);
        else if (is < 0 && is != -ENOENT)
            err = is;
    }
    if (*shared)
        audit_add(domain->checks, AUDIT_FAIL, "namespaces", SANDBOX_REMEDY, "shared with dom0:%s",
                  shared);
    else if (err)
        audit_add(domain->checks, AUDIT_UNKNOWN, "namespaces", AUDIT_AS_ROOT, "%s", strerror(-err));
    else
        audit_add(domain->checks, AUDIT_OK, "namespaces", NULL,
                  "its own: all that the kernel has of network, IPC, UTS, mount, cgroup");
}

/* What is mounted in the worker's namespace: memory only, and its root cannot be written. */
static int sandbox_mounts(char *text, char *why, size_t size)
{
    struct proc_mount mount;
    bool readonly = false, root = false;
    int err;

    *why = '\0';
    while (!(err = proc_mount(&text, &mount))) {
        if (strcmp(mount.type, "tmpfs"))
            snprintf(why, size, "%.60s is mounted at %.100s", mount.type, mount.place);
        if (!strcmp(mount.place, "/")) {
            root = true;
            readonly = !mount.writable;
        }
    }
    if (err != -ENOENT || !root)
        return -EINVAL;
    if (!*why && !readonly)
        snprintf(why, size, "its root can be written");
    return 0;
}

/* Below its root are directories that are mounted over, at most. */
static int sandbox_files(int process, char *why, size_t size)
{
    int fd = openat(process, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *root = fd < 0 ? NULL : fdopendir(fd);
    int err = root ? 0 : -errno;

    for (struct dirent *at; root && (at = readdir(root));) {
        struct stat st;

        if (!fstatat(fd, at->d_name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
            snprintf(why, size, "its root has files, such as %.100s", at->d_name);
    }
    if (root)
        closedir(root);
    else if (fd >= 0)
        close(fd);
    return err;
}

static void sandbox_root(const struct audit_domain *domain)
{
    char why[256] = "";
    char *text = audit_read(domain->dir, "mountinfo");
    int err = text ? sandbox_mounts(text, why, sizeof(why)) : -errno;

    free(text);
    if (!err && !*why)
        err = sandbox_files(domain->dir, why, sizeof(why));
    if (err)
        audit_add(domain->checks, AUDIT_UNKNOWN, "root", AUDIT_AS_ROOT, "%s", strerror(-err));
    else if (*why)
        audit_add(domain->checks, AUDIT_FAIL, "root", SANDBOX_REMEDY, "%s", why);
    else
        audit_add(domain->checks, AUDIT_OK, "root", NULL, "empty, read-only, in memory");
}

void audit_sandbox(struct audit_domain *domain)
{
    sandbox_threads(domain);
    sandbox_dumps(domain, domain->dir, "the worker");
    if (domain->undertaker_dir >= 0)
        sandbox_dumps(domain, domain->undertaker_dir, "its undertaker");
    else
        audit_add(domain->checks, AUDIT_WARN, "undertaker", "start the guest again",
                  "it has none (any more): its buffers are not wiped if it is killed");
    sandbox_namespaces(domain);
    sandbox_root(domain);
}
