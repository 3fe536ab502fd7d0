/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storage: which domains are storage domains of ours: those that `ephemctl stubdom create` has marked.
 */
#ifndef EPHEM_STORAGE_H
#define EPHEM_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "xs.h"

#define STORAGE_NODE                                                                               \
    "blkback-ephem/stubdom" /* in such a domain's folder: its shape, written by dom0 */
#define STORAGE_KIND "vbd"  /* of the backends it has */

/* Whether this domain is one, by dom0's word.  0 or negative errno. */
int storage_is_one(struct xenstore *xs, uint32_t domid, bool *is);

#endif
