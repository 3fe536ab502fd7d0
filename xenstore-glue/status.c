// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: one object a guest, one a volume.  Sizes are bytes, times are seconds since 1970; a limit
 * of 0 is none, and what nobody knows is null.
 */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extents.h"
#include "life.h"
#include "paths.h"
#include "tombstone.h"
#include "vbd.h"

/* The domid a guest of ours is shown by: those of vbds, and those of lives without any. */
struct status_ids {
    uint32_t *ids;
    size_t count;
};

static struct status_ids status_ids(const struct glue *glue)
{
    struct status_ids all = {.count = 0};
    size_t most = 1;

    list_for_each(it, &glue->vbds) most++;
    list_for_each(it, &glue->lives) most++;
    all.ids = calloc(most, sizeof(*all.ids));
    if (!all.ids)
        return all;
    list_for_each(it, &glue->vbds)
        all.ids[all.count++] = container_of(it, struct vbd, link)->id.domid;
    list_for_each(it, &glue->lives)
    {
        const struct life *life = container_of(it, struct life, link);

        if (life->phase == LIFE_RESUMING)
            all.ids[all.count++] = life->domid;
    }
    return all;
}

/* jansson refuses what is not UTF-8: then the text is left out. */
json_t *status_string(const char *text)
{
    json_t *value = json_string(text);

    return value ? value : json_string("?");
}

static json_t *status_number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void status_name(struct glue *glue, uint32_t domid, char *name, size_t size)
{
    char path[PATH_ROOM];

    name[0] = '\0';
    path_domain(path, domid, "name");
    if (glue->xs)
        xenstore_read(glue->xs, path, name, size);
}

json_t *status_guest_name(struct glue *glue, uint32_t domid)
{
    char name[256];

    status_name(glue, domid, name, sizeof(name));
    return status_string(name);
}

bool status_find(struct glue *glue, const char *domain, uint32_t *domid)
{
    char name[256];

    struct status_ids all = status_ids(glue);
    uint32_t wanted;
    bool found = false;

    for (size_t i = 0; i < all.count && !found; i++) {
        *domid = all.ids[i];
        status_name(glue, *domid, name, sizeof(name));
        found = (!path_parse_id(domain, PATH_DOMIDS - 1, &wanted) && wanted == *domid) ||
                (name[0] && !strcmp(name, domain));
    }
    free(all.ids);
    return found;
}

static void status_volume_numbers(json_t *volume, const struct wire_stats_volume *stats)
{
    json_object_set_new(volume, "reads", status_number(stats->reads));
    json_object_set_new(volume, "writes", status_number(stats->writes));
    json_object_set_new(volume, "flushes", status_number(stats->flushes));
    json_object_set_new(volume, "discards", status_number(stats->discards));
    json_object_set_new(volume, "errors", status_number(stats->errors));
    json_object_set_new(volume, "bytes_read", status_number(stats->bytes_read));
    json_object_set_new(volume, "bytes_written", status_number(stats->bytes_written));
    json_object_set_new(volume, "blocks", status_number(stats->blocks));
    json_object_set_new(volume, "index_bytes", status_number(stats->index_bytes));
    json_object_set_new(volume, "doors", status_number(stats->doors));
    json_object_set_new(volume, "latency_ns", status_number(stats->latency_ns));
    json_t *classes = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(stats->latency); i++)
        json_array_append_new(classes, status_number(stats->latency[i]));
    json_object_set_new(volume, "latency", classes);
}

static json_t *status_volume(const struct vbd *vbd, bool numbers)
{
    json_t *volume = json_object();
    char name[32];

    path_device_name(name, vbd->id.devid);
    json_object_set_new(volume, "vdev", status_string(name));
    json_object_set_new(volume, "devid", status_number(vbd->id.devid));
    json_object_set_new(volume, "state", status_string(xenbus_word(vbd->backend)));
    json_object_set_new(volume, "base", status_string(vbd_target(vbd)));
    json_object_set_new(volume, "mode", status_string(vbd->readonly ? "r" : "w"));
    json_object_set_new(volume, "size", status_number(vbd->bytes));
    if (vbd->failure[0])
        json_object_set_new(volume, "error", status_string(vbd->failure));
    else if (vbd->lost)
        json_object_set_new(volume, "error", status_string("its worker died, its data is gone"));
    if (numbers && vbd->life && vbd->volume == VBD_READY)
        status_volume_numbers(volume, &vbd->life->volume_stats[vbd->volume_id]);
    return volume;
}

/* What the guest may use. */
static void status_rules(json_t *guest, const struct life *life)
{
    bool quota = life->pool.kind == WIRE_POOL_DIR || life->pool.kind == WIRE_POOL_SHARED;

    json_object_set_new(guest, "pool", status_string(life->pool_spec));
    json_object_set_new(guest, "pool_limit", status_number(life->pool.bytes));
    json_object_set_new(guest, "quota", status_number(quota ? life->pool.bytes : 0));
    json_object_set_new(guest, "ram_budget", status_number(life->pool.ram));
    json_object_set_new(guest, "low_water", status_number(life->pool.low_water));
    json_object_set_new(guest, "integrity", json_boolean(life->pool.flags & WIRE_POOL_INTEGRITY));
    json_object_set_new(guest, "iops", status_number(life->rates.iops));
    json_object_set_new(guest, "bandwidth", status_number(life->rates.bandwidth));
}

