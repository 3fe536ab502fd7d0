/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extent: 1024 slots that lie together, private to slots.c, which serialises: bitmaps of free places
 * and holes, and a generation for each place.
 *
 * A generation is the extent's epoch (32 bits) and the slot's count (24 bits).  The epoch moves on
 * when an empty extent with retired slots gives its storage back, or has hardly any others; counts
 * begin anew then.  So 3 bytes a
 * slot are enough for 2^56 generations, and a slot at its last count is retired only until then.
 */
#ifndef EPHEM_EXTENT_H
#define EPHEM_EXTENT_H

#include <stdbool.h>
#include <stdint.h>
#include "slots.h"
#include "util.h"

struct extent {
    struct list by_free, by_holes;
    uint32_t number;
    uint32_t epoch;
    uint16_t nfree;  /* free and not retired */
    uint16_t nholes; /* holes and not retired */
    uint16_t stored; /* not holes */
    uint16_t used;
    bool frozen, homed;
    uint64_t free[SLOTS_WORDS];
    uint64_t holes[SLOTS_WORDS];
    uint8_t count[SLOTS_PER_EXTENT][3];
};

static inline void bit_set(uint64_t *map, uint32_t at)
{
    map[at / 64] |= 1ull << (at % 64);
}

static inline void bit_clear(uint64_t *map, uint32_t at)
{
    map[at / 64] &= ~(1ull << (at % 64));
}

uint32_t extent_count(const struct extent *extent, uint32_t at);
void extent_set_count(struct extent *extent, uint32_t at, uint32_t count);

/* At its last count, or spoilt. */
bool extent_retired(const struct extent *extent, uint32_t at);
void extent_retire(struct extent *extent, uint32_t at);

/* The next slot to be taken at or after `from`, or SLOTS_PER_EXTENT. */
uint32_t extent_next(const struct extent *extent, uint32_t from);

/* All free places become holes; `map` tells which.  Returns how many. */
uint32_t extent_punch(struct extent *extent, uint64_t map[SLOTS_WORDS]);

/* All holes become free places. */
void extent_fill(struct extent *extent);

/* If nothing of it is in use, but some of it retired: all count from the beginning of a new epoch. */
void extent_renew(struct extent *extent);

#endif
