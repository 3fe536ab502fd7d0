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

/* Strings end, as wire.c sees to. */
void make_message(struct wire_msg *msg, uint32_t type, int fds[WIRE_FDS]);

#endif
