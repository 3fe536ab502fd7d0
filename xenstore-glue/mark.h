/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mark: which vbds of a domain xenstore has.
 */
#ifndef EPHEM_MARK_H
#define EPHEM_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "glue.h"

/*
 * Sets `seen` of the domain's vbds as xenstore has them, and makes those that are new.  False when
 * what was listed cannot be trusted: then nothing may be swept for not being there.
 */
bool mark_domain(struct glue *glue, uint32_t domid);

/* Whether the toolstack still wants any disk of this domain; true when that cannot be told. */
bool mark_is_wanted(struct glue *glue, uint32_t domid);

/* The first of the domain's backends of our type whose script is not ours. */
bool mark_find_stranger(struct glue *glue, uint32_t domid, uint32_t *devid);

#endif
