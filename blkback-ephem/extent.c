// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extent: the bits and counts of one extent.
 */
#include "extent.h"

#include <string.h>

#define COUNT_MAX 0xffffffu

uint32_t extent_count(const struct extent *extent, uint32_t at)
{
    const uint8_t *count = extent->count[at];

    return count[0] | (uint32_t)count[1] << 8 | (uint32_t)count[2] << 16;
}

void extent_set_count(struct extent *extent, uint32_t at, uint32_t count)
{
    extent->count[at][0] = (uint8_t)count;
    extent->count[at][1] = (uint8_t)(count >> 8);
    extent->count[at][2] = (uint8_t)(count >> 16);
}

bool extent_retired(const struct extent *extent, uint32_t at)
{
    return extent_count(extent, at) == COUNT_MAX;
}

void extent_retire(struct extent *extent, uint32_t at)
{
    extent_set_count(extent, at, COUNT_MAX);
}

uint32_t extent_next(const struct extent *extent, uint32_t from)
{
    for (uint32_t at = from; at < SLOTS_PER_EXTENT; at++) {
        uint64_t bits = extent->free[at / 64] >> (at % 64);
        if (!bits) {
            at |= 63;
            continue;
        }
        at += (uint32_t)__builtin_ctzll(bits);
        if (!extent_retired(extent, at))
            return at;
    }
    return SLOTS_PER_EXTENT;
}

void extent_fill(struct extent *extent)
{
    for (uint32_t i = 0; i < SLOTS_WORDS; i++)
        extent->free[i] |= extent->holes[i];
    memset(extent->holes, 0, sizeof(extent->holes));
    extent->nfree = (uint16_t)(extent->nfree + extent->nholes);
    extent->nholes = 0;
    extent->stored = SLOTS_PER_EXTENT;
}

void extent_renew(struct extent *extent)
{
    if (extent->used || extent->nfree + extent->nholes == SLOTS_PER_EXTENT ||
        extent->epoch == UINT32_MAX) /* then they are retired for good */
        return;
    extent->epoch++;
    memset(extent->count, 0, sizeof(extent->count));
    extent->nfree = (uint16_t)slots_map_count(extent->free);
    extent->nholes = (uint16_t)slots_map_count(extent->holes);
}

uint32_t extent_punch(struct extent *extent, uint64_t map[SLOTS_WORDS])
{
    uint32_t punched = 0;

    for (uint32_t i = 0; i < SLOTS_WORDS; i++) {
        map[i] = extent->free[i];
        punched += (uint32_t)__builtin_popcountll(extent->free[i]);
        extent->holes[i] |= extent->free[i];
    }
    memset(extent->free, 0, sizeof(extent->free));
    extent->nholes = (uint16_t)(extent->nholes + extent->nfree);
    extent->nfree = 0;
    extent->stored = (uint16_t)(extent->stored - punched);
    return punched;
}
