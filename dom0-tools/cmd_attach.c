// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach: an ephemeral disk for a domain of any toolstack, running or paused.  Written, taken up by the
 * daemon, allowed to connect, connected; what fails on the way is undone before this ends.  A guest
 * that has not come after the wait keeps its disk: it may be paused, and will find it.
 *
 * Deliberately absent: an emulated disk.  A device model is told of its disks when it starts.
 */
#include "ephemctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "plug.h"
#include "store.h"
#include "util.h"

#define ATTACH_WAIT "10"
#define ATTACH_MOST 600

static const char attach_help[] =
    "usage: ephemctl attach DOMAIN VDEV TARGET [--mode r|w] [--wait SECONDS] [--json]\n"
    "Gives a domain an ephemeral disk, whatever its toolstack: xl before 4.19 and libvirt, too.\n"
    "DOMAIN is a name or a domid, running or paused; VDEV the guest's device, as xvdb; TARGET\n"
    "what the disk starts as: [cow:]PATH[,size=SIZE] or blank:SIZE.\n"
    "xl does not list such a disk; it is there until 'ephemctl detach' or the domain's end, and a\n"
    "reboot is one: xl makes a new domain then.\n"
    "Exit status: 0 the guest has it, or will when it looks; 1 failed, nothing is left.\n"
    "\n"
    "  --mode MODE     w (writable, which is the default) or r\n"
    "  --wait SECONDS  how long to wait for the guest, 0 to 600 (" ATTACH_WAIT ")\n"
    "  --json          the same as JSON\n"
    "  --help          this text\n";

struct attach_wish {
    const char *words[3]; /* domain, device, target */
    const char *mode, *wait;
    uint64_t seconds;
    bool json;
};

static int attach_wrong(const char *what)
{
    fprintf(stderr, "ephemctl attach: %s\n", what);
    return 2;
}

/* -1: go on; else the exit status. */
static int attach_read(struct attach_wish *wish)
{
    struct store_spec spec;
    char text[STORE_TEXT], clean[STORE_TEXT];

    if (!wish->words[2])
        return attach_wrong("which domain, device and target? try --help");
    if (strcmp(wish->mode, "r") && strcmp(wish->mode, "w"))
        return attach_wrong("--mode is r or w");
    if (parse_u64(wish->wait, ATTACH_MOST, &wish->seconds))
        return attach_wrong("--wait is a number of seconds, 0 to 600");
    if (!store_parse_volume(wish->words[2], &spec, text))
        return -1;
    return attach_wrong(ctl_clean(text, clean, sizeof(clean)));
}

static int attach_say(const char *why)
{
    char clean[PLUG_TEXT];

    fprintf(stderr, "ephemctl attach: %s\n", ctl_clean(why, clean, sizeof(clean)));
    return EXIT_FAILURE;
}

/* Says why, after everything is as it was. */
static int attach_undo(struct plug *plug, const char *why)
{
    attach_say(why);
    int err = plug_remove(plug, true);
    if (err && err != -ENOENT) /* it has gone, or another's is there */
        attach_say(plug->text);
    return EXIT_FAILURE;
}

static int attach_tell(const struct plug *plug, const struct attach_wish *wish, bool connected)
{
    char clean[PLUG_NAME];

    if (wish->json) {
        json_t *answer = json_pack(
            "{s:I, s:o, s:s, s:I, s:o, s:s, s:b}", "domid", (json_int_t)plug->id.domid, "name",
            ctl_text_json(plug->name), "vdev", plug->device, "devid", (json_int_t)plug->id.devid,
            "base", ctl_text_json(wish->words[2]), "mode", wish->mode, "connected", connected);
        ctl_print_json(answer);
        json_decref(answer);
        return EXIT_SUCCESS;
    }
    printf("guest %u %s: %s attached%s\n", plug->id.domid,
           ctl_clean(plug->name, clean, sizeof(clean)), plug->device,
           connected ? "" : "; not connected yet: the guest is paused, or has no driver for it");
    return EXIT_SUCCESS;
}

/* From a domain that was found to its disk. */
static int attach_run(struct plug *plug, const struct attach_wish *wish)
{
    char path[PATH_ROOM], text[CLIENT_TEXT];
    json_t *answer = NULL;

    /* Nothing is written where nobody would take it up. */
    answer = ctl_ask(json_pack("{s:s}", "cmd", "list"));
    if (!answer)
        return EXIT_FAILURE;
    json_decref(answer);
    answer = NULL;
    if (plug_write(plug, wish->words[2], !strcmp(wish->mode, "r")))
        return attach_say(plug->text);
    path_backend(path, &plug->id, NULL);
    int err = client_ask(json_pack("{s:s, s:s}", "cmd", "hotplug", "path", path), &answer, text);
    json_decref(answer);
    if (err)
        return attach_undo(plug, text);
    if (plug_allow(plug))
        return attach_undo(plug, plug->text);
    enum plug_end end = plug_wait(plug, (int)wish->seconds * 1000);
    if (end != PLUG_REFUSED)
        return attach_tell(plug, wish, end == PLUG_CONNECTED);
    return attach_undo(plug, plug->text);
}

int cmd_attach(int argc, char **argv)
{
    struct attach_wish wish = {.mode = "w", .wait = ATTACH_WAIT};
    const struct ctl_value values[] = {
        {"mode", 0, &wish.mode}, {"wait", 0, &wish.wait}, {NULL, 0, NULL}};
    struct plug plug;

    int status = ctl_options_with(argc, argv, attach_help, 3, wish.words, &wish.json, values);
    if (status < 0)
        status = attach_read(&wish);
    if (status >= 0)
        return status;
    if (plug_open(&plug, wish.words[0], wish.words[1]))
        status = attach_say(plug.text);
    else
        status = attach_run(&plug, &wish);
    plug_close(&plug);
    return status;
}
