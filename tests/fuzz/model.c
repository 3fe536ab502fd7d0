// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * model: `changes` counts beginnings and ends, so that a sum over a range that has not moved says
 * that nothing happened there meanwhile.
 */
#include "model.h"

#include <string.h>
#include "fuzz.h"
#include "rig.h"
#include "world.h"

static struct {
    uint64_t hash;
    uint32_t flying, changes;
    bool known, alone;
} sectors[WORLD_SECTORS];
static uint64_t of_base[WORLD_SECTORS], of_zero;

uint64_t model_hash(const uint8_t *sector)
{
    uint64_t hash = 14695981039346656037ull, word;

    for (int i = 0; i < 512; i += 8) {
        memcpy(&word, sector + i, 8);
        hash = (hash ^ word) * 1099511628211ull;
        hash ^= hash >> 29;
    }
    return hash;
}

uint64_t model_zero(void)
{
    return of_zero;
}

static void model_prepare(void)
{
    static uint8_t base[WORLD_SECTORS * 512];
    static const uint8_t zero[512];

    rig_base_fill(base, sizeof(base));
    for (uint32_t i = 0; i < WORLD_SECTORS; i++)
        of_base[i] = model_hash(base + i * 512);
    of_zero = model_hash(zero);
}

void model_open(uint32_t count, uint32_t base_sectors)
{
    if (!of_zero)
        model_prepare();
    memset(sectors, 0, sizeof(sectors));
    for (uint32_t i = 0; i < count; i++) {
        sectors[i].hash = i < base_sectors ? of_base[i] : of_zero;
        sectors[i].known = true;
    }
}

void model_begin(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        sectors[i].alone = !sectors[i].flying++;
        sectors[i].changes++;
        sectors[i].known = false;
    }
}

void model_end(uint32_t first, uint32_t count, const uint64_t *hash)
{
    for (uint32_t i = first; i < first + count; i++) {
        sectors[i].flying--;
        sectors[i].changes++;
        sectors[i].known = hash && sectors[i].alone;
        if (hash)
            sectors[i].hash = hash[i - first];
    }
}

uint64_t model_mark(uint32_t first, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t i = first; i < first + count; i++)
        sum += sectors[i].changes;
    return sum;
}

bool model_may_be(uint32_t first, uint32_t count, uint64_t mark, uint32_t sector,
                  const uint8_t *bytes)
{
    if (model_mark(first, count) != mark || !sectors[sector].known || sectors[sector].flying)
        return true;
    return sectors[sector].hash == model_hash(bytes);
}
