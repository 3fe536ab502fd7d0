// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics: for node_exporter's textfile collector, or any other that runs a command.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "metrics.h"

static const char metrics_help[] =
    "usage: ephemctl metrics [--json]\n"
    "What 'ephemctl status' knows as Prometheus text, for node_exporter's textfile collector:\n"
    "  ephemctl metrics >ephem.prom.new && mv ephem.prom.new ephem.prom\n"
    "\n"
    "  --json  what it is made from: as 'ephemctl status --json'\n"
    "  --help  this text\n";

int cmd_metrics(int argc, char **argv)
{
    bool json;
    int status = ctl_options(argc, argv, metrics_help, 0, NULL, &json);

    if (status >= 0)
        return status;
    json_t *answer = ctl_ask(json_pack("{s:s}", "cmd", "status"));
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        ctl_print_json(answer);
    else
        metrics_print(stdout, answer);
    json_decref(answer);
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
