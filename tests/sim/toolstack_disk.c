// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks of toolstack: what libxl_disk.c and libxl_device.c write of them, and in which order. A disk
 * that another domain than dom0 serves is closed in one step more: this domain removes its folder.
 */
#define _GNU_SOURCE
#include "toolstack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIND            "vbd3"
#define DESTROY_TIMEOUT 10

struct disk {
    char front[128], back[128], libxl[128];
    const char *kind, *place;
    unsigned domid, devid, host;
};

static void set_backend(struct disk *d)
{
    snprintf(d->back, sizeof(d->back), "/local/domain/%u/backend/%s/%u/%u", d->host, d->kind,
             d->domid, d->devid);
}

static struct disk disk_of(const char *domid, const char *devid)
{
    struct disk d = {.domid = (unsigned)atoi(domid), .devid = (unsigned)atoi(devid), .kind = KIND};

    snprintf(d.front, sizeof(d.front), "/local/domain/%u/device/vbd/%u", d.domid, d.devid);
    snprintf(d.libxl, sizeof(d.libxl), "/libxl/%u/device/vbd/%u", d.domid, d.devid);
    set_backend(&d);
    return d;
}

/* One that was attached: libxl knows from its own folder where its backend is. */
static struct disk disk_known(const char *domid, const char *devid)
{
    struct disk d = disk_of(domid, devid);
    char *back = get(XBT_NULL, d.libxl, "backend");

    if (back && sscanf(back, "/local/domain/%u/", &d.host) == 1)
        snprintf(d.back, sizeof(d.back), "%s", back);
    free(back);
    return d;
}

/* Takes the words with an @ out of what a caller changes. */
static void disk_odd(struct disk *d, char **change)
{
    char **keep = change;

    for (; *change; change++)
        if (!strncmp(*change, "@kind=", 6))
            d->kind = *change + 6;
        else if (!strncmp(*change, "@host=", 6))
            d->host = (unsigned)atoi(*change + 6);
        else if (!strncmp(*change, "@place=", 7))
            d->place = *change + 7;
        else
            *keep++ = *change;
    *keep = NULL;
    set_backend(d);
}

static bool writes(const struct disk *d, const char *place)
{
    return !d->place || !strcmp(d->place, place);
}

/* xvda to xvdp, in the numbering of the interface's first form. */
static const char *vdev_name(unsigned devid)
{
    static char name[8] = "xvda";

    name[3] = (char)('a' + (devid >> 4) % 16);
    return name;
}

static void put_in(xs_transaction_t t, const char *dir, const char *key, const char *value)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    put(t, path, "%s", value);
}

/* The backend nodes into `dir`, where the caller's K=V come last. */
static void put_backend(xs_transaction_t t, const struct disk *d, const char *dir,
                        const char *target, char **change)
{
    bool phy = !strcmp(d->kind, "vbd");
    char domid[16], params[4000];
    const char *const nodes[][2] = {
        {"frontend", d->front},
        {"frontend-id", domid},
        {"online", "1"},
        {"removable", "0"},
        {"bootable", "1"},
        {"state", "1"},
        {"dev", vdev_name(d->devid)},
        {"type", phy ? "phy" : d->kind},
        {"mode", "w"},
        {"device-type", "disk"},
        {"discard-enable", "1"},
        {"specification", "xen"},
        {"params", params},
        {"script", phy ? "/etc/xen/scripts/block" : "/etc/xen/scripts/block-ephem"},
    };

    snprintf(domid, sizeof(domid), "%u", d->domid);
    snprintf(params, sizeof(params), "%s%s", phy ? "" : "aio:", target);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        put_in(t, dir, nodes[i][0], nodes[i][1]);
    for (; *change; change++) {
        size_t key = strcspn(*change, "=");
        char path[256];

        snprintf(path, sizeof(path), "%s/%.*s", dir, (int)key, *change);
        if ((*change)[key] && (*change)[key + 1])
            put(t, path, "%s", *change + key + 1);
        else
            xs_rm(xsh, t, path);
    }
}

