/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alloc: makes the Nth allocation of this thread, or of all others, fail.  Works when the binary is linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc; alloc_works() tells.
 */
#ifndef UNIT_ALLOC_H
#define UNIT_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

bool alloc_works(void);

/* The nth allocation from now (1: the next) and all after it fail, until alloc_heal. */
void alloc_fail_from(uint64_t nth);
/* The nth allocation from now by any thread but this one fails, and only that; 0: none. */
void alloc_fail_others(uint64_t nth);
bool alloc_others_failed(void);
/* True when one has failed since alloc_fail_from. */
bool alloc_heal(void);

#endif
