// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pack: slabs of 64 KiB, each cut into units of one of 16 sizes.  A slab that has emptied gives its
 * memory back and may be cut anew.  Which unit a slot has stands in tables by extent.
 * Deliberately absent: moving units together.  A guest that fills the pool with units of one size,
 * frees most of each slab, and then writes others finds less room than was freed: its writes are
 * held, the bound holds all the same.
 */
#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "slots.h"
#include "util.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

#define SLAB    65536u
#define UNIT    256u
#define SIZES   16u
#define NO_UNIT 0u                /* in tables: unit number + 1 */
#define TABLES  ((1u << 22) - 1u) /* extents */

struct slab {
    struct list link; /* free, or partly used of its size */
    uint16_t size;    /* in UNITs; 0: not cut */
    uint16_t used;
    uint64_t map[SLAB / UNIT / 64]; /* units in use */
};

struct pack {
    uint8_t *memory;
    uint32_t count;
    uint32_t free;     /* slabs */
    uint32_t promised; /* blocks */
    uint32_t ntables;
    struct list empty, partial[SIZES + 1];
    uint32_t **tables; /* by extent: SLOTS_PER_EXTENT entries */
    struct slab slabs[];
};

/* Zeroes that cost nothing until they are touched, or NULL */
static void *pack_map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_NOHUGEPAGE);
    madvise(p, bytes, MADV_DONTDUMP);
    return p;
}

static void pack_unmap(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

static void pack_free(struct pack *pack)
{
    pack_unmap(pack->tables, TABLES * sizeof(*pack->tables));
    pack_unmap(pack->memory, (size_t)pack->count * SLAB);
    free(pack);
}

int pack_open(struct pack **out, uint64_t bytes)
{
    uint32_t count = (uint32_t)min_u64(bytes / SLAB, UINT32_MAX / (SLAB / UNIT) - 1);
    struct pack *pack = calloc(1, sizeof(*pack) + count * sizeof(struct slab));

    if (!pack)
        return -ENOMEM;
    pack->count = pack->free = count;
    pack->tables = pack_map(TABLES * sizeof(*pack->tables));
    pack->memory = pack_map((size_t)count * SLAB);
    if (!pack->tables || !pack->memory) {
        pack_free(pack);
        return -ENOMEM;
    }
    list_init(&pack->empty);
    for (uint32_t i = 0; i <= SIZES; i++)
        list_init(&pack->partial[i]);
    for (uint32_t i = 0; i < count; i++)
        list_append(&pack->empty, &pack->slabs[i].link);
    *out = pack;
    return 0;
}

void pack_close(struct pack *pack)
{
    if (!pack)
        return;
    for (uint32_t i = 0; i < pack->ntables; i++)
        free(pack->tables[i]);
    pack_free(pack);
}

/* Slabs that so many blocks need at worst: full-sized all of them, or one of each size. */
static uint32_t pack_need(uint32_t blocks)
{
    return blocks / (SLAB / BLOCK_SIZE) + SIZES + 1;
}

bool pack_has_room(const struct pack *pack, uint32_t blocks)
{
    return pack->free >= pack_need(pack->promised + blocks);
}

void pack_promise(struct pack *pack, uint32_t blocks)
{
    pack->promised += blocks;
}

void pack_unpromise(struct pack *pack, uint32_t blocks)
{
    pack->promised -= blocks;
}

bool pack_is_promised(const struct pack *pack)
{
    return pack->promised;
}

static uint32_t slab_units(const struct slab *slab)
{
    return SLAB / UNIT / slab->size;
}

/* A slab with a free unit of the size. */
static struct slab *pack_slab(struct pack *pack, uint16_t size)
{
    if (!list_empty(&pack->partial[size]))
        return container_of(pack->partial[size].next, struct slab, link);
    struct list *it = list_pop(&pack->empty);
    if (!it)
        return NULL;
    struct slab *slab = container_of(it, struct slab, link);
    slab->size = size;
    pack->free--;
    list_append(&pack->partial[size], it);
    return slab;
}

static uint32_t slab_take(struct slab *slab)
{
    uint32_t at = 0;

    while (slab->map[at / 64] >> (at % 64) & 1)
        at++;
    slab->map[at / 64] |= 1ull << (at % 64);
    if (++slab->used == slab_units(slab))
        list_remove(&slab->link);
    return at;
}

static uint32_t *pack_entry(const struct pack *pack, uint32_t slot)
{
    uint32_t *table = pack->tables[slot / SLOTS_PER_EXTENT];

    return table ? &table[slot % SLOTS_PER_EXTENT] : NULL;
}

uint8_t *pack_put(struct pack *pack, uint32_t slot, uint32_t bytes)
{
    uint32_t extent = slot / SLOTS_PER_EXTENT, size = (bytes + UNIT - 1) / UNIT;

    if (!pack->tables[extent])
        pack->tables[extent] = calloc(SLOTS_PER_EXTENT, sizeof(uint32_t));
    if (!pack->tables[extent])
        return NULL;
    if (extent >= pack->ntables)
        pack->ntables = extent + 1;
    struct slab *slab = pack_slab(pack, (uint16_t)size);
    if (!slab)
        return NULL;
    uint32_t number = (uint32_t)(slab - pack->slabs), at = slab_take(slab);
    *pack_entry(pack, slot) = number * (SLAB / UNIT) + at + 1;
    return pack->memory + (size_t)number * SLAB + (size_t)at * size * UNIT;
}

uint8_t *pack_find(const struct pack *pack, uint32_t slot, uint32_t *bytes)
{
    uint32_t *entry = pack_entry(pack, slot);

    if (!entry || *entry == NO_UNIT)
        return NULL;
    uint32_t number = (*entry - 1) / (SLAB / UNIT), at = (*entry - 1) % (SLAB / UNIT);
    *bytes = pack->slabs[number].size * UNIT;
    return pack->memory + (size_t)number * SLAB + (size_t)at * *bytes;
}

/* Locked memory is only given back by the newer call. */
static void pack_release(struct pack *pack, struct slab *slab)
{
    uint8_t *at = pack->memory + (size_t)(slab - pack->slabs) * SLAB;

    slab->size = 0;
    list_remove(&slab->link);
    list_append(&pack->empty, &slab->link);
    pack->free++;
    if (!madvise(at, SLAB, MADV_DONTNEED_LOCKED))
        return;
    munlock(at, SLAB);
    madvise(at, SLAB, MADV_DONTNEED);
}

void pack_drop(struct pack *pack, uint32_t slot)
{
    uint32_t *entry = pack_entry(pack, slot);

    if (!entry || *entry == NO_UNIT)
        return;
    struct slab *slab = &pack->slabs[(*entry - 1) / (SLAB / UNIT)];
    uint32_t at = (*entry - 1) % (SLAB / UNIT);
    *entry = NO_UNIT;
    slab->map[at / 64] &= ~(1ull << (at % 64));
    if (slab->used-- == slab_units(slab))
        list_append(&pack->partial[slab->size], &slab->link);
    if (!slab->used)
        pack_release(pack, slab);
}

uint64_t pack_used(const struct pack *pack)
{
    return (uint64_t)(pack->count - pack->free) * SLAB;
}

size_t pack_memory(const struct pack *pack)
{
    size_t bytes = sizeof(*pack) + pack->count * sizeof(struct slab) +
                   pack->ntables * sizeof(*pack->tables);

    for (uint32_t i = 0; i < pack->ntables; i++)
        bytes += pack->tables[i] ? SLOTS_PER_EXTENT * sizeof(uint32_t) : 0;
    return bytes;
}
