/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots: which 4096-byte places of a guest's pool are free, and how often each was used.  Pure; one
 * owner (a pool), who serialises and does the storage's part (growing, punching).
 *
 * Slots are handed out in ascending runs from one extent of 1024 at a time, so whatever pattern the
 * guest writes in, first touches leave the machine sequentially.  Each slot has a generation, which
 * only ever grows, over reuse and punching alike: (slot, generation) is the cipher's tweak and is
 * never handed out twice.  A slot is used, free (it has storage), or a hole (it has none).
 */
#ifndef EPHEM_SLOTS_H
#define EPHEM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_PER_EXTENT 1024u
#define SLOTS_NO_EXTENT  UINT32_MAX
#define SLOTS_WORDS      (SLOTS_PER_EXTENT / 64) /* of a bitmap of an extent */

struct slots;

/* `extents`: the most there may ever be (at most 2^22 - 1).  0 or -ENOMEM. */
int slots_open(struct slots **out, uint32_t extents);
void slots_close(struct slots *slots);

#define SLOTS_WORTH      64u  /* free slots of an extent, for its storage to be given back */
#define SLOTS_AMPLE_FREE 192u /* free slots of an extent: reuse still goes out in runs */

/* Which extents may be taken from. */
enum slots_from {
    SLOTS_AMPLE, /* those with SLOTS_AMPLE_FREE */
    SLOTS_ANY,   /* crowded ones too, when the pool cannot grow */
    SLOTS_HOMED, /* of these, those marked by slots_home */
};

/* Takes up to `want` slots, each with a fresh generation (from 1).  Returns how many. */
uint32_t slots_take(struct slots *slots, uint32_t want, enum slots_from from, uint32_t *slot,
                    uint64_t *generation);

/* The generation last handed out.  At most 2^56 - 1, of which 2^24 - 1 between two times that the
 * extent was empty: a slot that reaches the last is retired until then. */
uint64_t slots_generation(const struct slots *slots, uint32_t slot);

/* Gives a slot back; it is free. */
void slots_give(struct slots *slots, uint32_t slot);
/* The same, but its storage is bad: retired. */
void slots_spoil(struct slots *slots, uint32_t slot);

/*
 * The extent to find storage for next: one with many holes, or a new one; frozen until slots_grown,
 * which turns its holes into free slots if `ok`.  SLOTS_NO_EXTENT: at the limit, or out of memory.
 * `fresh`: rather a new one.
 */
uint32_t slots_grow(struct slots *slots, bool fresh);
void slots_grown(struct slots *slots, uint32_t extent, bool ok);

/*
 * The extent to take storage from next: the one with the most free slots, if these are at least
 * `least`, and not the one being taken from.  Its free slots become holes, `map` tells which (bit i
 * of word j: slot j * 64 + i); it is frozen until slots_thaw.  `empty`: none of it is in use.
 * `skip` may refuse an extent.
 */
uint32_t slots_thin(struct slots *slots, uint32_t least, bool (*skip)(void *arg, uint32_t extent),
                    void *arg, uint64_t map[SLOTS_WORDS], bool *empty);

/* Of such a map: how many slots it names.  The first run of them at or behind `*at`, which becomes its
 * begin: how long it is, 0: there is none. */
uint32_t slots_map_count(const uint64_t map[SLOTS_WORDS]);
uint32_t slots_map_run(const uint64_t map[SLOTS_WORDS], uint32_t *at);

/* Frozen: not taken from, grown or thinned; also the one being taken from. */
void slots_freeze(struct slots *slots, uint32_t extent);
void slots_thaw(struct slots *slots, uint32_t extent);
bool slots_frozen(const struct slots *slots, uint32_t extent);

/* Has a home in the storage below; only such extents count in slots_stored. */
void slots_home(struct slots *slots, uint32_t extent, bool homed);

/* The extent being taken from, or SLOTS_NO_EXTENT. */
uint32_t slots_current(const struct slots *slots);
uint32_t slots_extent_free(const struct slots *slots, uint32_t extent);
/* Not holes, of an extent. */
uint32_t slots_extent_stored(const struct slots *slots, uint32_t extent);
/* An extent that is all free, besides the current one. */
bool slots_has_empty(const struct slots *slots);

/* In slots: with storage below, in use, free, and of these free in ample extents. */
uint64_t slots_stored(const struct slots *slots);
uint64_t slots_used(const struct slots *slots);
uint64_t slots_free(const struct slots *slots);
uint64_t slots_ample(const struct slots *slots);
uint32_t slots_extents(const struct slots *slots);
/* Bytes of memory. */
size_t slots_memory(const struct slots *slots);

/* For tests: the count a slot goes on from, and the extent's epoch. */
void slots_age(struct slots *slots, uint32_t slot, uint32_t count, uint32_t epoch);

#endif
