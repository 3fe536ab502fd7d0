// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * toolstack: the xenstore writing of libxl 4.19 and later for domains and tap disks, with its
 * order, its transactions and its permissions, for tests that run the real xenstored without a
 * hypervisor.
 *
 *   domain N NAME UUID             the nodes of a new domain
 *   attach N DEVID TARGET [K=V]... one tap disk; K=V changes a backend node, K= leaves it out
 *   detach N DEVID                 online=0, state=5, wait for 6, remove both folders
 *   force N DEVID                  the same without the guest: its folder goes at once
 *   destroy N                      the same for all disks of a domain that is gone, then its nodes
 *   wait PATH VALUE... [-t SECS]   until the node has one of the values ("-": it does not exist)
 *
 * The hotplug script is not run: what it does is under test elsewhere.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xenstore.h>

#define KIND            "vbd3"
#define DESTROY_TIMEOUT 10

static struct xs_handle *xsh;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "toolstack: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

__attribute__((format(printf, 3, 4))) static void put(xs_transaction_t t, const char *path,
                                                      const char *format, ...)
{
    char value[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (!xs_write(xsh, t, path, value, (unsigned)strlen(value)))
        die("write", path);
}

static char *get(xs_transaction_t t, const char *dir, const char *key)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    return xs_read(xsh, t, path, NULL);
}

/* A fresh folder that `owner` owns and `reader` may read. */
static void make_dir(xs_transaction_t t, const char *path, unsigned owner, unsigned reader)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = reader, .perms = XS_PERM_READ}};

    xs_rm(xsh, t, path);
    if (!xs_mkdir(xsh, t, path) || !xs_set_permissions(xsh, t, path, perms, 2))
        die("mkdir", path);
}

/* True if the transaction is through, false if it must be repeated. */
static bool commit(xs_transaction_t t)
{
    if (xs_transaction_end(xsh, t, false))
        return true;
    if (errno != EAGAIN)
        die("commit", "");
    return false;
}

static int cmd_domain(int argc, char **argv)
{
    unsigned domid = (unsigned)atoi(argv[0]);
    char dom[64], vm[96], path[192];
    xs_transaction_t t;

    (void)argc;
    snprintf(dom, sizeof(dom), "/local/domain/%u", domid);
    snprintf(vm, sizeof(vm), "/vm/%s", argv[2]);
    do {
        t = xs_transaction_start(xsh);
        make_dir(t, dom, 0, domid);
        make_dir(t, vm, 0, domid);
        snprintf(path, sizeof(path), "/libxl/%u", domid);
        make_dir(t, path, 0, 0);
        snprintf(path, sizeof(path), "%s/device", dom);
        make_dir(t, path, 0, domid);
        snprintf(path, sizeof(path), "%s/control", dom);
        make_dir(t, path, 0, domid);
        snprintf(path, sizeof(path), "%s/control/shutdown", dom);
        make_dir(t, path, domid, 0);
        snprintf(path, sizeof(path), "%s/vm", dom);
        put(t, path, "%s", vm);
        snprintf(path, sizeof(path), "%s/name", dom);
        put(t, path, "%s", argv[1]);
        snprintf(path, sizeof(path), "%s/domid", dom);
        put(t, path, "%u", domid);
        snprintf(path, sizeof(path), "%s/name", vm);
        put(t, path, "%s", argv[1]);
        snprintf(path, sizeof(path), "%s/uuid", vm);
        put(t, path, "%s", argv[2]);
    } while (!commit(t));
    return 0;
}

struct disk {
    char front[128], back[128], libxl[128];
    unsigned domid, devid;
};

static struct disk disk_of(const char *domid, const char *devid)
{
    struct disk d = {.domid = (unsigned)atoi(domid), .devid = (unsigned)atoi(devid)};

