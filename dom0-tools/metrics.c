// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics: one table a kind of object: guests, volumes, pools.  A row is a family: its name, where its
 * number stands in the answer, and what it means.  A counter is one whose name ends in _total: it
 * begins anew with each life, which the label `life` tells.  What nobody knows has no sample.
 */
#include "metrics.h"

#include <stdbool.h>
#include <string.h>

#include "latency.h"
#include "util.h"

#define METRICS_PREFIX "blkback_ephem_"

struct metrics_row {
    const char *name, *key, *help;
};

static const struct metrics_row metrics_guest[] = {
    {"guest_pool_taken_bytes", "pool_bytes", "Space the guest has taken from its pool."},
    {"guest_pool_used_bytes", "pool_used", "Part of that which holds data."},
    {"guest_pool_left_bytes", "pool_left", "What the pool can still give to the guest."},
    {"guest_pool_limit_bytes", "quota", "Quota; 0 is none."},
    {"guest_low_since_seconds", "low_since",
     "Time since when less than the low-water mark is left; 0: not."},
    {"guest_held_writes", "held", "Writes that wait for space in the pool."},
    {"guest_held_since_seconds", "held_since", "Time since when writes wait; 0: none does."},
    {"guest_resident_bytes", "resident", "Resident memory of the guest's worker."},
    {"guest_ram_bytes", "ram_bytes", "Blocks in memory."},
    {"guest_ram_budget_bytes", "ram_budget", "How much of them there may be; 0 is none."},
    {"guest_slot_bytes", "slot_bytes", "Memory for slots and tags."},
    {"guest_pool_writes_total", "pool_writes", "Writes to the pool."},
    {"guest_pool_write_blocks_total", "pool_write_blocks", "Blocks of 4096 bytes in them."},
    {"guest_throttled_total", "throttled", "How often the guest waited for its limits."},
    {"guest_tampered_total", "tampered", "Blocks in the pool that were not what had been written."},
};

static const struct metrics_row metrics_volume[] = {
    {"volume_size_bytes", "size", "Size of the volume."},
    {"volume_read_requests_total", "reads", "Reads answered."},
    {"volume_write_requests_total", "writes", "Writes answered."},
    {"volume_flush_requests_total", "flushes", "Flushes answered."},
    {"volume_discard_requests_total", "discards", "Discards answered."},
    {"volume_failed_requests_total", "errors", "Requests that failed."},
    {"volume_read_bytes_total", "bytes_read", "Bytes read."},
    {"volume_written_bytes_total", "bytes_written", "Bytes written."},
    {"volume_written_blocks", "blocks", "Blocks of 4096 bytes that differ from the base."},
    {"volume_index_bytes", "index_bytes", "Memory of the index."},
    {"volume_latency_seconds", "latency", "How long reads and writes took in the worker."},
};

static const struct metrics_row metrics_pool[] = {
    {"pool_size_bytes", "bytes", "Size of a device that is a pool."},
    {"pool_free_bytes", "free", "What nobody has of it."},
    {"pool_held_bytes", "held", "What guests have of it."},
    {"pool_dirty_bytes", "dirty", "What is not discarded yet."},
};

void metrics_escape(FILE *to, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", to);
        else if (*text == '"' || *text == '\\')
            fprintf(to, "\\%c", *text);
        else
            fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, to);
}

static void metrics_label(FILE *to, const char *name, const char *value)
{
    fprintf(to, "%s=\"", name);
    metrics_escape(to, value ? value : "");
    fputc('"', to);
}

static const char *metrics_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Without the bracket at the end. */
static void metrics_open(FILE *to, const json_t *guest, const json_t *volume)
{
    char domid[24];

    snprintf(domid, sizeof(domid), "%lld",
             (long long)json_integer_value(json_object_get(guest, "domid")));
    fputc('{', to);
    metrics_label(to, "domid", domid);
    fputc(',', to);
    metrics_label(to, "name", metrics_text(guest, "name"));
    fputc(',', to);
    metrics_label(to, "life", metrics_text(guest, "life"));
    if (volume) {
        fputc(',', to);
        metrics_label(to, "vdev", metrics_text(volume, "vdev"));
    }
}

static void metrics_labels(FILE *to, const json_t *guest, const json_t *volume)
{
    metrics_open(to, guest, volume);
    fputc('}', to);
}

/* The family's head, once. */
static void metrics_family(FILE *to, const struct metrics_row *row, const char *type, bool *begun)
{
    if (!*begun)
        fprintf(to, "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n", row->name,
                row->help, row->name, type);
    *begun = true;
}

/* Before a sample, and before the first the family's head. */
static void metrics_head(FILE *to, const struct metrics_row *row, bool *begun)
{
    size_t len = strlen(row->name);

    metrics_family(to, row, len > 6 && !strcmp(row->name + len - 6, "_total") ? "counter" : "gauge",
                   begun);
    fprintf(to, METRICS_PREFIX "%s", row->name);
}

