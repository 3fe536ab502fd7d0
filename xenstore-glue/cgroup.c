// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cgroup: the files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst of the kernel).
 *
 *   PLACE/daemon               we
 *   PLACE/guest-DOMID-LIFE     its worker: cpu.weight, memory.max, no swap, pids.max
 *
 * All guests weigh the same and half of what we do, so one that keeps its worker busy takes no more
 * from its neighbours than another that computes.  memory.max is there for a worker that runs wild; it
 * is far above what any needs, since reaching it kills the guest's disks.
 * Deliberately absent: limits in proportion to a guest's own weight in Xen, which we do not know.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "util.h"

#define DAEMON_WEIGHT 200u
#define GUEST_WEIGHT  100u
#define VOLUME_SHARE  512u /* 8 bytes a block of a volume, twice what an index takes at worst */
#define FILE_PATH     (CGROUP_PATH + 80)
/* After a crash its undertaker wipes a few MiB a thread first: the group goes some ms later. */
#define AGAIN_FIRST 10u
#define AGAIN_LAST  1280u

struct cgroup {
    char place[CGROUP_PATH];
    struct loop *loop;
    struct loop_timer again;
    uint32_t wait; /* ms, until `again` */
};

/* O_TRUNC is for tests, whose files are regular ones; the kernel's take no notice of it. */
static int cgroup_write(const char *group, const char *file, const char *value)
{
    char path[FILE_PATH];
    int err = 0;

    snprintf(path, sizeof(path), "%s/%s", group, file);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        err = -errno;
    close(fd);
    return err;
}

static int cgroup_write_number(const char *group, const char *file, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return cgroup_write(group, file, text);
}

static int cgroup_fail(char text[WIRE_TEXT], int err, const char *what, const char *group)
{
    snprintf(text, WIRE_TEXT, "%s of the control group %.120s: %s", what, group, strerror(-err));
    return err;
}

int cgroup_place(const char *mount, const char *own, char out[CGROUP_PATH])
{
    const char *leaf = strrchr(own, '/');
    int length = -1;

    if (!strcmp(own, "/"))
        length = snprintf(out, CGROUP_PATH, "%s/blkback-ephem", mount);
    else if (leaf && !strcmp(leaf, "/daemon") && !strstr(own, "/../"))
        length = snprintf(out, CGROUP_PATH, "%s%.*s", mount, (int)(leaf - own), own);
    return length < 0 ? -EPERM : length >= CGROUP_PATH ? -ENAMETOOLONG : 0;
}

uint64_t cgroup_memory(const struct wire_pool *pool, uint32_t threads, uint64_t room)
{
    uint64_t stored = pool->bytes ? pool->bytes : room;

    if (!stored)
        return 0;
    uint64_t bytes = (256u << 20) + (uint64_t)threads * (16u << 20) + pool->ram;
    /* 32 bytes a block: several times what index, slots and generations take of it. */
    bytes += stored / 128;
    if (pool->flags & WIRE_POOL_INTEGRITY)
        bytes += stored / 128; /* twice what tags take */
    if (pool->kind == WIRE_POOL_RAM)
        bytes += stored + stored / 8; /* compressed, there may be 16 blocks for each */
    if (pool->flags & WIRE_POOL_LZ4 && pool->flags & WIRE_POOL_INTEGRITY)
        bytes += stored / 8; /* and 16 tags */
    return bytes;
}

/* "0::PATH" is our group, and in mountinfo the one hierarchy of v2. */
static int cgroup_find(char mount[CGROUP_PATH], char own[CGROUP_PATH])
{
    char line[1024];
    int err = -ENOENT;
    FILE *f = fopen("/proc/self/cgroup", "re");

    while (f && err && fgets(line, sizeof(line), f))
        if (sscanf(line, "0::%255[^\n]", own) == 1)
            err = 0;
    if (f)
        fclose(f);
    if (err)
        return err;
    err = -ENOENT;
    f = fopen("/proc/self/mountinfo", "re");
    while (f && err && fgets(line, sizeof(line), f))
        if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s / %255s", mount) == 1)
            err = 0;
    if (f)
        fclose(f);
    return err;
}

