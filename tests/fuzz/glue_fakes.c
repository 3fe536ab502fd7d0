// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * glue_fakes: what xs.c, evtchn.c and process.c do, undone.
 */
#include "glue_fakes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "evtchn.h"
#include "extents.h"
#include "fuzz.h"
#include "kernel.h"
#include "life.h"
#include "process.h"
#include "scan.h"
#include "tombstone.h"
#include "vbd.h"

bool fake_killed;
uint64_t fake_scans;

static char run_dir[] = "/dev/shm/ephem-fuzz.XXXXXX";
static struct tombstones *tombstones;
static struct policy policy = {
    .config_dir = run_dir, .run_dir = run_dir, .threads = 2, .queues = 4};
static struct rules defaults;

static void fakes_leave(void)
{
    char path[sizeof(run_dir) + 16];

    snprintf(path, sizeof(path), "%s/discard.lock", run_dir);
    unlink(path);
    while (tombstones_count(tombstones))
        tombstones_remove(tombstones, tombstones_at(tombstones, 0)->uuid);
    tombstones_close(tombstones);
    snprintf(path, sizeof(path), "%s" TOMBSTONE_DIR, run_dir);
    rmdir(path);
    rmdir(run_dir);
}

static void fakes_enter(void)
{
    char path[sizeof(run_dir) + 16];

    FUZZ_CHECK(mkdtemp(run_dir));
    snprintf(path, sizeof(path), "%s" TOMBSTONE_DIR, run_dir);
    FUZZ_CHECK(!mkdir(path, 0700) && !tombstones_open(run_dir, &tombstones));
    atexit(fakes_leave);
}

void glue_fake_open(struct glue *glue)
{
    static bool made;

    if (!made)
        fakes_enter();
    made = true;
    while (tombstones_count(tombstones))
        FUZZ_CHECK(!tombstones_remove(tombstones, tombstones_at(tombstones, 0)->uuid));
    kernel_reset();
    fake_killed = false;
    memset(glue, 0, sizeof(*glue));
    glue->policy = &policy;
    glue->defaults = &defaults;
    glue->tombstones = tombstones;
    list_init(&glue->lives);
    list_init(&glue->vbds);
    FUZZ_CHECK(!loop_open(&glue->loop) && !extents_open(glue));
}

void glue_fake_close(struct glue *glue)
{
    while (!list_empty(&glue->vbds))
        vbd_free(container_of(glue->vbds.next, struct vbd, link));
    life_leave_all(glue);
    extents_close(glue);
    loop_close(glue->loop);
    FUZZ_CHECK(!kernel_open());
}

void glue_changed(struct glue *glue)
{
    (void)glue;
}

void glue_touched(struct glue *glue, uint32_t domid)
{
    (void)glue, (void)domid;
}

uint64_t scan_count(const struct scan *scan)
{
    (void)scan;
    return fake_scans;
}

bool scan_passes_over(struct scan *scan, uint32_t domid)
{
    (void)scan, (void)domid;
    return false;
}

bool scan_throttles(struct scan *scan, uint32_t domid)
{
    (void)scan, (void)domid;
    return false;
}

int evtchn_open(uint32_t domid)
{
    (void)domid;
    return -ENOENT;
}

int process_spawn(const char *path, int sock, pid_t *pid)
{
    (void)path, (void)sock, (void)pid;
    return -ENOENT;
}

int process_watch(pid_t pid)
{
    (void)pid;
    return eventfd(0, EFD_CLOEXEC);
}

int process_follow(pid_t pid, unsigned long long started)
{
    (void)started;
    return process_watch(pid);
}

void process_kill(int pidfd)
{
    (void)pidfd;
    fake_killed = true;
}

void process_reap(int pidfd, char *how, size_t size)
{
    (void)pidfd;
    snprintf(how, size, "was killed by signal 9");
}

unsigned long long process_started(pid_t pid)
{
    (void)pid;
    return 1;
}

bool xenstore_lost(const struct xenstore *xs)
{
    (void)xs;
    return false;
}

uint32_t xenstore_self(const struct xenstore *xs)
{
    (void)xs;
    return 0;
}

int xenstore_watch(struct xenstore *xs, const char *path, const char *token)
{
    (void)xs, (void)path, (void)token;
    return 0;
}

void xenstore_unwatch(struct xenstore *xs, const char *path, const char *token)
{
    (void)xs, (void)path, (void)token;
}

int xenstore_read(struct xenstore *xs, const char *path, char *out, size_t size)
{
    (void)xs, (void)path, (void)size;
    out[0] = '\0';
    return -ENOENT;
}

bool xenstore_is_there(struct xenstore *xs, const char *path)
{
    (void)xs, (void)path;
    return false;
}

int xenstore_read_u64(struct xenstore *xs, const char *path, uint64_t max, uint64_t *out)
{
    (void)xs, (void)path, (void)max, (void)out;
    return -ENOENT;
}

int xenstore_is_ours(struct xenstore *xs, const char *path, bool *ours)
{
    (void)xs, (void)path;
    *ours = false;
    return -ENOENT;
}

bool mark_is_wanted(struct glue *glue, uint32_t domid)
{
    (void)glue, (void)domid;
    return true;
}

bool mark_find_stranger(struct glue *glue, uint32_t domid, uint32_t *devid)
{
    (void)glue, (void)domid, (void)devid;
    return false;
}

int xenstore_list(struct xenstore *xs, const char *path, char ***names, unsigned int *count)
{
    (void)xs, (void)path, (void)names, (void)count;
    return -ENOENT;
}

int xenstore_write(struct xenstore *xs, const char *path, const char *value)
{
    (void)xs, (void)path, (void)value;
    return 0;
}

int xenstore_write_u64(struct xenstore *xs, const char *path, uint64_t value)
{
    (void)xs, (void)path, (void)value;
    return 0;
}

int xenstore_remove(struct xenstore *xs, const char *path)
{
    (void)xs, (void)path;
    return -ENOENT;
}

int xenstore_transact(struct xenstore *xs, int (*body)(struct xenstore *xs, void *arg), void *arg)
{
    return body(xs, arg);
}
