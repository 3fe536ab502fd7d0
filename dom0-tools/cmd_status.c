// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: a paragraph a guest.  A held write is said first: it is why a guest seems to hang.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char status_help[] =
    "usage: ephemctl status [DOMAIN] [--json]\n"
    "What guests use: the pool, memory, requests, and writes held for want of space.\n"
    "DOMAIN is a name or a domid; without it, all guests.\n"
    "\n"
    "  --json  the same as JSON; sizes in bytes, times in seconds since 1970\n"
    "  --help  this text\n";

static void status_print_volume(const json_t *volume)
{
    char size[16], written[16], index[16], base[1024], error[512];

    printf("  %-6s %-12s %6s %-2s %s\n", ctl_text(volume, "vdev"), ctl_text(volume, "state"),
           ctl_size(ctl_number(volume, "size"), size), ctl_text(volume, "mode"),
           ctl_clean(ctl_text(volume, "base"), base, sizeof(base)));
    if (json_object_get(volume, "error"))
        printf("         error: %s\n", ctl_clean(ctl_text(volume, "error"), error, sizeof(error)));
    if (!json_object_get(volume, "blocks"))
        return;
    printf("         written: %lld blocks (%s), index %s\n",
           (long long)ctl_number(volume, "blocks"),
           ctl_size(ctl_number(volume, "blocks") * 4096, written),
           ctl_size(ctl_number(volume, "index_bytes"), index));
    printf("         requests: %lld reads, %lld writes, %lld flushes, %lld discards, %lld failed\n",
           (long long)ctl_number(volume, "reads"), (long long)ctl_number(volume, "writes"),
           (long long)ctl_number(volume, "flushes"), (long long)ctl_number(volume, "discards"),
           (long long)ctl_number(volume, "errors"));
}

static void status_print_held(const json_t *guest)
{
    json_int_t since = ctl_number(guest, "held_since");
    time_t when = (time_t)since;
    char text[32] = "now";
    struct tm tm;

    if (!ctl_number(guest, "held") && !since)
        return;
    if (since && localtime_r(&when, &tm))
        strftime(text, sizeof(text), "%F %T", &tm);
    printf("  HELD: %lld writes wait for space in the pool since %s\n",
           (long long)ctl_number(guest, "held"), text);
}

static void status_print_guest(const json_t *guest)
{
    char name[64], pool[16], used[16], resident[16];
    size_t i;
    json_t *volume;

    printf("guest %lld %s\n", (long long)ctl_number(guest, "domid"),
           ctl_clean(ctl_text(guest, "name"), name, sizeof(name)));
    status_print_held(guest);
    if (json_object_get(guest, "state"))
        printf("  %s\n", ctl_text(guest, "state"));
    printf("  uuid %s, worker %lld\n", ctl_text(guest, "uuid"),
           (long long)ctl_number(guest, "worker_pid"));
    if (json_object_get(guest, "resident"))
        printf("  pool: %s taken, %s used; memory: %s\n",
               ctl_size(ctl_number(guest, "pool_bytes"), pool),
               ctl_size(ctl_number(guest, "pool_used"), used),
               ctl_size(ctl_number(guest, "resident"), resident));
    json_array_foreach(json_object_get(guest, "volumes"), i, volume) status_print_volume(volume);
}

static void status_print(const json_t *answer)
{
    const json_t *daemon = json_object_get(answer, "daemon");
    char pool[1024];
    size_t i;
    json_t *guest;

    printf("blkback-ephemd %s, pid %lld, pool %s, %zu guests%s\n", ctl_text(daemon, "version"),
           (long long)ctl_number(daemon, "pid"),
           ctl_clean(ctl_text(daemon, "pool"), pool, sizeof(pool)),
           json_array_size(json_object_get(answer, "guests")),
           json_is_false(json_object_get(daemon, "xenstore")) ? ", xenstored does not answer" : "");
    json_array_foreach(json_object_get(answer, "guests"), i, guest) status_print_guest(guest);
}

int cmd_status(int argc, char **argv)
{
    const char *domain;
    bool json;
    int status = ctl_options(argc, argv, status_help, 1, &domain, &json);

    if (status >= 0)
        return status;
    json_t *question = json_pack("{s:s}", "cmd", "status");
    /* No guest has a name that is not UTF-8, and JSON could not carry it. */
    if (domain && json_object_set_new(question, "domain", json_string(domain))) {
        fputs("ephemctl: no such guest: its name is not UTF-8\n", stderr);
        json_decref(question);
        return EXIT_FAILURE;
    }
    json_t *answer = ctl_ask(question);
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        status_print(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}
