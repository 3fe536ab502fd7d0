/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extent_map: whose each extent of a shared device is: nobody's, a holder's, or dirty: its holder
 * is done with it and what he wrote must be discarded before anybody else gets it.  Pure, one
 * thread.  At first all are dirty: nobody knows who was there before us.
 */
#ifndef EPHEM_EXTENT_MAP_H
#define EPHEM_EXTENT_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define EXTENT_MAP_MOST  ((uint32_t)1 << 24) /* extents a device: 64 TiB */
#define EXTENT_MAP_BATCH 8                   /* handed out at a time while others wait */

struct extent_map;

/* Members are read by anybody, written by extent_map only. */
struct extent_holder {
    struct list waiting; /* in the map's list of those who wait */
    uint32_t id;
    uint32_t most; /* extents it may hold; 0: no bound */
    uint32_t held;
    uint32_t wants; /* 0: does not wait */
    void *owner;
};

struct extent_counts {
    uint32_t all, free, held, dirty;
};

/* 0; -EINVAL for none or more than EXTENT_MAP_MOST; -ENOMEM. */
int extent_map_open(struct extent_map **out, uint32_t extents);
/* Holders must have left. */
void extent_map_close(struct extent_map *map);

/* A new holder, the map's, who may hold `most` (0: any number).  0 or -ENOMEM. */
int extent_map_join(struct extent_map *map, uint32_t most, void *owner, struct extent_holder **out);

/* The holder is no more; all it had is dirty. */
void extent_map_leave(struct extent_map *map, struct extent_holder *holder);

/* All it had is dirty and it waits for nothing, as if it had just joined. */
void extent_map_reset(struct extent_map *map, struct extent_holder *holder);

/* The holder says that it has held these for long.  0; -EPROTO when one is out of range or held
 * already, by whomever, or is more than it may hold. */
int extent_map_claim(struct extent_map *map, struct extent_holder *holder, uint32_t n,
                     const uint32_t *extent);

/* These come back and are dirty.  0; -EPROTO when one is not this holder's. */
int extent_map_back(struct extent_map *map, struct extent_holder *holder, uint32_t n,
                    const uint32_t *extent);

/* The holder waits for `count` more, behind those who wait already. */
void extent_map_want(struct extent_map *map, struct extent_holder *holder, uint32_t count);

/*
 * Hands out to the first in turn who can be given anything: all it wants while nobody else waits,
 * else a batch; at most `room`.  It does not wait any more: what is missing it asks for again.  The
 * number of extents; 0: nobody can be given anything.
 */
uint32_t extent_map_serve(struct extent_map *map, uint32_t room, struct extent_holder **holder,
                          uint32_t *extent);

/* The next run of dirty extents, at most `most`: to be discarded, and not told again.  Its length;
 * 0: none. */
uint32_t extent_map_dirty(struct extent_map *map, uint32_t most, uint32_t *first);

/* A run told by extent_map_dirty() is free now; or, when it was not `done`, dirty again. */
void extent_map_discarded(struct extent_map *map, uint32_t first, uint32_t n, bool done);

/* A run under way counts as dirty. */
struct extent_counts extent_map_counts(const struct extent_map *map);

#endif
