/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup: what CPU time, memory and threads a guest's worker may take from dom0: a group of cgroup v2
 * for each life, beside the daemon's own.
 */
#ifndef EPHEM_CGROUP_H
#define EPHEM_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

#define CGROUP_PATH 256

enum cgroup_mode { CGROUP_AUTO, CGROUP_ON, CGROUP_OFF };

struct cgroup;
struct loop;

/*
 * What a worker gets.  For `volumes`, the bytes it has to serve, it may have memory besides: their
 * index takes some however little of them is stored, since discards are remembered too.
 */
struct cgroup_limits {
    uint32_t threads; /* 0: neither these nor the memory it needs are known */
    uint64_t memory;  /* bytes; 0: as many as there are, whatever the volumes */
    uint64_t volumes;
};

/*
 * Finds the group we were started in and makes the place for guests' groups beside `daemon`, where we
 * are from now on; what workers that are gone left there is removed.  0, or negative errno with `text`
 * where there is no such place: cgroups are not delegated to us.
 */
int cgroup_open(struct cgroup **out, struct loop *loop, char text[WIRE_TEXT]);
void cgroup_close(struct cgroup *cgroup);

/* A group for this life, with the process in it: before that has been told anything.  0 or negative
 * errno with `text`, and then there is no group. */
int cgroup_add(struct cgroup *cgroup, uint32_t domid, uint64_t life, pid_t pid,
               const struct cgroup_limits *limits, char text[WIRE_TEXT]);

/*
 * All its limits are written, whatever was there: one of them is another now, or it is a life that an
 * earlier daemon began, and a service manager that has stopped and started the unit meanwhile may
 * have taken them away.  Those that are not known stay as they are, and so does memory.max when more
 * is in use.  Harmless without a group; failures are logged.
 */
void cgroup_limit(const struct cgroup *cgroup, uint32_t domid, uint64_t life,
                  const struct cgroup_limits *limits);

/* The same for the group in the directory `group`: 0, or negative errno, the first of those that failed. */
int cgroup_limit_at(const char *group, const struct cgroup_limits *limits);

/* Its process has ended.  Waits for nobody: a group that is still in use (by the process that wipes a
 * worker's buffers) goes within seconds, from the loop.  Harmless without a group. */
void cgroup_remove(struct cgroup *cgroup, uint32_t domid, uint64_t life);

/*
 * Where guests' groups go when we were started in group `own` of the hierarchy mounted at `mount`:
 * beside us when `own` is called `daemon`; in `blkback-ephem` when it is the root, where there is no
 * service manager.  Elsewhere -EPERM: a group with controllers for others below it cannot be entered
 * again, and so the next daemon could not be started in it.
 */
int cgroup_place(const char *mount, const char *own, char out[CGROUP_PATH]);

/* The most memory a worker can need with such a pool, generously; `room` is how much storage there
 * is for it if it has no bound of its own, 0 where that is not known. */
uint64_t cgroup_memory(const struct wire_pool *pool, uint32_t threads, uint64_t room);

#endif
