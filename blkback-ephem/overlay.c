// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlay: the index, a list of claims, and a queue of slots in their grace time.
 *
 * Grace: reads are numbered as they begin and kept in that order; a slot let go is tagged with the
 * number of the next read.  It may be reused once the oldest running read is not older than its tag.
 * Claims: short lists, searched in full; their length is what is in flight.  A claim queues behind
 * held ones and behind older waiters that it overlaps, so none waits for ever.
 */
#include "overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parting {
    uint64_t tag;
    uint32_t slot;
};

struct overlay {
    struct index *index;
    uint64_t in_slots;
    struct list held, waiting;
    struct list reads; /* oldest first */
    uint64_t next_read;
    struct parting *partings; /* ring, `first` the oldest */
    size_t first, count, room;
};

int overlay_open(struct overlay **out, uint64_t blocks, bool blank)
{
    struct overlay *overlay = calloc(1, sizeof(*overlay));

    if (!overlay)
        return -ENOMEM;
    int err = index_open(&overlay->index, blocks, blank);
    if (err) {
        free(overlay);
        return err;
    }
    list_init(&overlay->held);
    list_init(&overlay->waiting);
    list_init(&overlay->reads);
    *out = overlay;
    return 0;
}

void overlay_close(struct overlay *overlay)
{
    if (!overlay)
        return;
    index_close(overlay->index);
    free(overlay->partings);
    free(overlay);
}

int overlay_grow(struct overlay *overlay, uint64_t blocks)
{
    return index_grow(overlay->index, blocks);
}

/* True when the claim overlaps one of `list` that stands before `end`. */
static bool claims_overlap(const struct list *list, const struct list *end,
                           const struct overlay_claim *claim)
{
    for (const struct list *it = list->next; it != list && it != end; it = it->next) {
        const struct overlay_claim *other = container_of(it, struct overlay_claim, link);
        if (claim->first <= other->last && other->first <= claim->last)
            return true;
    }
    return false;
}

bool overlay_claim(struct overlay *overlay, struct overlay_claim *claim)
{
    bool free = !claims_overlap(&overlay->held, NULL, claim) &&
                !claims_overlap(&overlay->waiting, NULL, claim);

    list_append(free ? &overlay->held : &overlay->waiting, &claim->link);
    return free;
}

void overlay_release(struct overlay *overlay, struct overlay_claim *claim, struct list *granted)
{
    list_remove(&claim->link);
    list_for_each_safe(it, next, &overlay->waiting)
    {
        struct overlay_claim *waiter = container_of(it, struct overlay_claim, link);
        if (claims_overlap(&overlay->held, NULL, waiter) ||
            claims_overlap(&overlay->waiting, it, waiter))
            continue;
        list_remove(it);
        list_append(&overlay->held, it);
        list_append(granted, &waiter->grant);
    }
}

void overlay_read_begin(struct overlay *overlay, struct overlay_read *read)
{
    read->began = overlay->next_read++;
    list_append(&overlay->reads, &read->link);
}

void overlay_read_end(struct overlay *overlay, struct overlay_read *read)
{
    (void)overlay;
    list_remove(&read->link);
}

uint32_t overlay_get(const struct overlay *overlay, uint64_t block)
{
    return index_get(overlay->index, block);
}

static int overlay_reserve(struct overlay *overlay, size_t more)
{
    size_t room = overlay->room ? overlay->room : 64;

    if (overlay->count + more <= overlay->room)
        return 0;
    while (room < overlay->count + more)
        room *= 2;
    struct parting *partings = malloc(room * sizeof(*partings));
    if (!partings)
        return -ENOMEM;
    for (size_t i = 0; i < overlay->count; i++)
        partings[i] = overlay->partings[(overlay->first + i) % overlay->room];
    free(overlay->partings);
    overlay->partings = partings;
    overlay->first = 0;
    overlay->room = room;
    return 0;
}

/* Room was reserved. */
static void overlay_part(void *arg, uint32_t slot)
{
    struct overlay *overlay = arg;

    overlay->partings[(overlay->first + overlay->count) % overlay->room] = (struct parting){
        .tag = overlay->next_read, .slot = slot};
    overlay->count++;
    overlay->in_slots--;
}

int overlay_set(struct overlay *overlay, uint64_t block, uint32_t slot)
{
    uint32_t before;

    if (overlay_reserve(overlay, 1) || index_set(overlay->index, block, slot, &before))
        return -ENOMEM;
    overlay->in_slots++;
    if (before <= INDEX_MAX_SLOT)
        overlay_part(overlay, before);
    return 0;
}

int overlay_set_all(struct overlay *overlay, uint64_t first, uint32_t count, uint32_t *slots)
{
    uint32_t n = 0, before;

    if (overlay_reserve(overlay, count))
        return -ENOMEM;
    for (; n < count && !index_set(overlay->index, first + n, slots[n], &before); n++)
        slots[n] = before;
    if (n < count) {
        while (n--) {
            index_set(overlay->index, first + n, slots[n], &before); /* it has its place now */
            slots[n] = before;
        }
        return -ENOMEM;
    }
    overlay->in_slots += count;
    for (uint32_t i = 0; i < count; i++)
        if (slots[i] <= INDEX_MAX_SLOT)
            overlay_part(overlay, slots[i]);
    return 0;
}

int overlay_zero(struct overlay *overlay, uint64_t first, uint64_t count)
{
    while (count) {
        uint64_t some = min_u64(count, INDEX_REGION_BLOCKS - first % INDEX_REGION_BLOCKS);

        if (overlay_reserve(overlay, (size_t)min_u64(some, overlay->in_slots)) ||
            index_zero(overlay->index, first, some, overlay_part, overlay))
            return -ENOMEM;
        first += some;
        count -= some;
    }
    return 0;
}

size_t overlay_reap(struct overlay *overlay, uint32_t *slots, size_t max)
{
    uint64_t oldest = list_empty(&overlay->reads)
                          ? UINT64_MAX
                          : container_of(overlay->reads.next, struct overlay_read, link)->began;
    size_t n = 0;

    while (n < max && overlay->count && overlay->partings[overlay->first].tag <= oldest) {
        slots[n++] = overlay->partings[overlay->first].slot;
        overlay->first = (overlay->first + 1) % overlay->room;
        overlay->count--;
    }
    return n;
}

uint64_t overlay_blocks(const struct overlay *overlay)
{
    return overlay->in_slots;
}

size_t overlay_memory(const struct overlay *overlay)
{
    return sizeof(*overlay) + index_memory(overlay->index) + overlay->room * sizeof(struct parting);
}
