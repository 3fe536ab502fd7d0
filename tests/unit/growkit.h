/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * growkit: a volume whose base grows.  The base's disk has its final bytes from the start, its file
 * has the size of the moment.  One at a time.
 */
#ifndef UNIT_GROWKIT_H
#define UNIT_GROWKIT_H

#include <stdbool.h>
#include <stdint.h>
#include "rig.h"

#define GROW_ROOM (64u * 4096u) /* the most that has bytes */

extern struct rig grow_rig;

void grow_open(uint64_t bytes, uint64_t base, bool grows, bool readonly);
void grow_close(void);

/* The base's file has so many bytes from now on. */
void grow_base(uint64_t bytes);

/* One volume_check_base. */
bool grow_look(void);

/* A look, and if the volume begins to grow, until that is over.  1: it has grown; 0: no growth; else
 * the error. */
int grow_settle(void);

/* What is there is the base's; is all `value`. */
bool grow_reads_base(uint64_t from, uint64_t to);
bool grow_reads(uint64_t from, uint64_t to, uint8_t value);

#endif
