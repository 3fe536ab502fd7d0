// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * index: an adaptive radix tree of fixed shape on top and small nodes below.
 *
 *   regions[]      one per 65536 blocks; without nodes the whole region is in one state
 *     nodes[]      sorted, together they cover the region; each covers 2^order blocks (9..16)
 *       sparse     sorted keys and slots of the exceptions to the node's ground state
 *       dense      one word per block, only at order 9
 *
 * A sparse node that fills is halved, down to order 9, where it turns dense once that is smaller.
 * So memory follows what was written, whether as one run or strewn over a terabyte, and a discard
 * of any span is cheap: whole regions and nodes fall back to a ground state.
 * Deliberately absent: merging of half-empty neighbours (a later whole discard frees them) and any
 * form on disk: the index dies with its guest.
 */
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "node.h"

struct region {
    struct node **nodes;
    uint16_t count;
    bool zero; /* ground state while there are no nodes */
};

struct index {
    uint64_t blocks;
    size_t nregions;
    size_t memory;
    bool blank;
    struct region *regions;
};

static size_t index_regions(uint64_t blocks)
{
    return (size_t)((blocks + INDEX_REGION_BLOCKS - 1) / INDEX_REGION_BLOCKS);
}

int index_open(struct index **out, uint64_t blocks, bool blank)
{
    struct index *index;

    if (blocks > INDEX_MAX_BLOCKS)
        return -EFBIG;
    index = calloc(1, sizeof(*index));
    if (!index)
        return -ENOMEM;
    index->blocks = blocks;
    index->blank = blank;
    index->nregions = index_regions(blocks);
    index->regions = calloc(index->nregions ? index->nregions : 1, sizeof(*index->regions));
    if (!index->regions) {
        free(index);
        return -ENOMEM;
    }
    index->memory = sizeof(*index) + index->nregions * sizeof(*index->regions);
    for (size_t i = 0; blank && i < index->nregions; i++)
        index->regions[i].zero = true;
    *out = index;
    return 0;
}

int index_grow(struct index *index, uint64_t blocks)
{
    size_t nregions = index_regions(blocks);

    if (blocks > INDEX_MAX_BLOCKS)
        return -EFBIG;
    if (nregions > index->nregions) {
        struct region *regions = realloc(index->regions, nregions * sizeof(*regions));
        if (!regions)
            return -ENOMEM;
        for (size_t i = index->nregions; i < nregions; i++)
            regions[i] = (struct region){.zero = index->blank};
        index->memory += (nregions - index->nregions) * sizeof(*regions);
        index->regions = regions;
        index->nregions = nregions;
    }
    index->blocks = blocks;
    return 0;
}

static void region_clear(struct index *index, struct region *region)
{
    for (uint16_t i = 0; i < region->count; i++)
        node_free(&index->memory, region->nodes[i]);
    index->memory -= region->count * sizeof(struct node *);
    free(region->nodes);
    region->nodes = NULL;
    region->count = 0;
}

void index_close(struct index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->nregions; i++)
        region_clear(index, &index->regions[i]);
    free(index->regions);
    free(index);
}

/* The place of the node that covers `at`. */
static uint16_t region_find(const struct region *region, uint16_t at)
{
    uint16_t low = 0, high = region->count;

    while (high - low > 1) {
        uint16_t mid = (uint16_t)((low + high) / 2);
        if (region->nodes[mid]->start <= at)
            low = mid;
        else
            high = mid;
    }
    return low;
}

uint32_t index_get(const struct index *index, uint64_t block)
{
    const struct region *region = &index->regions[block / INDEX_REGION_BLOCKS];
    uint16_t at = (uint16_t)(block % INDEX_REGION_BLOCKS);

    if (!region->nodes)
        return region->zero ? INDEX_ZERO : INDEX_BASE;
    return node_get(region->nodes[region_find(region, at)], at);
}

size_t index_memory(const struct index *index)
{
    return index->memory;
}

/* Halves the sparse node at `place`; its upper half follows it. */
static int node_split(struct index *index, struct region *region, uint16_t place)
{
    struct node *low = region->nodes[place];
    uint16_t middle = (uint16_t)(low->start + (1u << (low->order - 1)));
    uint16_t cut = node_find(low, middle);
    uint16_t moved = (uint16_t)(low->count - cut);
    struct node *high = node_new(&index->memory, middle, (uint8_t)(low->order - 1), low->zero);

    if (!high)
        return -ENOMEM;
    struct node **nodes = realloc(region->nodes, (region->count + 1u) * sizeof(*nodes));
    if (nodes)
        region->nodes = nodes;
    if (!nodes || (moved && node_resize(&index->memory, high, moved))) {
        node_free(&index->memory, high);
        return -ENOMEM;
    }
    if (moved) {
        memcpy(high->slots, low->slots + cut, moved * sizeof(uint32_t));
        memcpy(node_keys(high), node_keys(low) + cut, moved * sizeof(uint16_t));
    }
    high->count = moved;
    low->count = cut;
    low->order--;
    memmove(nodes + place + 2, nodes + place + 1,
            (size_t)(region->count - place - 1) * sizeof(*nodes));
    nodes[place + 1] = high;
    region->count++;
    index->memory += sizeof(*nodes);
    node_settle(&index->memory, low);
    node_settle(&index->memory, high);
    return 0;
}

