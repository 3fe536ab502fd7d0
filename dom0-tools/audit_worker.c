// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_worker: which process has the key.  The daemon notes each worker's pid with its start time in
 * its run-dir, where root alone writes; the kernel says whether that process still is that one, xenstore
 * whether the domain still is that one, and the daemon, where it answers, must mean the same.  From
 * then on everything is looked up below one descriptor of /proc/PID, which never means another process.
 *
 * A worker makes its key as it starts and has no other, so the key is as old as the process.
 */
#include "audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit_proc.h"
#include "ephemctl.h"

#define WORKER_START_AGAIN "its disks are dead and its key is gone: start the guest again"

struct worker_note {
    struct proc_note note;
    uint32_t domid; /* the guest's */
    unsigned long long life;
};

/* Of a name "<domid>.<life>.pid" in `dir`.  False: none, or not one that root (or we) wrote. */
static bool worker_read_note(int dir, const char *name, struct worker_note *out)
{
    struct stat st;
    int end = 0;

    if (sscanf(name, "%u.%llu.pid%n", &out->domid, &out->life, &end) != 2 || !end || name[end] ||
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
        (st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
        return false;
    char *text = audit_read(dir, name);
    bool fits = text && !proc_note(text, &out->note);
    free(text);
    return fits;
}

static DIR *worker_notes(const char *run_dir)
{
    char path[AUDIT_PATH];

    snprintf(path, sizeof(path), "%s/workers", run_dir);
    return opendir(path);
}

size_t audit_noted(const char *run_dir, json_t *checks, uint32_t *domids, size_t room)
{
    DIR *dir = worker_notes(run_dir);
    struct worker_note note;
    size_t count = 0;

    if (!dir && errno != ENOENT)
        audit_add(checks, AUDIT_UNKNOWN, "workers", AUDIT_AS_ROOT, "%s/workers: %s", run_dir,
                  strerror(errno));
    for (struct dirent *at; dir && (at = readdir(dir)) && count + 1 < room;) {
        if (!worker_read_note(dirfd(dir), at->d_name, &note))
            continue;
        domids[count++] = note.domid;
        if (note.note.stubdom)
            domids[count++] = (uint32_t)note.note.stubdom;
    }
    if (dir)
        closedir(dir);
    return count;
}

/* How well a note fits: 0 not; 1 the domid, which comes again; 2 the very domain, by its UUID. */
static int worker_fits(const struct audit_domain *domain, const struct worker_note *note)
{
    const char *uuid = note->domid == domain->domid ? note->note.uuid : note->note.stubdom_uuid;

    if (note->domid != domain->domid && note->note.stubdom != domain->domid)
        return 0;
    return strcmp(uuid, domain->uuid) ? 1 : 2;
}

/* The best and newest note of the domain.  -ENOENT: none; else why they cannot be read. */
static int worker_find(const struct audit_domain *domain, const char *run_dir,
                       struct worker_note *out)
{
    DIR *dir = worker_notes(run_dir);
    struct worker_note note;
    int best = 0;

    if (!dir)
        return -errno;
    for (struct dirent *at; (at = readdir(dir));) {
        int fits = worker_read_note(dirfd(dir), at->d_name, &note) ? worker_fits(domain, &note) : 0;

        if (!fits || fits < best || (fits == best && note.life < out->life))
            continue;
        *out = note;
        best = fits;
    }
    closedir(dir);
    return best ? 0 : -ENOENT;
}

/* /proc/PID of that very process.  Its descriptor, or negative errno: -ESRCH: has ended. */
static int worker_open(pid_t pid, uint64_t wanted)
{
    char path[32], state;
    uint64_t parent, started;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    char *text = audit_read(dir, "stat");
    int err = text ? proc_stat(text, &state, &parent, &started) : -errno;
    free(text);
    if (!err && ((wanted && started != wanted) || state == 'Z' || state == 'X'))
        err = -ESRCH;
    if (!err)
        return dir;
    close(dir);
    return err;
}

/* It is the worker's only child. */
static void worker_find_undertaker(struct audit_domain *domain)
{
    DIR *proc = opendir("/proc");
    uint64_t parent, started;
    char state;

    for (struct dirent *at; proc && (at = readdir(proc)) && domain->undertaker_dir < 0;) {
        char path[300];

        snprintf(path, sizeof(path), "%s/stat", at->d_name);
        if (strspn(at->d_name, "0123456789") != strlen(at->d_name))
            continue;
        char *text = audit_read(dirfd(proc), path);
        if (text && !proc_stat(text, &state, &parent, &started) && state != 'Z' &&
            parent == (uint64_t)domain->pid) {
            domain->undertaker = atoi(at->d_name);
            domain->undertaker_dir = worker_open(domain->undertaker, started);
        }
        free(text);
    }
    if (proc)
        closedir(proc);
}

static void worker_age(struct audit_domain *domain, uint64_t started)
{
    long ticks = sysconf(_SC_CLK_TCK);
    struct timespec now;

    if (ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) ||
        started / (uint64_t)ticks > (uint64_t)now.tv_sec) {
        audit_add(domain->checks, AUDIT_UNKNOWN, "key age", AUDIT_AS_ROOT,
                  "the worker's start cannot be told");
        return;
    }
    uint64_t age = (uint64_t)now.tv_sec - started / (uint64_t)ticks;
    domain->key_age = age;
    domain->aged = true;
    audit_add(domain->checks, AUDIT_OK, "key age", NULL,
              "made %llu d %llu h %llu min %llu s ago, as the worker started",
              (unsigned long long)(age / 86400), (unsigned long long)(age / 3600 % 24),
              (unsigned long long)(age / 60 % 60), (unsigned long long)(age % 60));
}

/* The process is there: is it what it should be? */
static void worker_judge(struct audit_domain *domain, const struct worker_note *found)
{
    bool stub = found->domid != domain->domid;
    const char *uuid = stub ? found->note.stubdom_uuid : found->note.uuid;
    json_int_t said = ctl_number(domain->owner, "worker_pid");
    char exe[AUDIT_PATH] = "";
    ssize_t len = readlinkat(domain->dir, "exe", exe, sizeof(exe) - 1);
    const char *base = strrchr(exe, '/');
    const char *verdict = NULL;

    if (domain->uuid[0] && strcmp(domain->uuid, uuid))
        verdict = "was started for an earlier guest with this domid";
    else if (domain->daemon && said != domain->pid)
        verdict = "is noted, but blkback-ephemd means another, or none";
    if (verdict)
        audit_add(domain->checks, AUDIT_FAIL, "worker", "start the guest again", "process %d %s",
                  (int)domain->pid, verdict);
    else if (!domain->uuid[0])
        audit_add(domain->checks, AUDIT_UNKNOWN, "worker", "see whether xenstored runs",
                  "process %d: whether it was started for this guest only xenstore knows",
                  (int)domain->pid);
    else if (len < 0)
        audit_add(domain->checks, AUDIT_UNKNOWN, "worker", AUDIT_AS_ROOT,
                  "process %d: its program cannot be seen: %s", (int)domain->pid, strerror(errno));
    else if (!base || strncmp(base, "/blkback-ephem", 14) || (base[14] && base[14] != ' '))
        audit_add(domain->checks, AUDIT_FAIL, "worker", "see blkback-ephemd's option --worker",
                  "process %d is no blkback-ephem, but %s", (int)domain->pid, exe);
    else if (*ctl_text(domain->owner, "state"))
        audit_add(domain->checks, AUDIT_WARN, "worker", "see blkback-ephemd's log",
                  "process %d; blkback-ephemd says: %s", (int)domain->pid,
                  ctl_text(domain->owner, "state"));
    else
        audit_add(domain->checks, AUDIT_OK, "worker", NULL, "process %d, %s%s", (int)domain->pid,
                  exe, stub ? ", the one of its guest" : "");
}

void audit_worker(struct audit_domain *domain, const char *run_dir)
{
    struct worker_note found = {.domid = 0};
    int err = worker_find(domain, run_dir, &found);

    domain->dir = domain->undertaker_dir = -1;
    if (err == -ENOENT) {
        audit_add(domain->checks, AUDIT_FAIL, "worker", WORKER_START_AGAIN,
                  "no worker is noted in %s/workers", run_dir);
        return;
    }
    domain->pid = err ? 0 : (pid_t)found.note.pid;
    domain->dir = err ? err : worker_open(domain->pid, found.note.started);
    if (domain->dir == -ESRCH)
        audit_add(domain->checks, AUDIT_FAIL, "worker", WORKER_START_AGAIN, "process %d has ended",
                  (int)domain->pid);
    else if (domain->dir < 0)
        audit_add(domain->checks, AUDIT_UNKNOWN, "worker", AUDIT_AS_ROOT, "%s: %s",
                  err ? run_dir : "/proc", strerror(-domain->dir));
    if (domain->dir < 0)
        return;
    worker_judge(domain, &found);
    worker_age(domain, found.note.started);
    worker_find_undertaker(domain);
}

const char *audit_process_name(pid_t pid, char out[48])
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    char *text = audit_read(AT_FDCWD, path);
    snprintf(out, 48, "%d (%.*s)", (int)pid, text ? (int)strcspn(text, "\n") : 1,
             text ? text : "?");
    free(text);
    return out;
}
