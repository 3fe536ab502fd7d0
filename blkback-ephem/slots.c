// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: extents with a bitmap of free places and an array of generations.
 *
 * An extent without storage is never taken from.  When the current extent is used up, the one with
 * the most free places follows, if at least a quarter of it is free: reuse then still goes out in
 * long runs.  Otherwise the pool grows, and only when it cannot are crowded extents scraped.
 * A slot whose generation reached its last value is never free again.
 * Deliberately absent: moving live slots together; empty extents are given back as they arise.
 */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS   (SLOTS_PER_EXTENT / 64)
#define QUARTER (SLOTS_PER_EXTENT / 4)

struct extent {
    bool backed;
    bool punching; /* its storage is being given back */
    uint16_t nfree;
    uint16_t worn; /* slots at their last generation, neither free nor in use */
    uint64_t free[WORDS];
    uint32_t generation[SLOTS_PER_EXTENT];
};

struct slots {
    uint32_t limit;
    uint32_t count;   /* extents that exist */
    uint32_t backed;  /* of which have storage */
    uint32_t current; /* taken from; SLOTS_NO_EXTENT when none */
    uint32_t cursor;  /* within current */
    uint64_t used, free;
    struct extent **extents;
};

int slots_open(struct slots **out, uint32_t extents)
{
    struct slots *slots = calloc(1, sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    slots->limit = extents;
    slots->current = SLOTS_NO_EXTENT;
    *out = slots;
    return 0;
}

void slots_close(struct slots *slots)
{
    if (!slots)
        return;
    for (uint32_t i = 0; i < slots->count; i++)
        free(slots->extents[i]);
    free(slots->extents);
    free(slots);
}

static struct extent *slots_extent(const struct slots *slots, uint32_t slot)
{
    return slots->extents[slot / SLOTS_PER_EXTENT];
}

/* The next free place at or after `from`, or SLOTS_PER_EXTENT. */
static uint32_t extent_next(const struct extent *extent, uint32_t from)
{
    uint32_t word = from / 64;

    if (from >= SLOTS_PER_EXTENT)
        return SLOTS_PER_EXTENT;
    uint64_t bits = extent->free[word] & (~0ull << (from % 64));
    while (!bits) {
        if (++word == WORDS)
            return SLOTS_PER_EXTENT;
        bits = extent->free[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

static uint32_t slots_best(const struct slots *slots, uint32_t least)
{
    uint32_t best = SLOTS_NO_EXTENT, most = least ? least - 1 : 0;

    for (uint32_t i = 0; i < slots->count; i++) {
        const struct extent *extent = slots->extents[i];
        if (extent->backed && extent->nfree > most) {
            best = i;
            most = extent->nfree;
        }
    }
    return best;
}

uint32_t slots_take(struct slots *slots, uint32_t want, bool scrape, uint32_t *slot,
                    uint32_t *generation)
{
    uint32_t got = 0;

    while (got < want) {
        struct extent *extent = slots->current == SLOTS_NO_EXTENT ? NULL
                                                                  : slots->extents[slots->current];
        uint32_t at = extent ? extent_next(extent, slots->cursor) : SLOTS_PER_EXTENT;

        if (at == SLOTS_PER_EXTENT) {
            slots->current = slots_best(slots, scrape ? 1 : QUARTER);
            slots->cursor = 0;
            if (slots->current == SLOTS_NO_EXTENT)
                break;
            continue;
        }
        extent->free[at / 64] &= ~(1ull << (at % 64));
        extent->nfree--;
        slots->cursor = at + 1;
        slot[got] = slots->current * SLOTS_PER_EXTENT + at;
        generation[got] = ++extent->generation[at];
        got++;
    }
    slots->used += got;
    slots->free -= got;
    return got;
}

/* Creates the record of one more extent, without storage. */
static uint32_t slots_extend(struct slots *slots)
{
    if (slots->count == slots->limit)
        return SLOTS_NO_EXTENT;
    if ((slots->count & (slots->count - 1)) == 0) {
        size_t room = slots->count ? (size_t)slots->count * 2 : 1;
        struct extent **extents = realloc(slots->extents, room * sizeof(*extents));
        if (!extents)
            return SLOTS_NO_EXTENT;
        slots->extents = extents;
    }
    struct extent *extent = calloc(1, sizeof(*extent));
    if (!extent)
        return SLOTS_NO_EXTENT;
    slots->extents[slots->count] = extent;
    return slots->count++;
}

uint32_t slots_grow_next(struct slots *slots)
{
    for (uint32_t i = 0; slots->backed < slots->count && i < slots->count; i++)
        if (!slots->extents[i]->backed && !slots->extents[i]->punching &&
            slots->extents[i]->worn < SLOTS_PER_EXTENT)
            return i;
    return slots_extend(slots);
}

void slots_grown(struct slots *slots, uint32_t number)
{
    struct extent *extent = slots->extents[number];

    extent->backed = true;
    extent->nfree = 0;
    for (uint32_t at = 0; at < SLOTS_PER_EXTENT; at++) {
        if (extent->generation[at] == UINT32_MAX)
            continue;
        extent->free[at / 64] |= 1ull << (at % 64);
        extent->nfree++;
    }
    slots->backed++;
    slots->free += extent->nfree;
}

uint32_t slots_renew(struct slots *slots, uint32_t slot)
{
    uint32_t *generation = &slots_extent(slots, slot)->generation[slot % SLOTS_PER_EXTENT];

    return *generation == UINT32_MAX ? 0 : ++*generation;
}

uint32_t slots_generation(const struct slots *slots, uint32_t slot)
{
    return slots_extent(slots, slot)->generation[slot % SLOTS_PER_EXTENT];
}

uint32_t slots_give(struct slots *slots, uint32_t slot)
{
    struct extent *extent = slots_extent(slots, slot);
    uint32_t at = slot % SLOTS_PER_EXTENT, number = slot / SLOTS_PER_EXTENT;

    slots->used--;
    if (extent->generation[at] == UINT32_MAX) {
        extent->worn++;
    } else {
        extent->free[at / 64] |= 1ull << (at % 64);
        extent->nfree++;
        slots->free++;
    }
    if (extent->nfree + extent->worn < SLOTS_PER_EXTENT || number == slots->current)
        return SLOTS_NO_EXTENT;
    memset(extent->free, 0, sizeof(extent->free));
    slots->free -= extent->nfree;
    extent->nfree = 0;
    extent->backed = false;
    extent->punching = true;
    slots->backed--;
    return number;
}

void slots_punched(struct slots *slots, uint32_t number)
{
    slots->extents[number]->punching = false;
}

uint64_t slots_backed(const struct slots *slots)
{
    return (uint64_t)slots->backed * SLOTS_PER_EXTENT;
}

uint64_t slots_used(const struct slots *slots)
{
    return slots->used;
}

uint64_t slots_free(const struct slots *slots)
{
    return slots->free;
}

void slots_age(struct slots *slots, uint32_t slot, uint32_t generation)
{
    slots_extent(slots, slot)->generation[slot % SLOTS_PER_EXTENT] = generation;
}
