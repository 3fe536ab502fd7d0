// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * toolstack: the xenstore writing of libxl 4.19 and later for domains and tap disks, with its
 * order, its transactions and its permissions, for tests that run the real xenstored without a
 * hypervisor.
 *
 *   domain N NAME UUID             the nodes of a new domain
 *   driver N NAME UUID             the same of a driver domain
 *   attach N DEVID TARGET [K=V]... one tap disk; K=V changes a backend node, K= leaves it out;
 *                                  @kind=KIND makes it a disk of that kind, as phy's vbd, and
 *                                  @host=DOMID one that this domain serves; @place=libxl|backend|
 *                                  frontend writes that one of the three directories only
 *   detach N DEVID                 online=0, state=5, wait for 6, and for a driver domain until it has
 *                                  removed its folder; remove what is left of the disk
 *   force N DEVID                  the same without the guest: its folder goes at once
 *   destroy N                      the same for all disks of a domain that is gone, then its nodes
 *   wait PATH VALUE... [-t SECS]   until the node has one of the values ("-": it does not exist)
 *
 * The hotplug script is not run: what it does is under test elsewhere.
 */
#define _GNU_SOURCE
#include "toolstack.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct xs_handle *xsh;
unsigned late_ms;

_Noreturn void die(const char *what, const char *path)
{
    fprintf(stderr, "toolstack: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

void put(xs_transaction_t t, const char *path, const char *format, ...)
{
    char value[4000];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (!xs_write(xsh, t, path, value, (unsigned)strlen(value)))
        die("write", path);
}

char *get(xs_transaction_t t, const char *dir, const char *key)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    return xs_read(xsh, t, path, NULL);
}

void make_dir(xs_transaction_t t, const char *path, unsigned owner, unsigned reader)
{
    struct xs_permissions perms[2] = {{.id = owner, .perms = XS_PERM_NONE},
                                      {.id = reader, .perms = XS_PERM_READ}};

    xs_rm(xsh, t, path);
    if (!xs_mkdir(xsh, t, path) || !xs_set_permissions(xsh, t, path, perms, 2))
        die("mkdir", path);
}

bool commit(xs_transaction_t t)
{
    if (xs_transaction_end(xsh, t, false))
        return true;
    if (errno != EAGAIN)
        die("commit", "");
    return false;
}

/* What libxl__domain_make gives every domain, below its folder; `own` is for it to write. */
static const struct {
    const char *path;
    bool own, driver;
} given[] = {
    {"device", false, false},
    {"device/suspend/event-channel", true, false},
    {"control", false, false},
    {"control/shutdown", true, false},
    {"control/feature-poweroff", true, false},
    {"control/feature-reboot", true, false},
    {"control/feature-suspend", true, false},
    {"control/sysrq", true, false},
    {"data", true, false},
    {"drivers", true, false},
    {"feature", true, false},
    {"attr", true, false},
    {"error", true, false},
    {"libxl", true, true},
    {"device-model", true, true},
};

static int make_domain(char **argv, bool driver)
{
    unsigned domid = (unsigned)atoi(argv[0]);
    char dom[64], vm[96], path[192];
    xs_transaction_t t;

    snprintf(dom, sizeof(dom), "/local/domain/%u", domid);
    snprintf(vm, sizeof(vm), "/vm/%s", argv[2]);
    do {
        t = xs_transaction_start(xsh);
        make_dir(t, dom, 0, domid);
        make_dir(t, vm, 0, domid);
        snprintf(path, sizeof(path), "/libxl/%u", domid);
        make_dir(t, path, 0, 0);
        for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
            snprintf(path, sizeof(path), "%s/%s", dom, given[i].path);
            if (driver || !given[i].driver)
                make_dir(t, path, given[i].own ? domid : 0, given[i].own ? 0 : domid);
        }
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

static int cmd_domain(int argc, char **argv)
{
    (void)argc;
    return make_domain(argv, false);
}

static int cmd_driver(int argc, char **argv)
{
    (void)argc;
    return make_domain(argv, true);
}

static int cmd_destroy(int argc, char **argv)
{
    static const char *const kinds[] = {"vbd3", "vbd", "qdisk"};
    char path[128], *vm;
    int err = close_disks(argv[0]);

    (void)argc;
    snprintf(path, sizeof(path), "/local/domain/%s", argv[0]);
    vm = get(XBT_NULL, path, "vm");
    xs_rm(xsh, XBT_NULL, path);
    snprintf(path, sizeof(path), "/libxl/%s", argv[0]);
    xs_rm(xsh, XBT_NULL, path);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%s", kinds[i], argv[0]);
        xs_rm(xsh, XBT_NULL, path);
    }
    if (vm)
        xs_rm(xsh, XBT_NULL, vm);
    free(vm);
    return err;
}

static bool one_of(const char *value, char **values)
{
    for (; *values; values++)
        if (value ? !strcmp(value, *values) : !strcmp("-", *values))
            return true;
    return false;
}

int wait_for(const char *path, char **values, int seconds)
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
        usleep(late_ms * 1000);
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
    {"domain", 3, cmd_domain}, {"driver", 3, cmd_driver}, {"attach", 3, cmd_attach},
    {"detach", 2, cmd_detach}, {"force", 2, cmd_force},   {"destroy", 1, cmd_destroy},
    {"wait", 2, cmd_wait},
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
    fprintf(stderr,
            "usage: toolstack domain|driver|attach|detach|force|destroy|wait ARGUMENT...\n");
    return 2;
}
