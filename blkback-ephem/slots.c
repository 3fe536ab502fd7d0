// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots: extents (extent.h), kept in lists by how many free slots they have, and by how many holes,
 * 64 a list, so that the best is found without a search.  When the current extent is used up, the one
 * with the most free places follows, if it is ample: reuse then still goes out in runs, and of what is
 * stored no more than about a tenth is free on average.  Otherwise the pool grows, and only when it
 * cannot are crowded extents scraped.
 * Deliberately absent: moving live slots together; what is free in thin extents is punched instead.
 */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "extent.h"
#include "util.h"

#define LISTS 17u

struct slots {
    uint32_t limit;
    uint32_t count;         /* extents that exist */
    struct extent *current; /* taken from */
    uint32_t cursor;        /* within current */
    uint64_t used, free, ample, stored;
    struct list by_free[LISTS], by_holes[LISTS];
    struct extent **extents;
};

int slots_open(struct slots **out, uint32_t extents)
{
    struct slots *slots = calloc(1, sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    slots->limit = extents;
    for (uint32_t i = 0; i < LISTS; i++) {
        list_init(&slots->by_free[i]);
        list_init(&slots->by_holes[i]);
    }
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

/* What it adds to slots_ample. */
static uint32_t extent_ample(const struct slots *slots, const struct extent *extent)
{
    if (extent != slots->current && (extent->frozen || extent->nfree < SLOTS_AMPLE_FREE))
        return 0;
    return extent->nfree;
}

/* Around every change of an extent. */
static void extent_unlist(struct slots *slots, struct extent *extent)
{
    slots->ample -= extent_ample(slots, extent);
    list_remove(&extent->by_free);
    list_remove(&extent->by_holes);
}

static void extent_list(struct slots *slots, struct extent *extent)
{
    slots->ample += extent_ample(slots, extent);
    if (extent->frozen || extent == slots->current)
        return;
    if (extent->nfree)
        list_append(&slots->by_free[extent->nfree / 64], &extent->by_free);
    if (extent->nholes)
        list_append(&slots->by_holes[extent->nholes / 64], &extent->by_holes);
}

static void slots_set_current(struct slots *slots, struct extent *extent)
{
    struct extent *before = slots->current;

    if (before)
        extent_unlist(slots, before);
    if (extent)
        extent_unlist(slots, extent);
    slots->current = extent;
    slots->cursor = 0;
    if (before)
        extent_list(slots, before);
    if (extent)
        extent_list(slots, extent);
}

static struct extent *slots_best(const struct slots *slots, enum slots_from from)
{
    for (uint32_t i = LISTS; i-- > (from == SLOTS_AMPLE ? SLOTS_AMPLE_FREE / 64 : 0);) {
        list_for_each(it, &slots->by_free[i])
        {
            struct extent *extent = container_of(it, struct extent, by_free);
            if (from != SLOTS_HOMED || extent->homed)
                return extent;
        }
    }
    return NULL;
}

/* The current extent, or the next one, with a free slot at the cursor; NULL: there is none. */
static struct extent *slots_aim(struct slots *slots, enum slots_from from)
{
    for (;;) {
        struct extent *extent = slots->current;

        if (extent && (from != SLOTS_HOMED || extent->homed)) {
            slots->cursor = extent_next(extent, slots->cursor);
            if (slots->cursor < SLOTS_PER_EXTENT)
                return extent;
        }
        struct extent *next = slots_best(slots, from);
        if (!next && extent && extent->nfree && (from != SLOTS_HOMED || extent->homed))
            next = extent; /* what was given back behind the cursor */
        if (!next)
            return NULL;
        slots_set_current(slots, next);
    }
}

uint32_t slots_take(struct slots *slots, uint32_t want, enum slots_from from, uint32_t *slot,
                    uint64_t *generation)
{
    uint32_t got = 0;

    while (got < want) {
        struct extent *extent = slots_aim(slots, from);

        if (!extent)
            break;
        uint32_t at = slots->cursor++, count = extent_count(extent, at) + 1;
        bit_clear(extent->free, at);
        extent_set_count(extent, at, count);
        extent->nfree--;
        extent->used++;
        slots->used++;
        slots->free--;
        slots->ample--; /* of the current extent everything counts */
        slot[got] = extent->number * SLOTS_PER_EXTENT + at;
        generation[got] = (uint64_t)extent->epoch << 24 | count;
        got++;
    }
    return got;
}

uint64_t slots_generation(const struct slots *slots, uint32_t slot)
{
    const struct extent *extent = slots_extent(slots, slot);

    return (uint64_t)extent->epoch << 24 | extent_count(extent, slot % SLOTS_PER_EXTENT);
}

void slots_give(struct slots *slots, uint32_t slot)
{
    struct extent *extent = slots_extent(slots, slot);
    uint32_t at = slot % SLOTS_PER_EXTENT;

    extent_unlist(slots, extent);
    bit_set(extent->free, at);
    extent->used--;
    slots->used--;
    slots->free -= extent->nfree;
    extent->nfree = (uint16_t)(extent->nfree + !extent_retired(extent, at));
    if (extent->nfree < SLOTS_WORTH)
        extent_renew(extent); /* nobody would come and thin it */
    slots->free += extent->nfree;
    extent_list(slots, extent);
}

void slots_spoil(struct slots *slots, uint32_t slot)
{
    extent_retire(slots_extent(slots, slot), slot % SLOTS_PER_EXTENT);
    slots_give(slots, slot);
}

/* A record of one more extent, all holes. */
static struct extent *slots_extend(struct slots *slots)
{
    if (slots->count == slots->limit)
        return NULL;
    if ((slots->count & (slots->count - 1)) == 0) {
        size_t room = slots->count ? (size_t)slots->count * 2 : 1;
        struct extent **extents = realloc(slots->extents, room * sizeof(struct extent *));
        if (!extents)
            return NULL;
        slots->extents = extents;
    }
    struct extent *extent = calloc(1, sizeof(*extent));
    if (!extent)
        return NULL;
    list_init(&extent->by_free);
    list_init(&extent->by_holes);
    memset(extent->holes, 0xff, sizeof(extent->holes));
    extent->nholes = SLOTS_PER_EXTENT;
    extent->number = slots->count;
    slots->extents[slots->count++] = extent;
    return extent;
}

/* With the most holes; a few are not worth it while there can be new extents. */
static struct extent *slots_holed(const struct slots *slots, uint32_t least)
{
    for (uint32_t i = LISTS; i-- > least / 64;)
        if (!list_empty(&slots->by_holes[i]))
            return container_of(slots->by_holes[i].next, struct extent, by_holes);
    return NULL;
}

uint32_t slots_grow(struct slots *slots, bool fresh)
{
    struct extent *extent = fresh ? NULL : slots_holed(slots, SLOTS_AMPLE_FREE);

    if (!extent)
        extent = slots_extend(slots);
    if (!extent)
        extent = slots_holed(slots, 0);
    if (!extent)
        return SLOTS_NO_EXTENT;
    slots_freeze(slots, extent->number);
    return extent->number;
}

void slots_grown(struct slots *slots, uint32_t number, bool ok)
{
    struct extent *extent = slots->extents[number];

    extent_unlist(slots, extent);
    extent->frozen = false;
    if (ok) {
        slots->free += extent->nholes;
        if (extent->homed)
            slots->stored += SLOTS_PER_EXTENT - extent->stored;
        extent_fill(extent);
    }
    extent_list(slots, extent);
}

uint32_t slots_thin(struct slots *slots, uint32_t least, bool (*skip)(void *arg, uint32_t extent),
                    void *arg, uint64_t map[SLOTS_WORDS], bool *empty)
{
    for (uint32_t i = LISTS; i-- > least / 64;) {
        list_for_each(it, &slots->by_free[i])
        {
            struct extent *extent = container_of(it, struct extent, by_free);

            if (extent->nfree < least || (skip && skip(arg, extent->number)))
                continue;
            extent_unlist(slots, extent);
            extent->frozen = true;
            slots->free -= extent->nfree;
            uint32_t punched = extent_punch(extent, map);
            if (extent->homed)
                slots->stored -= punched;
            *empty = !extent->used;
            extent_renew(extent);
            return extent->number;
        }
    }
    return SLOTS_NO_EXTENT;
}

uint32_t slots_map_count(const uint64_t map[SLOTS_WORDS])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < SLOTS_WORDS; i++)
        n += (uint32_t)__builtin_popcountll(map[i]);
    return n;
}