static int region_open_nodes(struct index *index, struct region *region)
{
    region->nodes = malloc(sizeof(*region->nodes));
    if (!region->nodes)
        return -ENOMEM;
    region->nodes[0] = node_new(&index->memory, 0, ORDER_MAX, region->zero);
    if (!region->nodes[0]) {
        free(region->nodes);
        region->nodes = NULL;
        return -ENOMEM;
    }
    region->count = 1;
    index->memory += sizeof(*region->nodes);
    return 0;
}

int index_set(struct index *index, uint64_t block, uint32_t slot, uint32_t *before)
{
    struct region *region = &index->regions[block / INDEX_REGION_BLOCKS];
    uint16_t at = (uint16_t)(block % INDEX_REGION_BLOCKS);

    if (!region->nodes && region_open_nodes(index, region))
        return -ENOMEM;
    for (;;) {
        uint16_t place = region_find(region, at);
        struct node *node = region->nodes[place];

        if (node->dense) {
            *before = node->slots[at - node->start];
            node->slots[at - node->start] = slot;
            return 0;
        }
        uint16_t i = node_find(node, at);
        if (i < node->count && node_keys(node)[i] == at) {
            *before = node->slots[i];
            node->slots[i] = slot;
            return 0;
        }
        if (node->order > ORDER_MIN && node->count >= SPARSE_FULL) {
            if (node_split(index, region, place))
                return -ENOMEM;
        } else if (node->order == ORDER_MIN && node->count >= SPARSE_DENSE) {
            if (node_densify(&index->memory, node))
                return -ENOMEM;
        } else {
            *before = node_ground(node);
            return node_insert(&index->memory, node, i, at, slot);
        }
    }
}

/* [from, to) lies within the region. */
static int region_zero(struct index *index, struct region *region, uint32_t from, uint32_t to,
                       void (*drop)(void *, uint32_t), void *arg)
{
    if (from == 0 && to == INDEX_REGION_BLOCKS) {
        for (uint16_t i = 0; i < region->count; i++)
            node_drop(region->nodes[i], drop, arg);
        region_clear(index, region);
        region->zero = true;
        return 0;
    }
    if (!region->nodes && region->zero)
        return 0;
    if (!region->nodes && region_open_nodes(index, region))
        return -ENOMEM;
    while (from < to) {
        uint16_t place = region_find(region, (uint16_t)from);
        struct node *node = region->nodes[place];
        uint32_t end = node->start + (1u << node->order);
        uint32_t stop = to < end ? to : end;
        uint32_t full = node->order > ORDER_MIN ? SPARSE_FULL : SPARSE_DENSE;
        int err = 0;

        if (from == node->start && to >= end) {
            node_drop(node, drop, arg);
            node_zero_whole(&index->memory, node);
            from = end;
        } else if (!node->dense && node->zero) {
            node_forget(node, from, stop, drop, arg);
            from = stop;
        } else if (!node->dense && stop - from <= ZERO_FEW && node->count + stop - from <= full) {
            err = node_zero_few(&index->memory, node, from, stop, drop, arg);
            from = stop;
        } else if (node->order > ORDER_MIN) {
            err = node_split(index, region, place);
        } else {
            err = node_zero_part(&index->memory, node, from, stop, drop, arg);
            from = stop;
        }
        if (err)
            return err;
    }
    return 0;
}

int index_zero(struct index *index, uint64_t first, uint64_t count,
               void (*drop)(void *arg, uint32_t slot), void *arg)
{
    uint64_t end = first + count;

    while (first < end) {
        uint64_t r = first / INDEX_REGION_BLOCKS;
        uint64_t start = r * INDEX_REGION_BLOCKS;
        uint64_t stop = start + INDEX_REGION_BLOCKS;
        /* The last region may be cut short; what lies beyond a blank volume is zero anyway.  Over a
         * base it is not to be touched: the volume may grow. */
        uint64_t to = index->blank && end >= index->blocks ? stop : end < stop ? end : stop;
        int err = region_zero(index, &index->regions[r], (uint32_t)(first - start),
                              (uint32_t)(to - start), drop, arg);
        if (err)
            return err;
        first = stop;
    }
    return 0;
}
