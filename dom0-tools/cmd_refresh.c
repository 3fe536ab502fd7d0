// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refresh: one line for each volume that has grown with its base.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char refresh_help[] =
    "usage: ephemctl refresh [DOMAIN] [--json]\n"
    "Looks now whether bases have grown, and tells which volumes have grown with them.\n"
    "DOMAIN is a name or a domid; without it, all guests.  Without this command it takes 2 "
    "seconds.\n"
    "\n"
    "  --json  the same as JSON; sizes in bytes\n"
    "  --help  this text\n";

static void refresh_print(const json_t *answer)
{
    const json_t *grown = json_object_get(answer, "grown");
    char was[16], size[16];
    size_t i;
    json_t *volume;

    if (!json_array_size(grown))
        puts("nothing has grown");
    json_array_foreach(grown, i, volume)
    {
        printf("guest %lld %s, %s: from %s to %s (%lld bytes), %s\n",
               (long long)ctl_number(volume, "domid"), ctl_text(volume, "name"),
               ctl_text(volume, "vdev"), ctl_size(ctl_number(volume, "was"), was),
               ctl_size(ctl_number(volume, "size"), size), (long long)ctl_number(volume, "size"),
               ctl_text(volume, "base"));
    }
}

int cmd_refresh(int argc, char **argv)
{
    const char *domain;
    bool json;
    int status = ctl_options(argc, argv, refresh_help, 1, &domain, &json);

    if (status >= 0)
        return status;
    json_t *answer = ctl_ask_about("refresh", domain);
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        refresh_print(answer);
    json_decref(answer);
    return EXIT_SUCCESS;
}
