// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers and contents: a random sequence, sectors made from a seed, and a hash of a sector. */
#include "front.h"

#include <string.h>

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Each sector's content depends on its number and the seed alone. */
void pattern_fill(char *buf, uint64_t sector, uint64_t sectors, uint64_t seed)
{
    for (uint64_t s = 0; s < sectors; s++) {
        uint64_t state = seed * 0x2545f4914f6cdd1du + (sector + s);

        for (unsigned i = 0; i < SECTOR; i += 8, buf += 8) {
            uint64_t word = random_next(&state);

            memcpy(buf, &word, 8);
        }
    }
}

/* Never 0. */
uint64_t sector_hash(const char *sector)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (unsigned i = 0; i < SECTOR; i += 8) {
        uint64_t word;

        memcpy(&word, sector + i, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 29;
    }
    return hash ? hash : 1;
}
