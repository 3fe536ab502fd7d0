/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overlay: the copy-on-write state of one volume.  Pure; the volume that owns it serialises every
 * call with its lock.  Three things belong together here, because a reader must see old or new data
 * of a block and never a mixture:
 *
 *   states   each block is base, zero or a slot (index)
 *   claims   mutations of overlapping blocks run one after another
 *   reads    a slot that a block left is handed back only after every read begun before that
 */
#ifndef EPHEM_OVERLAY_H
#define EPHEM_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util.h"
#include "index.h"

struct overlay;

/* Embedded in the request that mutates; blocks first..last are its own while it holds it. */
struct overlay_claim {
    struct list link;
    struct list grant; /* for the list of overlay_release */
    uint64_t first, last;
};

/* Embedded in the request that reads. */
struct overlay_read {
    struct list link;
    uint64_t began;
};

int overlay_open(struct overlay **out, uint64_t blocks, bool blank);
void overlay_close(struct overlay *overlay);

/* To `blocks`, which are not fewer; new ones are untouched.  0; -ENOMEM, -EFBIG: nothing has
 * changed. */
int overlay_grow(struct overlay *overlay, uint64_t blocks);

/* True: held.  False: queued, and one overlay_release will hand it over. */
bool overlay_claim(struct overlay *overlay, struct overlay_claim *claim);

/* Ends a claim, held or still queued; claims held from now on are appended (by `grant`). */
void overlay_release(struct overlay *overlay, struct overlay_claim *claim, struct list *granted);

void overlay_read_begin(struct overlay *overlay, struct overlay_read *read);
void overlay_read_end(struct overlay *overlay, struct overlay_read *read);

/* INDEX_BASE, INDEX_ZERO or a slot. */
uint32_t overlay_get(const struct overlay *overlay, uint64_t block);

/* Points a block at a slot.  0, or -ENOMEM and the block keeps its old state. */
int overlay_set(struct overlay *overlay, uint64_t block, uint32_t slot);

/* Points blocks at slots, and tells their states before in their place.  0, or -ENOMEM and neither
 * has changed. */
int overlay_set_all(struct overlay *overlay, uint64_t first, uint32_t count, uint32_t *slots);

/* Turns blocks to zero, the last region to its end if need be.  0, or -ENOMEM: a prefix is zero, the
 * rest as before. */
int overlay_zero(struct overlay *overlay, uint64_t first, uint64_t count);

/* Up to `max` slots that nothing reads any more; each is reported once.  Returns how many. */
size_t overlay_reap(struct overlay *overlay, uint32_t *slots, size_t max);

/* Blocks in slots; bytes of memory. */
uint64_t overlay_blocks(const struct overlay *overlay);
size_t overlay_memory(const struct overlay *overlay);

#endif
