/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire_make: a daemon's messages to a worker, made of the input.  Their descriptors are duplicates.
 */
#ifndef FUZZ_WIRE_MAKE_H
#define FUZZ_WIRE_MAKE_H

#include "fuzz.h"
#include "wire.h"

extern struct fuzz_input make_in;
/* Files that stand for a base and a pool; -1 before the first input. */
extern int make_base_fd, make_pool_fd;

uint64_t make_size(void);
/* Mostly below `most`, which is not 0. */
uint32_t make_number(uint32_t most);

void make_hello(struct wire_msg *msg, int fds[WIRE_FDS]);
void make_volume(struct wire_msg *msg, int fds[WIRE_FDS]);
void make_door(struct wire_msg *msg);
void make_extents(struct wire_msg *msg);
/* What wire.c sees to. */
void make_strings_end(struct wire_msg *msg);

#endif
