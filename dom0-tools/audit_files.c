// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_files: what the worker has open: each base read-only and written by nobody else; a pool that has
 * no name, or is a device nobody else has; and nothing besides that could keep what a guest wrote.
 * Memory files, the log (descriptors 0 to 2) and files on tmpfs that are no pool are let pass.
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

#include "audit_fds.h"
#include "audit_writers.h"
#include "ephemctl.h"

#define FILES_REMEDY "destroy the guest, and see who did that"

struct files_base {
    struct audit_file file;
    int missing; /* why the path tells nothing */
    bool open, written;
    pid_t writer; /* somebody else */
};

struct files {
    struct audit_domain *domain;
    struct files_base bases[AUDIT_DISKS];
    struct audit_fd pool; /* what the worker writes to; [0] of `pools` */
    unsigned int pools;
    char stray[AUDIT_PATH]; /* what it should not have */
    struct audit_file programs[2];
    pid_t other;   /* has the pool open, too */
    pid_t unseen;  /* could not be looked at */
    pid_t scanned; /* the process that is being looked at */
    bool scanned_is_ours;
};

static bool files_is_base(struct files *files, const struct audit_fd *fd)
{
    bool is = false;

    for (size_t i = 0; i < files->domain->count; i++) {
        struct files_base *base = &files->bases[i];

        if (!files->domain->disks[i].base[0] || base->missing ||
            !audit_file_same(&base->file, &fd->file))
            continue;
        base->open = is = true;
        base->written = base->written || fd->writable;
    }
    return is;
}

static void files_of_worker(void *arg, const struct audit_fd *fd)
{
    struct files *files = arg;

    if (files_is_base(files, fd) || (!fd->writable && !S_ISDIR(fd->mode)) ||
        !strncmp(fd->link, "/memfd:", 7))
        return;
    if ((S_ISREG(fd->mode) && !fd->links) || S_ISBLK(fd->mode)) {
        files->pool = *fd;
        files->pools++;
    } else if (S_ISDIR(fd->mode) || (fd->number > 2 && (fd->direct || !fd->in_memory))) {
        snprintf(files->stray, sizeof(files->stray), "%s", fd->link);
    }
}

static void files_of_others(void *arg, const struct audit_fd *fd)
{
    struct files *files = arg;

    for (size_t i = 0; i < files->domain->count; i++) {
        struct files_base *base = &files->bases[i];

        if (fd->writable && files->domain->disks[i].base[0] && !base->missing &&
            audit_file_same(&base->file, &fd->file))
            base->writer = files->scanned;
    }
    if (files->pools && audit_file_same(&files->pool.file, &fd->file) &&
        !(fd->file.block && files->scanned_is_ours))
        files->other = files->scanned;
}

/* Our programs share a device that is a pool. */
static bool files_is_program(const struct files *files, int dir)
{
    struct stat st;

    if (fstatat(dir, "exe", &st, 0))
        return false;
    struct audit_file exe = {.dev = st.st_dev, .ino = st.st_ino};
    return audit_file_same(&exe, &files->programs[0]) || audit_file_same(&exe, &files->programs[1]);
}

/* All processes but the worker, and us, who open nothing.  0 or negative errno: not all of them could be looked at. */
static int files_scan(struct files *files)
{
    DIR *proc = opendir("/proc");
    int err = proc ? 0 : -errno;

    for (struct dirent *at; proc && (at = readdir(proc));) {
        if (strspn(at->d_name, "0123456789") != strlen(at->d_name) ||
            atoi(at->d_name) == files->domain->pid || atoi(at->d_name) == getpid())
            continue;
        int dir = openat(dirfd(proc), at->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue; /* ended */
        files->scanned = atoi(at->d_name);
        files->scanned_is_ours = files_is_program(files, dir);
        int one = audit_fds(dir, files_of_others, files);
        if (one && one != -ENOENT && one != -ESRCH) {
            files->unseen = files->scanned;
            err = one;
        }
        close(dir);
    }
    if (proc)
        closedir(proc);
    return err;
}

static void files_judge_base(const struct files *files, size_t i, int err)
{
    const struct audit_disk *disk = &files->domain->disks[i];
    const struct files_base *base = &files->bases[i];
    json_t *checks = files->domain->checks;
    char check[48], how[AUDIT_PATH], name[48];
    const char *remedy;

    snprintf(check, sizeof(check), "base %s", disk->name);
    int writers = base->missing
                      ? 0
                      : audit_writers(&base->file, files->domain->givens, false, how, &remedy);

    if (base->written)
        audit_add(checks, AUDIT_FAIL, check, FILES_REMEDY, "the worker has %s open for writing",
                  disk->base);
    else if (base->writer)
        audit_add(checks, AUDIT_FAIL, check, "end that process; destroy the guest",
                  "process %s has %s open for writing", audit_process_name(base->writer, name),
                  disk->base);
    else if (writers > 0)
        audit_add(checks, AUDIT_FAIL, check, remedy, "%s %s", disk->base, how);
    else if (!base->open && disk->closed)
        audit_add(checks, AUDIT_OK, check, NULL, "not open: the disk is not connected");
    else if (!base->open)
        audit_add(checks, AUDIT_UNKNOWN, check, "start the guest again, on the base that is there",
                  "the worker does not have %s open: another file took its place (%s)", disk->base,
                  base->missing ? strerror(-base->missing) : "by that name");
    else if (writers)
        audit_add(checks, AUDIT_UNKNOWN, check, AUDIT_AS_ROOT,
                  "%s: whether the kernel writes to it is not known: %s", disk->base,
                  strerror(-writers));
    else if (err)
        audit_add(checks, AUDIT_UNKNOWN, check, AUDIT_AS_ROOT,
                  "read-only in the worker; who else has it open is not known: %s: %s",
                  audit_process_name(files->unseen, name), strerror(-err));
    else
        audit_add(checks, AUDIT_OK, check, NULL, "%s, open read-only, written by nobody",
                  disk->base);
}

/* The device that the daemon names, or none. */
static bool files_is_pool_device(const struct files *files, const char *spec)
{
    char path[AUDIT_PATH];
    struct audit_file file;

    if (strncmp(spec, "block:", 6))
        return false;
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(spec + 6, ","), spec + 6);
    return !audit_file_of(path, &file) && audit_file_same(&file, &files->pool.file);
}

