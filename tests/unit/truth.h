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

/* The volume's size in sectors, and the base's in bytes, which holds rig_base_byte. */
void truth_open(uint32_t sectors, uint64_t base_bytes);
uint32_t truth_sectors(void);

/* False: another has some of it. */
bool truth_take(uint32_t first, uint32_t count);
void truth_give(uint32_t first, uint32_t count);

/* The owner's, after the answer.  `ask` was carried out: */
void truth_apply(const struct ask *ask);
/* Is this what is there? */
bool truth_is(uint32_t first, uint32_t count, const uint8_t *data);

/*
 * `ask` was answered with an error, or not at all, and `seen` is there now.  True when that may be:
 * old data; `partly`: new, then old; `whole`: or all new.  What is seen is the truth from now on.
 */
bool truth_settle(const struct ask *ask, const uint8_t *seen, bool partly, bool whole);

#endif
