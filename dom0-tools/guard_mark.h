/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_mark: whether the operator's files mark a domain, by the name that it or its guest has.
 */
#ifndef EPHEM_GUARD_MARK_H
#define EPHEM_GUARD_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

struct xenstore;

#define GUARD_NAME 256 /* room for a name; a longer one has no file */

struct guard_mark {
    bool guarded;  /* marked, and not excepted */
    bool excepted; /* marked, but enforce=off */
    bool strict;
    bool broken;           /* the files cannot be read: guarded, since they may mark it */
    uint32_t guest;        /* whose name counts: the domain, or whose stub domain it is */
    char name[GUARD_NAME]; /* empty where there is none */
    bool from_dom0;        /* nobody else may have written the name */
    char text[STORE_TEXT]; /* broken: why, for humans */
};

/*
 * Fills `mark`.  `marked_as` is the name under which the domain was first found to be guarded, or
 * empty, and is kept up by this: who is renamed stays what it was.  0, or negative errno when
 * xenstore cannot be read.
 */
int guard_mark_read(struct xenstore *xs, const char *config_dir, uint32_t domid,
                    char marked_as[GUARD_NAME], struct guard_mark *mark);

/* The name for humans: printable, or empty where it is not dom0's word. */
void guard_mark_show(const struct guard_mark *mark, char out[64]);

#endif