static void files_judge_device(const struct files *files, const char *spec, int err)
{
    json_t *checks = files->domain->checks;
    const struct audit_file *pool = &files->pool.file;
    char how[AUDIT_PATH], name[48];
    const char *remedy;
    int others = audit_writers(pool, files->domain->givens, true, how, &remedy);

    if (others > 0)
        audit_add(checks, AUDIT_FAIL, "pool", remedy, "%s %s", files->pool.link, how);
    else if (files->other)
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY, "process %s has %s open, too",
                  audit_process_name(files->other, name), files->pool.link);
    else if (!files->domain->daemon)
        audit_add(checks, AUDIT_UNKNOWN, "pool", "start blkback-ephemd",
                  "%s: whether it is the pool only the daemon knows", files->pool.link);
    else if (!files_is_pool_device(files, spec))
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY, "it writes to %s; its pool is %s",
                  files->pool.link, spec);
    else if (others)
        audit_add(checks, AUDIT_UNKNOWN, "pool", AUDIT_AS_ROOT,
                  "%s: whether the kernel has it for others is not known: %s", files->pool.link,
                  strerror(-others));
    else if (err)
        audit_add(checks, AUDIT_UNKNOWN, "pool", AUDIT_AS_ROOT,
                  "%s: who else has it open is not known: %s: %s", files->pool.link,
                  audit_process_name(files->unseen, name), strerror(-err));
    else
        audit_add(checks, AUDIT_OK, "pool", NULL,
                  "device %s, in nobody's hands but ours; %lld bytes of it are this guest's",
                  files->pool.link, (long long)ctl_number(files->domain->owner, "pool_bytes"));
}

static void files_judge_pool(const struct files *files, int err)
{
    const char *spec = ctl_text(files->domain->owner, "pool");
    json_t *checks = files->domain->checks;
    char name[48];

    if (files->stray[0])
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY,
                  "the worker has %s open: it has a name, and is no log", files->stray);
    else if (files->pools > 1)
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY,
                  "the worker has %u files without a name or devices to write to, such as %s",
                  files->pools, files->pool.link);
    else if (files->pools && files->pool.file.block)
        files_judge_device(files, spec, err);
    else if (files->pools && files->other)
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY,
                  "process %s has the pool file open, too", audit_process_name(files->other, name));
    else if (err)
        audit_add(checks, AUDIT_UNKNOWN, "pool", AUDIT_AS_ROOT, "open files of %s: %s",
                  audit_process_name(files->unseen, name), strerror(-err));
    else if (files->pools)
        audit_add(checks, AUDIT_OK, "pool", NULL, "%s: no name, in nobody else's hands",
                  files->pool.link);
    else if (!files->domain->daemon)
        audit_add(checks, AUDIT_UNKNOWN, "pool", "start blkback-ephemd",
                  "no file and no device; whether it is in memory only the daemon knows");
    else if (!strncmp(spec, "ram:", 4))
        audit_add(checks, AUDIT_OK, "pool", NULL, "%s: in the worker's memory only", spec);
    else
        audit_add(checks, AUDIT_FAIL, "pool", FILES_REMEDY, "%s is not open in the worker", spec);
}

void audit_files(struct audit_domain *domain)
{
    struct files *files = calloc(1, sizeof(*files));
    char path[64];

    if (!files) {
        audit_add(domain->checks, AUDIT_UNKNOWN, "pool", AUDIT_AS_ROOT, "no memory");
        return;
    }
    files->domain = domain;
    for (size_t i = 0; i < domain->count; i++)
        if (domain->disks[i].base[0])
            files->bases[i].missing = audit_file_of(domain->disks[i].base, &files->bases[i].file);
    for (int i = 0; i < 2; i++) {
        json_int_t pid = i ? ctl_number(json_object_get(domain->daemon, "daemon"), "pid")
                           : domain->pid;

        snprintf(path, sizeof(path), "/proc/%lld/exe", (long long)pid);
        audit_file_of(path, &files->programs[i]);
    }
    int err = audit_fds(domain->dir, files_of_worker, files);
    int others = files_scan(files);
    if (err)
        files->unseen = domain->pid;
    for (size_t i = 0; i < domain->count; i++)
        if (domain->disks[i].base[0])
            files_judge_base(files, i, err ? err : others);
    files_judge_pool(files, err ? err : others);
    free(files);
}
