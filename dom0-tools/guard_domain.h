/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_domain: one domain as ephem-guard knows it: held until it has been created, refused, or loose.
 * All of it belongs to the one thread of the guard.
 */
#ifndef EPHEM_GUARD_DOMAIN_H
#define EPHEM_GUARD_DOMAIN_H

#include "guard_judge.h"
#include "guard_mark.h"
#include "guard_xen.h"
#include "loop.h"

struct guard {
    struct xenstore *xs;
    struct guard_xen *xen;
    struct loop *loop;
    struct list domains;
    const char *config_dir;
    int records; /* the directory of guard_record */
};

struct guard_domain {
    struct list link;
    struct guard *guard;
    struct loop_timer timer; /* the next look */
    uint32_t domid;
    char uuid[GUARD_UUID];
    enum guard_phase phase;
    bool ran;           /* it has executed an instruction, or we have let it */
    bool dirty;         /* something changed: look */
    bool watched;       /* for disks */
    unsigned int looks; /* since it is held */
    char marked_as[GUARD_NAME];
    char told[512]; /* the last complaint, which is not said again */
};

/* A domain that Xen has, with what an earlier guard recorded of it; NULL: no memory. */
struct guard_domain *guard_domain_new(struct guard *guard, const struct guard_info *info);

/* It has gone.  Frees it, and what is recorded. */
void guard_domain_gone(struct guard_domain *domain);

/* The guard ends: frees it, and leaves the domain as it is, with what is recorded. */
void guard_domain_leave(struct guard_domain *domain);

/*
 * Looks at it anew and does what is to be done.  False: it has gone, and the caller drops it.
 * Sets the timer when it must be looked at again without being asked to.
 */
bool guard_domain_look(struct guard_domain *domain);

/* Something changed: a look at once, or, of a domain that runs, soon. */
void guard_domain_stir(struct guard_domain *domain);

#endif
