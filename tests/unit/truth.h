/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * truth: the model of a volume: what every sector holds, and who has which sectors for himself at the
 * moment.  Only the owner of a range asks the volume for it, so that the model knows the answer;
 * blocks at the ends of ranges are shared all the same.  Any thread.
 */
#ifndef UNIT_TRUTH_H
#define UNIT_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "caller.h"

#define TRUTH_SECTORS (1280u * 8 + 3) /* the most there can be: 5 MiB and a bit */

/* The volume's size in sectors, and the base's in bytes, which holds rig_base_byte; of one that grows:
 * the most. */
void truth_open(uint32_t sectors, uint64_t base_bytes);
/* What the volume surely has, and what it may have already while it grows.  Any thread. */
uint32_t truth_sectors(void);
uint32_t truth_soon(void);
/* Before the base has so many, and when the volume has. */
void truth_grows(uint32_t sectors);
void truth_has_grown(void);

/* False: another has some of it. */
bool truth_take(uint32_t first, uint32_t count);
void truth_give(uint32_t first, uint32_t count);

/* The owner's, after the answer.  False: what `ask` has left when it was carried out depends on when
 * the volume grew, since a discard takes the last block as a whole only where the volume ends. */
bool truth_sure(const struct ask *ask);
/* `ask` was carried out, and sure. */
void truth_apply(const struct ask *ask);
/* Is this what is there? */
bool truth_is(uint32_t first, uint32_t count, const uint8_t *data);

/* What may be there after `ask`: all old; new, then old; all new. */
enum truth_may { TRUTH_OLD = 1, TRUTH_PART = 2, TRUTH_NEW = 4 };

/* `seen` is there now; true when that may be.  It is the truth from now on. */
bool truth_settle(const struct ask *ask, const uint8_t *seen, uint32_t may);

#endif
