/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots: which 4096-byte places of a guest's pool are free, and how often each was used.  Pure; one
 * owner (a pool), who serialises and does the file's part (growing, punching).
 *
 * Slots are handed out in ascending runs from one extent of 1024 at a time, so whatever pattern the
 * guest writes in, first touches leave the machine sequentially.  Each slot has a generation, which
 * only ever grows, over reuse and punching alike: (slot, generation) is the cipher's tweak and is
 * never handed out twice.
 */
#ifndef EPHEM_SLOTS_H
#define EPHEM_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#define SLOTS_PER_EXTENT 1024u
#define SLOTS_NO_EXTENT  UINT32_MAX

struct slots;

/* `extents`: the most the pool may ever have (at most 2^22 - 1).  0 or -ENOMEM. */
int slots_open(struct slots **out, uint32_t extents);
void slots_close(struct slots *slots);

/*
 * Takes up to `want` slots, each with a fresh generation (from 1).  Returns how many; fewer than
 * wanted means: grow (slots_grow_next, then slots_grown), or call again with `scrape` set to take
 * from crowded extents too when the pool cannot grow.
 */
uint32_t slots_take(struct slots *slots, uint32_t want, bool scrape, uint32_t *slot,
                    uint32_t *generation);

/* The extent to back with storage next, or SLOTS_NO_EXTENT at the limit or out of memory. */
uint32_t slots_grow_next(struct slots *slots);
void slots_grown(struct slots *slots, uint32_t extent);

/* A new generation for a slot that is held: for a second attempt.  0: the slot is worn out. */
uint32_t slots_renew(struct slots *slots, uint32_t slot);

/* The generation last handed out. */
uint32_t slots_generation(const struct slots *slots, uint32_t slot);

/*
 * Gives a slot back.  Returns the extent that became empty by it, else SLOTS_NO_EXTENT.  That extent
 * counts as without storage, and will not be grown again before slots_punched.
 */
uint32_t slots_give(struct slots *slots, uint32_t slot);
void slots_punched(struct slots *slots, uint32_t extent);

/* Slots backed with storage, slots in use, and slots that could be taken. */
uint64_t slots_backed(const struct slots *slots);
uint64_t slots_used(const struct slots *slots);
uint64_t slots_free(const struct slots *slots);

/* For tests: the generation a slot will count on from. */
void slots_age(struct slots *slots, uint32_t slot, uint32_t generation);

#endif
