// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rates: differences of counters.  A guest is the same while its domid and its life are; a volume while
 * its device is.  A counter that went back began anew, and counts from 0.
 */
#include "rates.h"

#include <stdlib.h>
#include <string.h>

#include "latency.h"

static json_int_t rates_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *rates_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static const json_t *rates_guest(const json_t *status, const json_t *guest)
{
    json_t *other;
    size_t i;

    json_array_foreach(json_object_get(status, "guests"), i, other)
    {
        if (rates_number(other, "domid") == rates_number(guest, "domid") &&
            !strcmp(rates_text(other, "life"), rates_text(guest, "life")))
            return other;
    }
    return NULL;
}

/* A counter, or number `at` of an array of them. */
static json_int_t rates_count(const json_t *object, const char *key, size_t at)
{
    const json_t *value = json_object_get(object, key);

    return json_integer_value(json_is_array(value) ? json_array_get(value, at) : value);
}

static json_int_t rates_step(const json_t *before, const json_t *now, const char *key, size_t at)
{
    json_int_t was = rates_count(before, key, at), is = rates_count(now, key, at);

    return is < was ? is : is - was;
}

/* Over all volumes that are in both. */
static json_int_t rates_sum_at(const json_t *before, const json_t *now, const char *key, size_t at)
{
    json_int_t sum = 0;
    json_t *volume, *other;
    size_t i, j;

    json_array_foreach(json_object_get(now, "volumes"), i, volume)
    {
        json_array_foreach(json_object_get(before, "volumes"), j, other)
        {
            if (rates_number(volume, "devid") == rates_number(other, "devid"))
                sum += rates_step(other, volume, key, at);
        }
    }
    return sum;
}

static json_int_t rates_sum(const json_t *before, const json_t *now, const char *key)
{
    return rates_sum_at(before, now, key, 0);
}

/* Microseconds, upwards. */
static json_int_t rates_us(uint64_t ns)
{
    return (json_int_t)((ns + 999) / 1000);
}

static void rates_latency(const json_t *before, const json_t *guest, json_t *row)
{
    json_int_t classes[LATENCY_CLASSES], all = 0, below = 0, ns;
    uint32_t i;

    if (!before) {
        json_object_set_new(row, "latency", json_null());
        json_object_set_new(row, "latency_99", json_null());
        return;
    }
    for (i = 0; i < LATENCY_CLASSES; i++)
        all += classes[i] = rates_sum_at(before, guest, "latency", i);
    for (i = 0; i < LATENCY_CLASSES - 1 && (below += classes[i]) * 100 < all * 99; i++)
        continue;
    ns = all ? rates_sum(before, guest, "latency_ns") / all : 0;
    json_object_set_new(row, "latency", json_integer(rates_us((uint64_t)ns)));
    /* The last class has no end. */
    json_object_set_new(row, "latency_99",
                        i == LATENCY_CLASSES - 1
                            ? json_null()
                            : json_integer(all ? rates_us(latency_below(i)) : 0));
}

static json_t *rates_per(json_int_t count, double seconds)
{
    return json_integer(seconds > 0 ? (json_int_t)((double)count / seconds + 0.5) : 0);
}

static json_t *rates_row(const json_t *before, const json_t *guest, double seconds)
{
    json_t *left = json_object_get(guest, "pool_left");
    json_t *row = json_pack(
        "{s:I, s:s, s:s, s:I, s:I, s:I, s:o}", "domid", rates_number(guest, "domid"), "name",
        rates_text(guest, "name"), "life", rates_text(guest, "life"), "held",
        rates_number(guest, "held"), "ram", rates_number(guest, "resident"), "pool",
        rates_number(guest, "pool_bytes"), "left", left ? json_incref(left) : json_null());
    json_int_t requests = rates_sum(before, guest, "reads") + rates_sum(before, guest, "writes") +
                          rates_sum(before, guest, "flushes") +
                          rates_sum(before, guest, "discards");

    json_object_set_new(row, "read_bytes",
                        before ? rates_per(rates_sum(before, guest, "bytes_read"), seconds)
                               : json_null());
    json_object_set_new(row, "write_bytes",
                        before ? rates_per(rates_sum(before, guest, "bytes_written"), seconds)
                               : json_null());
    rates_latency(before, guest, row);
    json_object_set_new(row, "requests", before ? rates_per(requests, seconds) : json_null());
    json_object_set_new(row, "throttled",
                        before ? rates_per(rates_step(before, guest, "throttled", 0), seconds)
                               : json_null());
    return row;
}

/* Held writes first, then bytes moved; then as the daemon has them. */
static int rates_compare(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    json_int_t of[2][3] = {
        {rates_number(x, "held"), rates_number(x, "read_bytes") + rates_number(x, "write_bytes"),
         -rates_number(x, "domid")},
        {rates_number(y, "held"), rates_number(y, "read_bytes") + rates_number(y, "write_bytes"),
         -rates_number(y, "domid")}};

    for (size_t i = 0; i < 3; i++)
        if (of[0][i] != of[1][i])
            return of[0][i] < of[1][i] ? 1 : -1;
    return 0;
}

json_t *rates_between(const json_t *before, const json_t *now, double seconds)
{
    const json_t *guests = json_object_get(now, "guests");
    json_t **rows = calloc(json_array_size(guests) + 1, sizeof(*rows));
    json_t *guest, *sorted = json_array();
    size_t i, count = 0;

    json_array_foreach(guests, i, guest)
    {
        /* A stub domain's figures are its guest's. */
        if (rows && json_object_get(guest, "resident"))
            rows[count++] = rates_row(rates_guest(before, guest), guest, seconds);
    }
    if (count)
        qsort(rows, count, sizeof(*rows), rates_compare);
    for (i = 0; i < count; i++)
        json_array_append_new(sorted, rows[i]);
    free(rows);
    return sorted;
}
