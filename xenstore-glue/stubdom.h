/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom: whether a domain is the stub domain of a guest, as its toolstack says.  Pure: it reads
 * through a function, so that tests can be xenstore.
 */
#ifndef EPHEM_STUBDOM_H
#define EPHEM_STUBDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* Reads `path`; 0, -ENOENT, or another negative errno.  *ours: nobody but dom0 may write it. */
typedef int stubdom_reader(void *from, const char *path, char *out, size_t size, bool *ours);

/*
 * The guest that `domid` belongs to: itself, or the one it is the stub domain of.  0; -EINVAL and
 * `text` for one that says it is a stub domain and is not; other negative errno and no `text` when
 * xenstore cannot be read.
 */
int stubdom_resolve(stubdom_reader *read, void *from, uint32_t domid, uint32_t *guest,
                    char text[WIRE_TEXT]);

#endif
