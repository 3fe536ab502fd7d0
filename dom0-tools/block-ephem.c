// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * block-ephem: the hotplug script of an ephemeral disk, run by libxl with XENBUS_PATH naming the
 * backend.  `add` waits until blkback-ephemd has the volume and then writes hotplug-status; when it
 * does not get one, hotplug-error says why and libxl shows it.  For an HVM guest the daemon names a
 * socket that serves the volume over NBD: physical-device-path tells libxl, which gives it to the device
 * model in dom0 as the emulated disk.  `remove` has nothing to do: the
 * daemon closed everything before it wrote Closed.
 * A program and not a shell script, because it runs once for each disk of each start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "paths.h"
#include "xs.h"

static const char hotplug_help[] =
    "usage: XENBUS_PATH=backend/vbd3/DOMID/DEVID block-ephem add|remove\n"
    "The hotplug script of ephemeral disks; libxl runs it.\n"
    "\n"
    "  add     wait until blkback-ephemd serves the disk, then report to xenstore\n"
    "  remove  nothing; exits 0\n"
    "  --help  this text\n"
    "\n"
    "EPHEM_CONTROL names another control socket than " CLIENT_SOCKET ".\n";

struct hotplug_report {
    const struct path_vbd *id;
    const char *error; /* NULL: connected */
    const char *nbd;   /* the device model's socket, or NULL */
};

static int hotplug_report_body(struct xenstore *xs, void *arg)
{
    const struct hotplug_report *report = arg;
    char path[PATH_ROOM], value[32];
    int err;

    /* A backend that was removed meanwhile must not come back through our write. */
    path_backend(path, report->id, "state");
    err = xenstore_read(xs, path, value, sizeof(value));
    if (!err && report->error) {
        path_backend(path, report->id, "hotplug-error");
        err = xenstore_read(xs, path, value, sizeof(value));
        /* The daemon's own words, where it had any, are the better ones. */
        if (err == -ENOENT || (!err && !value[0]))
            err = xenstore_write(xs, path, report->error);
        else if (err == -E2BIG || err == -EINVAL)
            err = 0;
    }
    if (!err && !report->error && report->nbd) {
        path_backend(path, report->id, "physical-device-path");
        err = xenstore_write(xs, path, report->nbd);
    }
    path_backend(path, report->id, "hotplug-status");
    return err ? err : xenstore_write(xs, path, report->error ? "error" : "connected");
}

/* 0 or negative errno; what failed has been said. */
static int hotplug_report(const struct path_vbd *id, const char *error, const char *nbd)
{
    struct hotplug_report report = {.id = id, .error = error, .nbd = nbd};
    struct xenstore *xs = NULL;
    int err = xenstore_open(&xs);

    if (!err)
        err = xenstore_transact(xs, hotplug_report_body, &report);
    if (err)
        fprintf(stderr, "block-ephem: xenstore: %s\n", strerror(-err));
    xenstore_close(xs);
    return err;
}

static int hotplug_add(const char *path)
{
    struct path_vbd id;
    json_t *answer = NULL;
    char text[CLIENT_TEXT];
    size_t len;

    if (!path || path_parse_backend(path, &id)) {
        fprintf(stderr, "block-ephem: XENBUS_PATH does not name a " PATH_BACKEND " backend\n");
        return EXIT_FAILURE;
    }
    int err = client_ask(json_pack("{s:s, s:s}", "cmd", "hotplug", "path", path), &answer, text);
    if (!err) {
        const char *nbd = json_string_value(json_object_get(answer, "nbd"));
        int status = hotplug_report(&id, NULL, nbd) ? EXIT_FAILURE : EXIT_SUCCESS;

        json_decref(answer);
        return status;
    }
    json_decref(answer);
    len = strlen(text);
    if (err == -ECONNREFUSED)
        snprintf(text + len, sizeof(text) - len, ", then start the guest again");
    fprintf(stderr, "block-ephem: %s\n", text);
    hotplug_report(&id, text, NULL);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        fputs(hotplug_help, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && !strcmp(argv[1], "add"))
        return hotplug_add(getenv("XENBUS_PATH"));
    if (argc == 2 && !strcmp(argv[1], "remove"))
        return EXIT_SUCCESS;
    fputs("block-ephem: takes add or remove; see block-ephem --help\n", stderr);
    return 2;
}
