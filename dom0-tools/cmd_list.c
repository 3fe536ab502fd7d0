// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * list: one line a volume.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char list_help[] = "usage: ephemctl list [--json]\n"
                                "One line for each ephemeral volume of each guest.\n"
                                "\n"
                                "  --json  the same as JSON\n"
                                "  --help  this text\n";

/* A guest whose worker has not told the daemon what it holds. */
static void list_print_silent(const json_t *guest)
{
    if (!json_object_get(guest, "state"))
        return;
    printf("%-6lld %-20s %-7lld %-6s %s\n", (long long)ctl_number(guest, "domid"),
           ctl_text(guest, "name"), (long long)ctl_number(guest, "worker_pid"), "-",
           ctl_text(guest, "state"));
}

static void list_print(const json_t *answer)
{
    size_t i, j;
    json_t *guest, *volume;
    char size[16];

    printf("%-6s %-20s %-7s %-6s %-12s %6s %-4s %s\n", "DOMID", "NAME", "WORKER", "VDEV", "STATE",
           "SIZE", "MODE", "BASE");
    json_array_foreach(json_object_get(answer, "guests"), i, guest)
    {
        list_print_silent(guest);
        json_array_foreach(json_object_get(guest, "volumes"), j, volume)
        {
            printf("%-6lld %-20s %-7lld %-6s %-12s %6s %-4s %s\n",
                   (long long)ctl_number(guest, "domid"), ctl_text(guest, "name"),
                   (long long)ctl_number(guest, "worker_pid"), ctl_text(volume, "vdev"),
                   ctl_text(volume, "state"), ctl_size(ctl_number(volume, "size"), size),
                   ctl_text(volume, "mode"), ctl_text(volume, "base"));
        }
    }
}

int cmd_list(int argc, char **argv)
{
    bool json;
    int status = ctl_options(argc, argv, list_help, 0, NULL, &json);

    if (status >= 0)
        return status;
    json_t *answer = ctl_ask(json_pack("{s:s}", "cmd", "list"));
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        list_print(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}
