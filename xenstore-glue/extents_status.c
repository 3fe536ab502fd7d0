// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * extents_status: devices as the operator sees them.  An exclusive one is held, dirty or free as a
 * whole.
 */
#include "extents.h"

#include <stdio.h>

#include "extents_device.h"

static json_t *status_bytes(uint64_t bytes)
{
    return json_integer((json_int_t)bytes);
}

static json_t *status_use(const struct extents_use *use)
{
    json_t *object = json_object();
    char number[24];
    uint64_t held = use->holder ? use->holder->held * WIRE_EXTENT : use->device->id.bytes;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)use->life->number);
    json_object_set_new(object, "domid", json_integer(use->life->domid));
    json_object_set_new(object, "life", json_string(number));
    json_object_set_new(object, "held", status_bytes(held));
    return object;
}

static json_t *status_device(const struct extents_device *device)
{
    json_t *object = json_object(), *lives = json_array();
    struct extent_counts counts = {.all = 1,
                                   .held = !list_empty(&device->uses),
                                   .dirty = device->dirty && list_empty(&device->uses)};
    uint64_t unit = device->map ? WIRE_EXTENT : device->id.bytes;
    char spec[PATH_MAX + 16];

    counts.free = counts.all - counts.held - counts.dirty;
    if (device->map)
        counts = extent_map_counts(device->map);
    snprintf(spec, sizeof(spec), "block:%s%s", device->id.path, device->id.shared ? ",shared" : "");
    json_object_set_new(object, "spec", json_string(spec));
    json_object_set_new(object, "bytes", status_bytes(device->id.bytes));
    json_object_set_new(object, "free", status_bytes(counts.free * unit));
    json_object_set_new(object, "held", status_bytes(counts.held * unit));
    json_object_set_new(object, "dirty", status_bytes(counts.dirty * unit));
    list_for_each(it, &device->uses)
        json_array_append_new(lives, status_use(container_of(it, struct extents_use, link)));
    json_object_set_new(object, "lives", lives);
    return object;
}

json_t *extents_status(const struct glue *glue)
{
    json_t *pools = json_array();

    list_for_each(it, &glue->extents->devices)
        json_array_append_new(pools, status_device(container_of(it, struct extents_device, link)));
    return pools;
}
