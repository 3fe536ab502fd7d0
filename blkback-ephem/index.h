/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * index: block number -> slot, or one of two states without a slot.  Pure; one owner (an overlay),
 * who serialises.  Costs 4 bytes a block where written densely, 6 to 8 where scattered, 16 bytes a
 * 256 MiB region, and nothing for what was never touched or was discarded whole.
 */
#ifndef EPHEM_INDEX_H
#define EPHEM_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_BASE     UINT32_MAX       /* never written: the base shows through */
#define INDEX_ZERO     (UINT32_MAX - 1) /* discarded, or never written without a base */
#define INDEX_MAX_SLOT (UINT32_MAX - 2)

#define INDEX_REGION_BLOCKS 65536u
#define INDEX_MAX_BLOCKS    ((uint64_t)INDEX_REGION_BLOCKS * 65536u) /* 16 TiB */

struct index;

/* `blank`: untouched blocks are zero, not base.  0, -ENOMEM, -EFBIG above INDEX_MAX_BLOCKS. */
int index_open(struct index **out, uint64_t blocks, bool blank);
void index_close(struct index *index);

/* To `blocks`, which are not fewer; new ones are untouched.  0; -ENOMEM, -EFBIG: nothing has
 * changed. */
int index_grow(struct index *index, uint64_t blocks);

/* INDEX_BASE, INDEX_ZERO or a slot.  block < blocks. */
uint32_t index_get(const struct index *index, uint64_t block);

/* Sets `slot` and tells the state before.  0, or -ENOMEM and nothing has changed. */
int index_set(struct index *index, uint64_t block, uint32_t slot, uint32_t *before);

/*
 * Turns [first, first + count) to zero, calling drop for each slot let go.  The end may lie behind
 * the last block, within its region.  0, or -ENOMEM: then a prefix has been done and no slot was
 * reported twice.
 */
int index_zero(struct index *index, uint64_t first, uint64_t count,
               void (*drop)(void *arg, uint32_t slot), void *arg);

/* Bytes of memory held. */
size_t index_memory(const struct index *index);

#endif