int cmd_attach(int argc, char **argv)
{
    struct disk d = disk_of(argv[0], argv[1]);
    char id[16], host[16];
    xs_transaction_t t;

    (void)argc;
    disk_odd(&d, argv + 3);
    snprintf(id, sizeof(id), "%u", d.devid);
    snprintf(host, sizeof(host), "%u", d.host);
    do {
        t = xs_transaction_start(xsh);
        if (writes(&d, "libxl")) {
            make_dir(t, d.libxl, 0, 0);
            put_in(t, d.libxl, "backend", d.back);
            put_backend(t, &d, d.libxl, argv[2], argv + 3);
        }
        if (writes(&d, "frontend")) {
            make_dir(t, d.front, d.domid, d.host);
            put_in(t, d.front, "backend", d.back);
            put_in(t, d.front, "backend-id", host);
            put_in(t, d.front, "state", "1");
            put_in(t, d.front, "virtual-device", id);
            put_in(t, d.front, "device-type", "disk");
        }
        if (writes(&d, "backend")) {
            make_dir(t, d.back, d.host, d.domid);
            put_backend(t, &d, d.back, argv[2], argv + 3);
        }
    } while (!commit(t));
    return 0;
}

/* libxl__xs_path_cleanup: the path, and what is above it as long as that is empty. */
static void clean_path(xs_transaction_t t, const char *path)
{
    char up[160], **below;
    unsigned count;

    snprintf(up, sizeof(up), "%s", path);
    for (;;) {
        char *slash = strrchr(up, '/');

        xs_rm(xsh, t, up);
        if (!slash || slash == up)
            return;
        *slash = '\0';
        below = xs_directory(xsh, t, up, &count);
        free(below);
        if (!below || count)
            return;
    }
}

/* Closing, in one transaction. False: there is no backend any more. */
static bool ask_to_close(const struct disk *d, bool forced)
{
    xs_transaction_t t;
    char *state;
    bool there;

    do {
        t = xs_transaction_start(xsh);
        state = get(t, d->back, "state");
        there = state != NULL;
        if (forced)
            xs_rm(xsh, t, d->front);
        if (state) {
            put_in(t, d->back, "online", "0");
            if (strcmp(state, "6"))
                put_in(t, d->back, "state", "5");
        }
        free(state);
    } while (!commit(t));
    return there;
}

/* Of dom0's backends only ours are in these tests: nobody would answer for another. */
static bool is_served(const struct disk *d)
{
    return d->host || strstr(d->back, "/backend/" KIND "/");
}

/*
 * Closes one disk; with the guest gone its frontend folder goes in the same transaction. Of a driver
 * domain libxl wants to see the state 6 itself before the folder goes, and fails if it stays.
 */
static int close_disk(const struct disk *d, bool forced)
{
    char *closed[] = {"6", d->host ? NULL : "-", NULL}, *gone[] = {"-", NULL};
    char path[160];
    xs_transaction_t t;
    int err = 0;

    snprintf(path, sizeof(path), "%s/state", d->back);
    late_ms = d->host ? 300 : 0;
    if (ask_to_close(d, forced) && is_served(d)) {
        err = wait_for(path, closed, DESTROY_TIMEOUT);
        if (!err && d->host)
            err = wait_for(path, gone, DESTROY_TIMEOUT);
    }
    do {
        t = xs_transaction_start(xsh);
        xs_rm(xsh, t, d->front);
        if (d->host)
            clean_path(t, d->back);
        else
            xs_rm(xsh, t, d->back);
        xs_rm(xsh, t, d->libxl);
    } while (!commit(t));
    return err;
}

int cmd_detach(int argc, char **argv)
{
    struct disk d = disk_known(argv[0], argv[1]);

    (void)argc;
    return close_disk(&d, false);
}

int cmd_force(int argc, char **argv)
{
    struct disk d = disk_known(argv[0], argv[1]);

    (void)argc;
    return close_disk(&d, true);
}

/* All at once, as libxl does, each in a process and with a connection of its own. */
int close_disks(const char *domid)
{
    char path[128], **disks;
    unsigned count = 0;
    int err = 0, status;

    snprintf(path, sizeof(path), "/libxl/%s/device/vbd", domid);
    disks = xs_directory(xsh, XBT_NULL, path, &count);
    for (unsigned i = 0; disks && i < count; i++) {
        struct disk d = disk_known(domid, disks[i]);
        pid_t pid = fork();

        if (pid < 0)
            die("fork for", d.front);
        if (pid)
            continue;
        xsh = xs_open(0);
        if (!xsh)
            die("connect to", "xenstored");
        _exit(close_disk(&d, true));
    }
    free(disks);
    while (wait(&status) > 0)
        err |= status != 0;
    return err;
}
