// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool: what pools there are, as guests have them, and devices as the daemon knows them.  Guests of one
 * pool are put together here, by what the configuration calls it.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char pool_help[] =
    "usage: ephemctl pool [--json]\n"
    "Each pool: its kind, what guests have taken from it, what is left; a device's size, and how\n"
    "much of that is free, held, or not discarded yet; then who has it, with quota and use.\n"
    "\n"
    "  --json  the same as JSON; sizes in bytes, a limit of 0 is none, null is unknown\n"
    "  --help  this text\n";

/* The pool of that name in the list; made when it is new. */
static json_t *pool_get(json_t *pools, const char *spec)
{
    json_t *pool;
    size_t i;

    json_array_foreach(pools, i, pool)
    {
        if (!strcmp(ctl_text(pool, "spec"), spec))
            return pool;
    }
    size_t kind = strcspn(spec, ":");
    const char *comma = strrchr(spec, ',');
    bool shared = comma && !strcmp(comma, ",shared");
    char word[32];
    snprintf(word, sizeof(word), "%.*s%s", kind < 16 ? (int)kind : 15, spec,
             shared ? ", shared" : "");
    pool = json_pack("{s:s, s:s, s:i, s:i, s:n, s:[]}", "spec", spec, "kind", word, "taken", 0,
                     "used", 0, "left", "guests");
    json_array_append_new(pools, pool);
    return pool;
}

static void pool_add(json_t *pool, const char *key, json_int_t more)
{
    json_object_set_new(pool, key, json_integer(ctl_number(pool, key) + more));
}

static void pool_add_guest(json_t *pools, const json_t *guest)
{
    json_t *pool = pool_get(pools, ctl_text(guest, "pool"));
    json_t *left = json_object_get(guest, "pool_left");
    json_t *row = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "domid",
                            ctl_number(guest, "domid"), "name", ctl_text(guest, "name"), "taken",
                            ctl_number(guest, "pool_bytes"), "used", ctl_number(guest, "pool_used"),
                            "quota", ctl_number(guest, "quota"), "low_water",
                            ctl_number(guest, "low_water"), "low_since",
                            ctl_number(guest, "low_since"), "held", ctl_number(guest, "held"));

    json_object_set_new(row, "left", left ? json_incref(left) : json_null());
    json_array_append_new(json_object_get(pool, "guests"), row);
    pool_add(pool, "taken", ctl_number(guest, "pool_bytes"));
    pool_add(pool, "used", ctl_number(guest, "pool_used"));
}

/* What is left is the pool's own only where no guest has a quota: the most that one may take. */
static void pool_set_left(json_t *pool)
{
    json_t *guest, *most = NULL;
    size_t i;

    json_array_foreach(json_object_get(pool, "guests"), i, guest)
    {
        json_t *left = json_object_get(guest, "left");

        if (json_is_integer(left) && json_integer_value(left) > json_integer_value(most))
            most = left;
        if (json_is_integer(left) && !most)
            most = left;
    }
    if (most)
        json_object_set(pool, "left", most);
}

static json_t *pool_collect(const json_t *answer)
{
    static const char *const keys[] = {"bytes", "free", "dirty", "lives"};
    const json_t *daemon = json_object_get(answer, "daemon");
    json_t *pools = json_array(), *guest, *device, *pool;
    size_t i;

    pool_get(pools, ctl_text(daemon, "pool"));
    json_array_foreach(json_object_get(daemon, "pools"), i, device)
    {
        pool = pool_get(pools, ctl_text(device, "spec"));
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            json_object_set(pool, keys[k], json_object_get(device, keys[k]));
        json_object_set(pool, "device_held", json_object_get(device, "held"));
    }
    json_array_foreach(json_object_get(answer, "guests"), i, guest)
    {
        if (json_object_get(guest, "resident"))
            pool_add_guest(pools, guest);
    }
    json_array_foreach(pools, i, pool) pool_set_left(pool);
    return json_pack("{s:s, s:o}", "default", ctl_text(daemon, "pool"), "pools", pools);
}

static const char *pool_size(const json_t *object, const char *key, char out[16])
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? ctl_size(json_integer_value(value), out) : "?";
}

static void pool_print_guest(const json_t *guest)
{
    bool held = ctl_number(guest, "held") > 0, low = ctl_number(guest, "low_since") > 0;
    char text[4][16];

    printf("  %s%-6lld %-20s %s taken, %s used, %s left",
           ctl_colour(held  ? CTL_RED
                      : low ? CTL_YELLOW
                            : CTL_PLAIN),
           (long long)ctl_number(guest, "domid"), ctl_text(guest, "name"),
           pool_size(guest, "taken", text[0]), pool_size(guest, "used", text[1]),
           pool_size(guest, "left", text[2]));
    if (ctl_number(guest, "quota"))
        printf(", quota %s", pool_size(guest, "quota", text[3]));
    if (low)
        printf(", LOW");
    if (held)
        printf(", HELD: %lld writes", (long long)ctl_number(guest, "held"));
    printf("%s\n", ctl_colour(CTL_PLAIN));
}

static void pool_print(const json_t *report)
{
    char text[4][16];
    size_t i, j;
    json_t *pool, *guest;

    json_array_foreach(json_object_get(report, "pools"), i, pool)
    {
        bool is_default = !strcmp(ctl_text(report, "default"), ctl_text(pool, "spec"));

        printf("%s%s%s (%s%s): %s taken, %s used", ctl_colour(CTL_BOLD), ctl_text(pool, "spec"),
               ctl_colour(CTL_PLAIN), ctl_text(pool, "kind"), is_default ? ", the default" : "",
               pool_size(pool, "taken", text[0]), pool_size(pool, "used", text[1]));
        if (json_is_integer(json_object_get(pool, "left")))
            printf(", %s left", pool_size(pool, "left", text[2]));
        putchar('\n');
        if (json_is_integer(json_object_get(pool, "bytes")))
            printf("  device: %s, %s free, %s held, %s not discarded yet\n",
                   pool_size(pool, "bytes", text[0]), pool_size(pool, "free", text[1]),
                   pool_size(pool, "device_held", text[2]), pool_size(pool, "dirty", text[3]));
        json_array_foreach(json_object_get(pool, "guests"), j, guest) pool_print_guest(guest);
    }
}

int cmd_pool(int argc, char **argv)
{
    bool json;
    int status = ctl_options(argc, argv, pool_help, 0, NULL, &json);

    if (status >= 0)
        return status;
    json_t *answer = ctl_ask(json_pack("{s:s}", "cmd", "status"));
    if (!answer)
        return EXIT_FAILURE;
    json_t *report = pool_collect(answer);
    if (json)
        ctl_print_json(report);
    else
        pool_print(report);
    json_decref(report);
    json_decref(answer);
    return EXIT_SUCCESS;
}
