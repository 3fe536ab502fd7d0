/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overlap: whether a device that is to be a pool is the base of a guest's disk.  Bases are read and so
 * are not claimed: the kernel's book of who uses a device does not have them.
 */
#ifndef EPHEM_OVERLAP_H
#define EPHEM_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

#include "glue.h"

/* Whether some vbd's base is on that device, on a partition of it, or on the disk it is a partition of. */
bool overlap_is_base(struct glue *glue, uint64_t rdev);

#endif