/* What it uses. */
static void status_guest_numbers(json_t *guest, const struct wire_stats_guest *stats)
{
    bool left = stats->pool_left != UINT64_MAX;

    json_object_set_new(guest, "pool_bytes", status_number(stats->pool_bytes));
    json_object_set_new(guest, "pool_used", status_number(stats->pool_used));
    json_object_set_new(guest, "pool_left", left ? status_number(stats->pool_left) : json_null());
    json_object_set_new(guest, "low_since", status_number(stats->low_since));
    json_object_set_new(guest, "held", status_number(stats->held));
    json_object_set_new(guest, "held_since", status_number(stats->held_since));
    json_object_set_new(guest, "resident", status_number(stats->resident));
    json_object_set_new(guest, "ram_bytes", status_number(stats->ram_bytes));
    json_object_set_new(guest, "slot_bytes", status_number(stats->slot_bytes));
    json_object_set_new(guest, "pool_writes", status_number(stats->pool_writes));
    json_object_set_new(guest, "pool_write_blocks", status_number(stats->pool_write_blocks));
    json_object_set_new(guest, "throttled", status_number(stats->throttled));
    json_object_set_new(guest, "tampered", status_number(stats->tampered));
}

static void status_life(json_t *guest, const struct life *life, bool numbers)
{
    char number[24];

    snprintf(number, sizeof(number), "%llu", (unsigned long long)life->number);
    json_object_set_new(guest, "uuid", status_string(life->uuid));
    json_object_set_new(guest, "life", status_string(number));
    if (life->worker)
        json_object_set_new(guest, "worker_pid", json_integer(worker_pid(life->worker)));
    if (life->phase == LIFE_RESUMING)
        json_object_set_new(guest, "state", status_string("worker does not answer"));
    if (!numbers || !life->worker)
        return;
    status_rules(guest, life);
    status_guest_numbers(guest, &life->stats);
}

static json_t *status_guest(struct glue *glue, uint32_t domid, bool numbers)
{
    json_t *guest = json_object();
    json_t *volumes = json_array();
    const struct life *life = life_find(glue, life_guest_of(glue, domid));

    json_object_set_new(guest, "domid", status_number(domid));
    json_object_set_new(guest, "name", status_guest_name(glue, domid));
    if (life && life->domid != domid)
        json_object_set_new(guest, "stubdom_of", status_number(life->domid));
    if (life)
        status_life(guest, life, numbers && life->domid == domid);
    list_for_each(it, &glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->id.domid == domid)
            json_array_append_new(volumes, status_volume(vbd, numbers));
    }
    json_object_set_new(guest, "volumes", volumes);
    return guest;
}

static json_t *status_suspended(const struct tombstones *all)
{
    json_t *records = json_array();

    for (size_t i = 0; i < tombstones_count(all); i++) {
        const struct tombstone *at = tombstones_at(all, i);

        json_array_append_new(records, json_pack("{s:s, s:i, s:I, s:b}", "uuid", at->uuid, "domid",
                                                 (int)at->domid, "since", (json_int_t)at->since,
                                                 "kept", at->kept));
    }
    return records;
}

static json_t *status_daemon(const struct glue *glue)
{
    json_t *daemon = json_object();

    json_object_set_new(daemon, "version", status_string(VERSION));
    json_object_set_new(daemon, "pid", json_integer(getpid()));
    json_object_set_new(daemon, "pool", status_string(glue->defaults->pool));
    json_object_set_new(daemon, "threads", status_number(glue->policy->threads));
    json_object_set_new(daemon, "queues", status_number(glue->policy->queues));
    json_object_set_new(daemon, "xenstore", json_boolean(glue->xs != NULL));
    json_object_set_new(daemon, "pools", extents_status(glue));
    json_object_set_new(daemon, "suspended", status_suspended(glue->tombstones));
    return daemon;
}

static int status_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static json_t *status_guests(struct glue *glue, bool numbers)
{
    json_t *guests = json_array();
    struct status_ids all = status_ids(glue);

    if (all.count)
        qsort(all.ids, all.count, sizeof(*all.ids), status_compare);
    for (size_t at = 0; at < all.count; at++)
        if (!at || all.ids[at] != all.ids[at - 1])
            json_array_append_new(guests, status_guest(glue, all.ids[at], numbers));
    free(all.ids);
    return guests;
}

json_t *status_answer(struct glue *glue, const uint32_t *only, bool numbers)
{
    json_t *answer = json_object();
    json_t *guests = only ? json_array() : status_guests(glue, numbers);

    if (only)
        json_array_append_new(guests, status_guest(glue, *only, numbers));
    json_object_set_new(answer, "ok", json_true());
    json_object_set_new(answer, "daemon", status_daemon(glue));
    json_object_set_new(answer, "guests", guests);
    return answer;
}
