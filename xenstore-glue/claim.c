// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * claim: a second daemon would find guests connected whose workers are not in its own run-dir, take
 * their data for lost and close their disks.  So the claim also binds while its daemon is gone but
 * its workers are not.
 */
#include "claim.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "paths.h"
#include "process.h"

#define CLAIM_VALUE 192
#define CLAIM_DIR   65 /* policy allows no longer run-dir */

struct claim {
    const char *run_dir;
    uint64_t nonce, now, since;
    char *text;
};

/* What we have written; empty until then. */
static char claim_ours[CLAIM_VALUE];

/* The worker whose pid file this is still runs. */
static bool claim_worker_lives(int dir, const char *name)
{
    unsigned long long started = 0;
    char path[320];
    int pid = 0;

    snprintf(path, sizeof(path), "/proc/self/fd/%d/%.255s", dir, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool lives = fscanf(file, "%d %llu", &pid, &started) == 2 && pid > 1 && started &&
                 process_started(pid) == started;
    fclose(file);
    return lives;
}

static bool claim_has_workers(const char *run_dir)
{
    const struct dirent *entry;
    bool lives = false;
    char path[128];

    snprintf(path, sizeof(path), "%s/workers", run_dir);
    DIR *dir = opendir(path);
    if (!dir)
        return false;
    while (!lives && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        lives = len > 4 && !strcmp(entry->d_name + len - 4, ".pid") &&
                claim_worker_lives(dirfd(dir), entry->d_name);
    }
    closedir(dir);
    return lives;
}

/* What stands there, written by an earlier daemon or another one. */
static int claim_judge(struct claim *claim, const char *value)
{
    char run_dir[CLAIM_DIR] = "", nonce[20];
    unsigned long long started = 0, since = 0;
    int pid = 0;

    if (sscanf(value, "%d %llu %19s %llu %64[^\n]", &pid, &started, nonce, &since, run_dir) != 5)
        return 0; /* nothing a daemon wrote: no claim */
    if (!strcmp(run_dir, claim->run_dir)) {
        claim->since = since; /* its lock is ours, so its daemon is gone or we are it */
        return 0;
    }
    if (pid > 1 && pid != getpid() && started && process_started(pid) == started)
        snprintf(claim->text, CLAIM_TEXT,
                 "another blkback-ephemd, pid %d with --run-dir %s, serves this host: end it first",
                 pid, run_dir);
    else if (claim_has_workers(run_dir))
        snprintf(claim->text, CLAIM_TEXT,
                 "workers of --run-dir %s serve guests of this host: start blkback-ephemd with it",
                 run_dir);
    else
        return 0;
    return -EBUSY;
}

static int claim_body(struct xenstore *xs, void *arg)
{
    struct claim *claim = arg;
    char value[CLAIM_VALUE];

    claim->since = claim->now;
    int err = xenstore_read(xs, path_claim(), value, sizeof(value));
    if (!err)
        err = claim_judge(claim, value);
    else if (err == -ENOENT || err == -E2BIG || err == -EINVAL)
        err = 0;
    if (err)
        return err;
    snprintf(claim_ours, sizeof(claim_ours), "%d %llu %016llx %llu %.64s", (int)getpid(),
             process_started(getpid()), (unsigned long long)claim->nonce,
             (unsigned long long)claim->since, claim->run_dir);
    return xenstore_write(xs, path_claim(), claim_ours);
}

int claim_take(struct xenstore *xs, const char *run_dir, uint64_t now, uint64_t *since,
               char text[CLAIM_TEXT])
{
    struct claim claim = {.run_dir = run_dir, .now = now, .text = text};

    if (!strcmp(path_backends(), PATH_DRIVER) && !xenstore_self(xs)) {
        snprintf(text, CLAIM_TEXT,
                 "--driver-domain: this is dom0, or xenstore does not say which domain it is: the "
                 "disks here are the kernel's");
        return -EPERM;
    }
    text[0] = '\0';
    if (getrandom(&claim.nonce, sizeof(claim.nonce), 0) != (ssize_t)sizeof(claim.nonce))
        return -EIO;
    int err = xenstore_transact(xs, claim_body, &claim);
    *since = claim.since;
    return err;
}

bool claim_stands(struct xenstore *xs)
{
    char value[CLAIM_VALUE];
    int err = xenstore_read(xs, path_claim(), value, sizeof(value));

    return err ? err != -ENOENT : !strcmp(value, claim_ours);
}