static void metrics_value(FILE *to, const json_t *value)
{
    fprintf(to, " %lld\n", (long long)json_integer_value(value));
}

static void metrics_guests(FILE *to, const json_t *guests, const struct metrics_row *row)
{
    bool begun = false;
    json_t *guest;
    size_t i;

    json_array_foreach(guests, i, guest)
    {
        const json_t *value = json_object_get(guest, row->key);

        if (!json_is_integer(value))
            continue;
        metrics_head(to, row, &begun);
        metrics_labels(to, guest, NULL);
        metrics_value(to, value);
    }
}

/* A row whose number is an array: a histogram, cumulative, its classes' bounds in seconds, the last one without. */
static void metrics_histogram(FILE *to, const struct metrics_row *row, const json_t *guest,
                              const json_t *volume)
{
    const json_t *classes = json_object_get(volume, row->key);
    size_t i, count = json_array_size(classes);
    json_int_t all = 0;
    char sum[32];
    json_t *value;

    snprintf(sum, sizeof(sum), "%s_ns", row->key);
    json_array_foreach(classes, i, value)
    {
        all += json_integer_value(value);
        fprintf(to, METRICS_PREFIX "%s_bucket", row->name);
        metrics_open(to, guest, volume);
        if (i + 1 < count)
            fprintf(to, ",le=\"%.9f\"} %lld\n", (double)latency_below((uint32_t)i) / 1e9,
                    (long long)all);
        else
            fprintf(to, ",le=\"+Inf\"} %lld\n", (long long)all);
    }
    fprintf(to, METRICS_PREFIX "%s_sum", row->name);
    metrics_labels(to, guest, volume);
    fprintf(to, " %.9f\n", (double)json_integer_value(json_object_get(volume, sum)) / 1e9);
    fprintf(to, METRICS_PREFIX "%s_count", row->name);
    metrics_labels(to, guest, volume);
    fprintf(to, " %lld\n", (long long)all);
}

static void metrics_volumes(FILE *to, const json_t *guests, const struct metrics_row *row)
{
    bool begun = false;
    json_t *guest, *volume;
    size_t i, j;

    json_array_foreach(guests, i, guest)
    {
        json_array_foreach(json_object_get(guest, "volumes"), j, volume)
        {
            const json_t *value = json_object_get(volume, row->key);

            if (json_array_size(value)) {
                metrics_family(to, row, "histogram", &begun);
                metrics_histogram(to, row, guest, volume);
            }
            if (!json_is_integer(value))
                continue;
            metrics_head(to, row, &begun);
            metrics_labels(to, guest, volume);
            metrics_value(to, value);
        }
    }
}

static void metrics_pools(FILE *to, const json_t *pools, const struct metrics_row *row)
{
    bool begun = false;
    json_t *pool;
    size_t i;

    json_array_foreach(pools, i, pool)
    {
        const json_t *value = json_object_get(pool, row->key);

        if (!json_is_integer(value))
            continue;
        metrics_head(to, row, &begun);
        fputc('{', to);
        metrics_label(to, "pool", metrics_text(pool, "spec"));
        fputc('}', to);
        metrics_value(to, value);
    }
}

/* Of the daemon itself. */
static void metrics_daemon(FILE *to, const json_t *status)
{
    const json_t *daemon = json_object_get(status, "daemon");
    const struct metrics_row info = {"daemon_info", NULL, "Always 1; the daemon's version."};
    const struct metrics_row xs = {"xenstore_up", NULL, "Whether the daemon has a xenstore."};
    const struct metrics_row guests = {"guests", NULL, "Domains with volumes of ours."};
    const struct metrics_row suspended = {"suspended_guests", NULL,
                                          "Guests that may not start until 'ephemctl forget'."};
    bool begun[4] = {false};

    metrics_head(to, &info, &begun[0]);
    fputc('{', to);
    metrics_label(to, "version", metrics_text(daemon, "version"));
    fputs("} 1\n", to);
    metrics_head(to, &xs, &begun[1]);
    fprintf(to, " %d\n", json_is_true(json_object_get(daemon, "xenstore")));
    metrics_head(to, &guests, &begun[2]);
    fprintf(to, " %zu\n", json_array_size(json_object_get(status, "guests")));
    metrics_head(to, &suspended, &begun[3]);
    fprintf(to, " %zu\n", json_array_size(json_object_get(daemon, "suspended")));
}

void metrics_print(FILE *to, const json_t *status)
{
    const json_t *guests = json_object_get(status, "guests");
    const json_t *pools = json_object_get(json_object_get(status, "daemon"), "pools");

    metrics_daemon(to, status);
    for (size_t i = 0; i < ARRAY_SIZE(metrics_guest); i++)
        metrics_guests(to, guests, &metrics_guest[i]);
    for (size_t i = 0; i < ARRAY_SIZE(metrics_volume); i++)
        metrics_volumes(to, guests, &metrics_volume[i]);
    for (size_t i = 0; i < ARRAY_SIZE(metrics_pool); i++)
        metrics_pools(to, pools, &metrics_pool[i]);
}