/* For the groups below `group`; io only where there is one. */
static int cgroup_enable(const char *group)
{
    int err = cgroup_write(group, "cgroup.subtree_control", "+cpu +memory +pids");

    if (!err && cgroup_write(group, "cgroup.subtree_control", "+io"))
        log_debug("control groups: no io controller");
    return err;
}

/* Empty ones only: the kernel keeps those with a process in them. */
static void cgroup_sweep(const struct cgroup *cgroup)
{
    char path[FILE_PATH];
    DIR *dir = opendir(cgroup->place);

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "guest-", 6) || strlen(entry->d_name) > 64)
            continue;
        snprintf(path, sizeof(path), "%s/%.64s", cgroup->place, entry->d_name);
        if (!rmdir(path))
            log_debug("removed the control group %s", path);
    }
    if (dir)
        closedir(dir);
}

static void cgroup_sweep_in(struct cgroup *cgroup, uint32_t ms)
{
    cgroup->wait = ms;
    loop_timer_set(cgroup->loop, &cgroup->again, ms);
}

/* What is left after the last time goes when another guest ends, or with the next daemon. */
static void cgroup_again(struct loop_timer *timer)
{
    struct cgroup *cgroup = container_of(timer, struct cgroup, again);

    cgroup_sweep(cgroup);
    if (cgroup->wait < AGAIN_LAST)
        cgroup_sweep_in(cgroup, 2 * cgroup->wait);
}

/* We leave the place for a leaf of it: a group with controllers for its children holds no processes. */
static int cgroup_settle(struct cgroup *cgroup, bool root, char text[WIRE_TEXT])
{
    char leaf[FILE_PATH], parent[CGROUP_PATH];
    int err = 0;

    snprintf(leaf, sizeof(leaf), "%s/daemon", cgroup->place);
    snprintf(parent, sizeof(parent), "%s", cgroup->place);
    *strrchr(parent, '/') = '\0';
    if (root) {
        err = cgroup_enable(parent);
        if (err)
            return cgroup_fail(text, err, "controllers", parent);
        if ((mkdir(cgroup->place, 0755) && errno != EEXIST) ||
            (mkdir(leaf, 0755) && errno != EEXIST))
            return cgroup_fail(text, -errno, "making", leaf);
        err = cgroup_write_number(leaf, "cgroup.procs", (uint64_t)getpid());
        if (err)
            return cgroup_fail(text, err, "entering", leaf);
    }
    err = cgroup_enable(cgroup->place);
    if (!err)
        err = cgroup_write_number(leaf, "cpu.weight", DAEMON_WEIGHT);
    return err ? cgroup_fail(text, err, "controllers", cgroup->place) : 0;
}

int cgroup_open(struct cgroup **out, struct loop *loop, char text[WIRE_TEXT])
{
    char mount[CGROUP_PATH] = "", own[CGROUP_PATH] = "";
    struct cgroup *cgroup = calloc(1, sizeof(*cgroup));
    int err = cgroup ? cgroup_find(mount, own) : -ENOMEM;

    if (err) {
        snprintf(text, WIRE_TEXT, "cgroup v2 is not mounted");
    } else {
        err = cgroup_place(mount, own, cgroup->place);
        if (err)
            snprintf(text, WIRE_TEXT,
                     "started in the control group %.100s, which is not delegated: start it in "
                     "one called daemon (systemd 254: DelegateSubgroup=daemon)",
                     own);
        else
            err = cgroup_settle(cgroup, !strcmp(own, "/"), text);
    }
    if (err) {
        free(cgroup);
        return err;
    }
    cgroup->loop = loop;
    cgroup->again.fire = cgroup_again;
    cgroup_sweep(cgroup);
    *out = cgroup;
    return 0;
}

