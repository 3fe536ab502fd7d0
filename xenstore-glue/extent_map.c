// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extent_map: one number an extent.  Runs are searched from where the last search ended, so that a
 * whole device is gone through once for each time around, not once for each extent.
 */
#include "extent_map.h"

#include <errno.h>
#include <stdlib.h>

enum { EXTENT_FREE, EXTENT_DIRTY, EXTENT_DISCARDING, EXTENT_HOLDERS };

struct extent_map {
    struct extent_counts counts;
    uint32_t next_id;
    uint32_t free_at, dirty_at; /* where searches go on */
    struct list waiting;        /* struct extent_holder, in turn */
    uint32_t owner[];           /* EXTENT_* or a holder's id */
};

int extent_map_open(struct extent_map **out, uint32_t extents)
{
    if (!extents || extents > EXTENT_MAP_MOST)
        return -EINVAL;
    struct extent_map *map = calloc(1, sizeof(*map) + extents * sizeof(map->owner[0]));
    if (!map)
        return -ENOMEM;
    map->counts = (struct extent_counts){.all = extents, .dirty = extents};
    map->next_id = EXTENT_HOLDERS;
    list_init(&map->waiting);
    for (uint32_t i = 0; i < extents; i++)
        map->owner[i] = EXTENT_DIRTY;
    *out = map;
    return 0;
}

void extent_map_close(struct extent_map *map)
{
    free(map);
}

int extent_map_join(struct extent_map *map, uint32_t most, void *owner, struct extent_holder **out)
{
    struct extent_holder *holder = calloc(1, sizeof(*holder));

    if (!holder)
        return -ENOMEM;
    *holder = (struct extent_holder){.id = map->next_id++, .most = most, .owner = owner};
    list_init(&holder->waiting);
    *out = holder;
    return 0;
}

static void extent_map_soil(struct extent_map *map, struct extent_holder *holder, uint32_t extent)
{
    map->owner[extent] = EXTENT_DIRTY;
    map->counts.held--;
    map->counts.dirty++;
    holder->held--;
}

void extent_map_reset(struct extent_map *map, struct extent_holder *holder)
{
    for (uint32_t i = 0; i < map->counts.all && holder->held; i++)
        if (map->owner[i] == holder->id)
            extent_map_soil(map, holder, i);
    holder->wants = 0;
    list_remove(&holder->waiting);
}

void extent_map_leave(struct extent_map *map, struct extent_holder *holder)
{
    extent_map_reset(map, holder);
    free(holder);
}

int extent_map_claim(struct extent_map *map, struct extent_holder *holder, uint32_t n,
                     const uint32_t *extent)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = extent[i];

        if (at >= map->counts.all || map->owner[at] >= EXTENT_DISCARDING ||
            (holder->most && holder->held >= holder->most))
            return -EPROTO;
        if (map->owner[at] == EXTENT_FREE)
            map->counts.free--;
        else
            map->counts.dirty--;
        map->owner[at] = holder->id;
        map->counts.held++;
        holder->held++;
    }
    return 0;
}

int extent_map_back(struct extent_map *map, struct extent_holder *holder, uint32_t n,
                    const uint32_t *extent)
{
    for (uint32_t i = 0; i < n; i++) {
        if (extent[i] >= map->counts.all || map->owner[extent[i]] != holder->id)
            return -EPROTO;
        extent_map_soil(map, holder, extent[i]);
    }
    return 0;
}

void extent_map_want(struct extent_map *map, struct extent_holder *holder, uint32_t count)
{
    holder->wants = count;
    list_remove(&holder->waiting);
    if (count)
        list_append(&map->waiting, &holder->waiting);
}

/* What the holder could be given now. */
static uint32_t extent_map_may(const struct extent_map *map, const struct extent_holder *holder)
{
    uint32_t n = min_u32(holder->wants, map->counts.free);

    if (!holder->most)
        return n;
    return holder->held < holder->most ? min_u32(n, holder->most - holder->held) : 0;
}

static uint32_t extent_map_take(struct extent_map *map, struct extent_holder *holder)
{
    while (map->owner[map->free_at] != EXTENT_FREE)
        map->free_at = (map->free_at + 1) % map->counts.all;
    map->owner[map->free_at] = holder->id;
    map->counts.free--;
    map->counts.held++;
    holder->held++;
    return map->free_at;
}

uint32_t extent_map_serve(struct extent_map *map, uint32_t room, struct extent_holder **holder,
                          uint32_t *extent)
{
    struct extent_holder *first = NULL;
    uint32_t others = 0;

    list_for_each(it, &map->waiting)
    {
        struct extent_holder *h = container_of(it, struct extent_holder, waiting);

        if (!extent_map_may(map, h))
            continue;
        others += first != NULL;
        first = first ? first : h;
    }
    if (!first)
        return 0;
    uint32_t n = min_u32(extent_map_may(map, first), room);
    if (others)
        n = min_u32(n, EXTENT_MAP_BATCH);
    for (uint32_t i = 0; i < n; i++)
        extent[i] = extent_map_take(map, first);
    extent_map_want(map, first, 0);
    *holder = first;
    return n;
}

uint32_t extent_map_dirty(struct extent_map *map, uint32_t most, uint32_t *first)
{
    uint32_t n = 0, looked = 0;

    while (looked < map->counts.all && map->owner[map->dirty_at] != EXTENT_DIRTY) {
        map->dirty_at = (map->dirty_at + 1) % map->counts.all;
        looked++;
    }
    *first = map->dirty_at;
    while (n < most && *first + n < map->counts.all && map->owner[*first + n] == EXTENT_DIRTY)
        map->owner[*first + n++] = EXTENT_DISCARDING;
    return n;
}

void extent_map_discarded(struct extent_map *map, uint32_t first, uint32_t n, bool done)
{
    for (uint32_t i = first; i < first + n; i++)
        map->owner[i] = done ? EXTENT_FREE : EXTENT_DIRTY;
    if (done) {
        map->counts.dirty -= n;
        map->counts.free += n;
    }
}

struct extent_counts extent_map_counts(const struct extent_map *map)
{
    return map->counts;
}
