/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_look: walks xenstore for the disks of one domain.
 */
#ifndef EPHEM_GUARD_LOOK_H
#define EPHEM_GUARD_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xenstore;

#define GUARD_DISKS 200 /* room for the names of a domain's foreign disks, as text */

struct guard_sight {
    unsigned int disks;      /* told of, in all places together */
    unsigned int foreign;    /* writable, and not ours */
    char names[GUARD_DISKS]; /* the first foreign ones: "xvdb (vbd), xvdc (qdisk of domain 3)" */
};

/*
 * All disks of `domid` at one moment.  `fresh`: it has never run, so its own directory is dom0's word
 * and counts too.  0, or negative errno, and then nothing is known: -EAGAIN when xenstore never stood
 * still.
 */
int guard_look(struct xenstore *xs, uint32_t domid, bool fresh, struct guard_sight *out);

/* Watches the places where a disk of the domain shows up.  0 or negative errno. */
int guard_look_watch(struct xenstore *xs, uint32_t domid, const char *token);
void guard_look_unwatch(struct xenstore *xs, uint32_t domid, const char *token);

#endif