void cgroup_close(struct cgroup *cgroup)
{
    if (cgroup)
        loop_timer_stop(&cgroup->again);
    free(cgroup);
}

static void cgroup_path(const struct cgroup *cgroup, uint32_t domid, uint64_t life,
                        char out[FILE_PATH])
{
    snprintf(out, FILE_PATH, "%s/guest-%u-%" PRIu64, cgroup->place, domid, life);
}

/* Its memory.max; 0: none. */
static uint64_t cgroup_most(const struct cgroup_limits *limits)
{
    uint64_t most;

    if (!limits->memory)
        return 0;
    return __builtin_add_overflow(limits->memory, limits->volumes / VOLUME_SHARE, &most) ? 0 : most;
}

/* 0 where that is not known. */
static uint64_t cgroup_used(const char *group)
{
    char path[FILE_PATH];
    uint64_t bytes = 0;

    snprintf(path, sizeof(path), "%s/memory.current", group);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%" SCNu64, &bytes) != 1)
        bytes = 0;
    if (file)
        fclose(file);
    return bytes;
}

/* Below what is in use the kernel would take pages back while we wait, and then kill. */
static int cgroup_limit_memory(const char *group, uint64_t most)
{
    uint64_t used = cgroup_used(group);

    if (!most)
        return cgroup_write(group, "memory.max", "max");
    if (used <= most)
        return cgroup_write_number(group, "memory.max", most);
    log_warn("%s: memory.max is left as it is: %" PRIu64 " bytes are in use, above its limit of "
             "%" PRIu64,
             group, used, most);
    return 0;
}

int cgroup_limit_at(const char *group, const struct cgroup_limits *limits)
{
    int errors[] = {0, 0, 0, 0}, err = 0;

    errors[0] = cgroup_write_number(group, "cpu.weight", GUEST_WEIGHT);
    if (limits->threads) {
        /* The main thread, the pool's and the undertaker besides, and two for a new version. */
        errors[1] = cgroup_write_number(group, "pids.max", limits->threads + 5u);
        errors[2] = cgroup_limit_memory(group, cgroup_most(limits));
    }
    errors[3] = cgroup_write(group, "memory.swap.max", "0");
    if (errors[3] == -ENOENT)
        errors[3] = 0; /* a kernel without swap */
    for (size_t i = 0; i < ARRAY_SIZE(errors) && !err; i++)
        err = errors[i];
    return err;
}

int cgroup_add(struct cgroup *cgroup, uint32_t domid, uint64_t life, pid_t pid,
               const struct cgroup_limits *limits, char text[WIRE_TEXT])
{
    char path[FILE_PATH];

    cgroup_path(cgroup, domid, life, path);
    int err = mkdir(path, 0755) ? -errno : 0;
    if (err)
        return cgroup_fail(text, err, "making", path);
    err = cgroup_limit_at(path, limits);
    if (!err)
        err = cgroup_write_number(path, "cgroup.procs", (uint64_t)pid);
    if (err) {
        rmdir(path);
        return cgroup_fail(text, err, "limits", path);
    }
    return 0;
}

void cgroup_limit(const struct cgroup *cgroup, uint32_t domid, uint64_t life,
                  const struct cgroup_limits *limits)
{
    char path[FILE_PATH];

    if (!cgroup)
        return;
    cgroup_path(cgroup, domid, life, path);
    if (access(path, F_OK))
        return;
    int err = cgroup_limit_at(path, limits);
    if (err)
        log_warn("%s: the limits cannot be written: %s", path, strerror(-err));
}

void cgroup_remove(struct cgroup *cgroup, uint32_t domid, uint64_t life)
{
    char path[FILE_PATH];

    if (!cgroup)
        return;
    cgroup_path(cgroup, domid, life, path);
    if (rmdir(path) && errno != ENOENT) {
        log_debug("%s: %s: removed later", path, strerror(errno));
        cgroup_sweep_in(cgroup, AGAIN_FIRST);
    }
    cgroup_sweep(cgroup);
}