uint32_t slots_map_run(const uint64_t map[SLOTS_WORDS], uint32_t *at)
{
    while (*at < SLOTS_PER_EXTENT && !(map[*at / 64] >> (*at % 64) & 1))
        ++*at;
    uint32_t to = *at;
    while (to < SLOTS_PER_EXTENT && map[to / 64] >> (to % 64) & 1)
        to++;
    return to - *at;
}

static void slots_set_frozen(struct slots *slots, uint32_t number, bool frozen)
{
    struct extent *extent = slots->extents[number];

    if (extent == slots->current)
        slots_set_current(slots, NULL);
    extent_unlist(slots, extent);
    extent->frozen = frozen;
    extent_list(slots, extent);
}

void slots_freeze(struct slots *slots, uint32_t number)
{
    slots_set_frozen(slots, number, true);
}

void slots_thaw(struct slots *slots, uint32_t number)
{
    slots_set_frozen(slots, number, false);
}

bool slots_frozen(const struct slots *slots, uint32_t number)
{
    return slots->extents[number]->frozen;
}

void slots_home(struct slots *slots, uint32_t number, bool homed)
{
    struct extent *extent = slots->extents[number];

    if (extent->homed == homed)
        return;
    extent->homed = homed;
    slots->stored += homed ? extent->stored : -(uint64_t)extent->stored;
}

uint32_t slots_current(const struct slots *slots)
{
    return slots->current ? slots->current->number : SLOTS_NO_EXTENT;
}

uint32_t slots_extent_free(const struct slots *slots, uint32_t number)
{
    return slots->extents[number]->nfree;
}

uint32_t slots_extent_stored(const struct slots *slots, uint32_t number)
{
    return slots->extents[number]->stored;
}

bool slots_has_empty(const struct slots *slots)
{
    return !list_empty(&slots->by_free[LISTS - 1]);
}

uint64_t slots_stored(const struct slots *slots)
{
    return slots->stored;
}

uint64_t slots_used(const struct slots *slots)
{
    return slots->used;
}

uint64_t slots_free(const struct slots *slots)
{
    return slots->free;
}

uint64_t slots_ample(const struct slots *slots)
{
    return slots->ample;
}

uint32_t slots_extents(const struct slots *slots)
{
    return slots->count;
}

size_t slots_memory(const struct slots *slots)
{
    return sizeof(*slots) + slots->count * (sizeof(struct extent) + sizeof(struct extent *));
}

void slots_age(struct slots *slots, uint32_t slot, uint32_t count, uint32_t epoch)
{
    struct extent *extent = slots_extent(slots, slot);

    extent_set_count(extent, slot % SLOTS_PER_EXTENT, count);
    extent->epoch = epoch;
}
