/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_xen: what ephem-guard asks of the hypervisor.  All that the product needs of libxenctrl, whose
 * soname belongs to one Xen release: nothing else links it.  One thread.
 */
#ifndef EPHEM_GUARD_XEN_H
#define EPHEM_GUARD_XEN_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_UUID 37 /* room for a UUID as text */

struct guard_xen;

struct guard_info {
    uint32_t domid;
    char uuid[GUARD_UUID];
    bool ran;    /* has been on a CPU */
    bool paused; /* by anybody */
    bool dying;
};

/* 0 or negative errno. */
int guard_xen_open(struct guard_xen **out);
void guard_xen_close(struct guard_xen *xen);

/* Up to `most` domains from `first` on, in order; how many, or negative errno. */
int guard_xen_list(struct guard_xen *xen, uint32_t first, struct guard_info *out,
                   unsigned int most);

/* 0, -ESRCH or another negative errno. */
int guard_xen_ask(struct guard_xen *xen, uint32_t domid, struct guard_info *out);

/*
 * Xen counts pauses: a domain runs when as many have been given up as were taken, whoever took them.
 * A new domain has one, its toolstack's.  On return of a pause no CPU executes the domain.
 * 0 or negative errno.
 */
int guard_xen_pause(struct guard_xen *xen, uint32_t domid);
int guard_xen_unpause(struct guard_xen *xen, uint32_t domid);

#endif
