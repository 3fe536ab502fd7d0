// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * detach: a disk that `ephemctl attach` gave is taken away.  One that a toolstack knows of is left to that.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "plug.h"

static const char detach_help[] =
    "usage: ephemctl detach DOMAIN VDEV [--force] [--json]\n"
    "Takes away a disk that 'ephemctl attach' gave, and what the guest wrote to it.\n"
    "The guest is asked and waited for, 10 seconds; when it lets go later, the disk goes then.\n"
    "\n"
    "  --force  do not ask the guest: its next request to the disk fails\n"
    "  --json   the same as JSON\n"
    "  --help   this text\n";

static void detach_tell(const struct plug *plug, bool json)
{
    char clean[PLUG_NAME];

    if (!json) {
        printf("guest %u %s: %s detached%s\n", plug->id.domid,
               ctl_clean(plug->name, clean, sizeof(clean)), plug->device,
               plug->taken ? "; xl's own of that name stays" : "");
        return;
    }
    json_t *answer = json_pack("{s:I, s:o, s:s, s:I}", "domid", (json_int_t)plug->id.domid, "name",
                               ctl_text_json(plug->name), "vdev", plug->device, "devid",
                               (json_int_t)plug->id.devid);
    ctl_print_json(answer);
    json_decref(answer);
}

int cmd_detach(int argc, char **argv)
{
    bool json;
    const char *words[2], *force = NULL;
    const struct ctl_value values[] = {{"force", CTL_FLAG, &force}, {NULL, 0, NULL}};
    char clean[PLUG_TEXT];
    struct plug plug;

    int status = ctl_options_with(argc, argv, detach_help, 2, words, &json, values);
    if (status >= 0)
        return status;
    if (!words[1]) {
        fputs("ephemctl detach: which domain and device? try --help\n", stderr);
        return 2;
    }
    int err = plug_open(&plug, words[0], words[1]);
    if (!err)
        err = plug_remove(&plug, force);
    if (err)
        fprintf(stderr, "ephemctl detach: %s\n", ctl_clean(plug.text, clean, sizeof(clean)));
    else
        detach_tell(&plug, json);
    plug_close(&plug);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
