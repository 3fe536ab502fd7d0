// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status: a paragraph a guest.  Held writes, a pool that runs low and one that was tampered with are
 * said first: they are why a guest seems to hang or break, or soon will.
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
    char size[16], written[16], index[16];

    printf("  %-6s %-12s %6s %-2s %s\n", ctl_text(volume, "vdev"), ctl_text(volume, "state"),
           ctl_size(ctl_number(volume, "size"), size), ctl_text(volume, "mode"),
           ctl_text(volume, "base"));
    if (json_object_get(volume, "error"))
        printf("         error: %s\n", ctl_text(volume, "error"));
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

static const char *status_time(json_int_t since, char out[32])
{
    time_t when = (time_t)since;
    struct tm tm;

    if (!since || !localtime_r(&when, &tm) || !strftime(out, 32, "%F %T", &tm))
        snprintf(out, 32, "now");
    return out;
}

/* What asks for somebody to act. */
static void status_print_trouble(const json_t *guest)
{
    char since[32], left[16], mark[16];

    if (ctl_number(guest, "held") || ctl_number(guest, "held_since"))
        printf("  HELD: %lld writes wait for space in the pool since %s\n",
               (long long)ctl_number(guest, "held"),
               status_time(ctl_number(guest, "held_since"), since));
    if (ctl_number(guest, "low_since"))
        printf("  LOW: %s left in the pool, below %s since %s\n",
               ctl_size(ctl_number(guest, "pool_left"), left),
               ctl_size(ctl_number(guest, "low_water"), mark),
               status_time(ctl_number(guest, "low_since"), since));
    if (ctl_number(guest, "tampered"))
        printf("  TAMPERED: %lld times a block in the pool was not what had been written: the log "
               "names them\n",
               (long long)ctl_number(guest, "tampered"));
}

static const char *status_integrity(const json_t *guest)
{
    return json_is_true(json_object_get(guest, "integrity")) ? "on" : "off";
}

static void status_print_pool(const json_t *guest)
{
    char taken[16], used[16], size[16];
    json_int_t writes = ctl_number(guest, "pool_writes");

    printf("  pool %s: %s taken, %s used", ctl_text(guest, "pool"),
           ctl_size(ctl_number(guest, "pool_bytes"), taken),
           ctl_size(ctl_number(guest, "pool_used"), used));
    if (json_is_integer(json_object_get(guest, "pool_left")))
        printf(", %s left", ctl_size(ctl_number(guest, "pool_left"), size));
    if (ctl_number(guest, "quota"))
        printf(", quota %s", ctl_size(ctl_number(guest, "quota"), size));
    if (ctl_number(guest, "low_water"))
        printf(", warning below %s", ctl_size(ctl_number(guest, "low_water"), size));
    printf(", integrity %s", status_integrity(guest));
    if (writes > 0)
        printf("; %lld writes of %.1f blocks", (long long)writes,
               (double)ctl_number(guest, "pool_write_blocks") / (double)writes);
    putchar('\n');
}

static void status_print_memory(const json_t *guest)
{
    char resident[16], slots[16], ram[16], budget[16];

    printf("  memory: %s resident, %s for slots", ctl_size(ctl_number(guest, "resident"), resident),
           ctl_size(ctl_number(guest, "slot_bytes"), slots));
    if (ctl_number(guest, "ram_bytes") || ctl_number(guest, "ram_budget"))
        printf(", %s of blocks", ctl_size(ctl_number(guest, "ram_bytes"), ram));
    if (ctl_number(guest, "ram_budget"))
        printf(" (budget %s)", ctl_size(ctl_number(guest, "ram_budget"), budget));
    putchar('\n');
}

static void status_print_rates(const json_t *guest)
{
    json_int_t iops = ctl_number(guest, "iops"), bandwidth = ctl_number(guest, "bandwidth");
    char size[16];

    if (!iops && !bandwidth)
        return;
    printf("  limits:");
    if (iops)
        printf(" %lld requests a second,", (long long)iops);
    if (bandwidth)
        printf(" %s a second,", ctl_size(bandwidth, size));
    printf(" waited for %lld times\n", (long long)ctl_number(guest, "throttled"));
}

static void status_print_guest(const json_t *guest)
{
    size_t i;
    json_t *volume;

    printf("guest %lld %s\n", (long long)ctl_number(guest, "domid"), ctl_text(guest, "name"));
    status_print_trouble(guest);
    if (json_object_get(guest, "state"))
        printf("  %s\n", ctl_text(guest, "state"));
    if (json_object_get(guest, "stubdom_of"))
        printf("  stub domain of guest %lld\n", (long long)ctl_number(guest, "stubdom_of"));
    printf("  uuid %s, worker %lld\n", ctl_text(guest, "uuid"),
           (long long)ctl_number(guest, "worker_pid"));
    if (json_object_get(guest, "resident")) {
        status_print_pool(guest);
        status_print_memory(guest);
        status_print_rates(guest);
    }
    json_array_foreach(json_object_get(guest, "volumes"), i, volume) status_print_volume(volume);
}

/* Not only trouble: it is where an operator finds the UUIDs for `forget`. */
static void status_print_suspended(const json_t *daemon)
{
    char since[32];
    size_t i;
    json_t *record;

    json_array_foreach(json_object_get(daemon, "suspended"), i, record)
    {
        const char *name = ctl_text(record, "uuid");

        printf("suspended: guest %s, domid %lld, at %s%s: no start until: ephemctl forget %s\n",
               name, (long long)ctl_number(record, "domid"),
               status_time(ctl_number(record, "since"), since),
               json_is_false(json_object_get(record, "kept")) ? ", not on disk" : "", name);
    }
}

static void status_print(const json_t *answer, bool all)
{
    const json_t *daemon = json_object_get(answer, "daemon");
    size_t i, count = json_array_size(json_object_get(answer, "guests"));
    json_t *guest;

    printf("blkback-ephemd %s, pid %lld, pool %s, %zu guest%s%s\n", ctl_text(daemon, "version"),
           (long long)ctl_number(daemon, "pid"), ctl_text(daemon, "pool"), count,
           count == 1 ? "" : "s",
           json_is_false(json_object_get(daemon, "xenstore")) ? ", xenstored does not answer" : "");
    if (all)
        status_print_suspended(daemon);
    json_array_foreach(json_object_get(answer, "guests"), i, guest) status_print_guest(guest);
}

int cmd_status(int argc, char **argv)
{
    const char *domain;
    bool json;
    int status = ctl_options(argc, argv, status_help, 1, &domain, &json);

    if (status >= 0)
        return status;
    json_t *answer = ctl_ask_about("status", domain);
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        status_print(answer, !domain);
    json_decref(answer);
    return EXIT_SUCCESS;
}
