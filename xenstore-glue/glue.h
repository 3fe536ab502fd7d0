/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glue: what the daemon's parts share.  Owned by main; one thread, no locking.  Nobody reacts to
 * anything directly: whoever learns something says glue_changed(), and the scan that follows looks
 * at everything afresh.
 */
#ifndef EPHEM_GLUE_H
#define EPHEM_GLUE_H

#include "loop.h"
#include "policy.h"
#include "util.h"
#include "xs.h"

struct cgroup;
struct rules;
struct scan;
struct control;
struct extents;
struct tombstones;

struct glue {
    struct loop *loop;
    const struct policy *policy;
    const struct rules *defaults; /* as they were at the start; a life reads them anew */
    struct xenstore *xs;          /* NULL while xenstored cannot be reached */
    struct scan *scan;
    struct control *control;
    struct extents *extents;       /* devices of block: pools */
    struct tombstones *tombstones; /* guests that were suspended */
    struct cgroup *cgroup;         /* NULL: workers have no groups of their own */
    struct list lives;             /* struct life */
    struct list vbds;              /* struct vbd */
    /* Lives with a lower number are stray: xenstore was not there when they began, and what is
     * missing in it was not taken away by the toolstack. */
    uint64_t known_since;
    uint64_t grown; /* how often a volume has */
};

#define GLUE_FORGOT                                                                                \
    "xenstore has forgotten its guests: their workers are left serving; end a worker by hand "     \
    "when "                                                                                        \
    "its guest is gone"

/* Something may have to be done: scan soon.  Any number of calls make one scan.  (scan.c) */
void glue_changed(struct glue *glue);

/* The same for the disks of one domain. */
void glue_touched(struct glue *glue, uint32_t domid);

#endif
