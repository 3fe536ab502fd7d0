// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * forget: the operator's word that a suspended guest will not be restored.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char forget_help[] =
    "usage: ephemctl forget UUID|DOMAIN [--json]\n"
    "Lets a guest that was suspended (saved or migrated) start anew, with pristine volumes.\n"
    "First throw away every saved copy of it: restored over pristine volumes it would corrupt\n"
    "its file systems.  UUID is the guest's, from the error message or 'ephemctl status';\n"
    "DOMAIN is the name or domid of one that runs.\n"
    "\n"
    "  --json  the same as JSON\n"
    "  --help  this text\n";

int cmd_forget(int argc, char **argv)
{
    const char *guest;
    bool json;
    int status = ctl_options(argc, argv, forget_help, 1, &guest, &json);

    if (status >= 0)
        return status;
    if (!guest) {
        fputs("ephemctl forget: which guest? try --help\n", stderr);
        return 2;
    }
    json_t *answer = ctl_ask_about("forget", guest);
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        printf("guest %s may start anew\n", ctl_text(answer, "forgot"));
    json_decref(answer);
    return EXIT_SUCCESS;
}