    snprintf(d.front, sizeof(d.front), "/local/domain/%u/device/vbd/%u", d.domid, d.devid);
    snprintf(d.back, sizeof(d.back), "/local/domain/0/backend/" KIND "/%u/%u", d.domid, d.devid);
    snprintf(d.libxl, sizeof(d.libxl), "/libxl/%u/device/vbd/%u", d.domid, d.devid);
    return d;
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

/* The backend nodes, where the caller's K=V come last. */
static void put_backend(xs_transaction_t t, const struct disk *d, const char *target, char **change)
{
    char domid[16], params[1024];
    const char *const nodes[][2] = {
        {"frontend", d->front},
        {"frontend-id", domid},
        {"online", "1"},
        {"removable", "0"},
        {"bootable", "1"},
        {"state", "1"},
        {"dev", vdev_name(d->devid)},
        {"type", KIND},
        {"mode", "w"},
        {"device-type", "disk"},
        {"discard-enable", "1"},
        {"specification", "xen"},
        {"params", params},
        {"script", "/etc/xen/scripts/block-ephem"},
    };

    snprintf(domid, sizeof(domid), "%u", d->domid);
    snprintf(params, sizeof(params), "aio:%s", target);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        put_in(t, d->back, nodes[i][0], nodes[i][1]);
    for (; *change; change++) {
        size_t key = strcspn(*change, "=");
        char path[256];

        snprintf(path, sizeof(path), "%s/%.*s", d->back, (int)key, *change);
        if ((*change)[key] && (*change)[key + 1])
            put(t, path, "%s", *change + key + 1);
        else
            xs_rm(xsh, t, path);
    }
}

static int cmd_attach(int argc, char **argv)
{
    struct disk d = disk_of(argv[0], argv[1]);
    char id[16];
    xs_transaction_t t;

    (void)argc;
    snprintf(id, sizeof(id), "%u", d.devid);
    do {
        t = xs_transaction_start(xsh);
        make_dir(t, d.libxl, 0, 0);
        make_dir(t, d.front, d.domid, 0);
        make_dir(t, d.back, 0, d.domid);
        put_in(t, d.libxl, "frontend", d.front);
        put_in(t, d.libxl, "backend", d.back);
        put_in(t, d.front, "backend", d.back);
        put_in(t, d.front, "backend-id", "0");
        put_in(t, d.front, "state", "1");
        put_in(t, d.front, "virtual-device", id);
        put_in(t, d.front, "device-type", "disk");
        put_backend(t, &d, argv[2], argv + 3);
    } while (!commit(t));
    return 0;
}

static bool one_of(const char *value, char **values)
{
    for (; *values; values++)
        if (value ? !strcmp(value, *values) : !strcmp("-", *values))
            return true;
    return false;
}

static int wait_for(const char *path, char **values, int seconds)
{
    time_t end = time(NULL) + seconds + 1;
    char *value = NULL;

    if (!xs_watch(xsh, path, "wait"))
        die("watch", path);
    for (;;) {
        struct pollfd fd = {.fd = xs_fileno(xsh), .events = POLLIN};
        char **event;

        free(value);
        value = xs_read(xsh, XBT_NULL, path, NULL);
        if (one_of(value, values) || time(NULL) >= end)
            break;
        if (poll(&fd, 1, 1000) > 0 && (event = xs_read_watch(xsh, &(unsigned){0})) != NULL)
            free(event);
    }
    xs_unwatch(xsh, path, "wait");
    if (!one_of(value, values)) {
        fprintf(stderr, "toolstack: %s is '%s' after %d s\n", path, value ? value : "-", seconds);
        free(value);
        return 1;
    }
    free(value);
    return 0;
}

/* Closes one disk; with the guest gone its frontend folder goes in the same transaction. */
static int close_disk(const struct disk *d, bool forced)
{
    char path[160], *state;
    char *closed[] = {"6", "-", NULL};
    xs_transaction_t t;
    int err;

    do {
        t = xs_transaction_start(xsh);
        state = get(t, d->back, "state");
        if (forced)
            xs_rm(xsh, t, d->front);
        if (state) {
            put_in(t, d->back, "online", "0");
            if (strcmp(state, "6"))
                put_in(t, d->back, "state", "5");
        }
        free(state);
    } while (!commit(t));
    snprintf(path, sizeof(path), "%s/state", d->back);
    err = wait_for(path, closed, DESTROY_TIMEOUT);
    do {
        t = xs_transaction_start(xsh);
        xs_rm(xsh, t, d->front);
        xs_rm(xsh, t, d->back);
        xs_rm(xsh, t, d->libxl);
    } while (!commit(t));
    return err;
}

static int cmd_detach(int argc, char **argv)
{
    struct disk d = disk_of(argv[0], argv[1]);

    (void)argc;
    return close_disk(&d, false);
}

static int cmd_force(int argc, char **argv)
{
    struct disk d = disk_of(argv[0], argv[1]);

    (void)argc;
    return close_disk(&d, true);
}

static int cmd_destroy(int argc, char **argv)
{
    char path[128], *vm;
    unsigned count = 0;
    char **disks;
    int err = 0;

    (void)argc;
    snprintf(path, sizeof(path), "/libxl/%s/device/vbd", argv[0]);
    disks = xs_directory(xsh, XBT_NULL, path, &count);
    for (unsigned i = 0; disks && i < count; i++) {
        struct disk d = disk_of(argv[0], disks[i]);

        err |= close_disk(&d, true);
    }
    free(disks);
    snprintf(path, sizeof(path), "/local/domain/%s", argv[0]);
    vm = get(XBT_NULL, path, "vm");
    xs_rm(xsh, XBT_NULL, path);
    snprintf(path, sizeof(path), "/libxl/%s", argv[0]);
    xs_rm(xsh, XBT_NULL, path);
    snprintf(path, sizeof(path), "/local/domain/0/backend/" KIND "/%s", argv[0]);
    xs_rm(xsh, XBT_NULL, path);
    if (vm)
        xs_rm(xsh, XBT_NULL, vm);
    free(vm);
    return err;
}

static int cmd_wait(int argc, char **argv)
{
    int seconds = 30;

    if (argc > 3 && !strcmp(argv[argc - 2], "-t")) {
        seconds = atoi(argv[argc - 1]);
        argv[argc - 2] = NULL;
    }
    return wait_for(argv[0], argv + 1, seconds);
}

static const struct {
    const char *name;
    int args;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"domain", 3, cmd_domain}, {"attach", 3, cmd_attach},   {"detach", 2, cmd_detach},
    {"force", 2, cmd_force},   {"destroy", 1, cmd_destroy}, {"wait", 2, cmd_wait},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) || argc - 2 < commands[i].args)
            continue;
        xsh = xs_open(0);
        if (!xsh)
            die("connect to", "xenstored");
        return commands[i].run(argc - 2, argv + 2);
    }
    fprintf(stderr, "usage: toolstack domain|attach|detach|force|destroy|wait ARGUMENT...\n");
    return 2;
}
