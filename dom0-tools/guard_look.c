// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_look: three places tell of a domain's disks.  /libxl/DOMID/device is libxl's copy, dom0's
 * alone, and the only word about a disk that another domain serves.  /local/domain/0/backend has
 * whatever is served from dom0, whoever wrote it there.  The domain's own directory is read only
 * while it has never run: it may then hold a disk that a toolstack other than libxl gave it from
 * another domain; afterwards it is the guest's to write, and worth nothing.
 *
 * All of it is read in one transaction, so a disk that is just being removed is there or is not.
 * It deliberately knows no devices but disks: not PCI, USB, SCSI hosts, 9p.
 */
#include "guard_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard_judge.h"
#include "paths.h"
#include "storage.h"
#include "util.h"
#include "xs.h"

#define LOOK_DEVICES 4096 /* of one kind; nobody has so many */

/* What libxl calls its disks. */
static const char *const look_devices[] = {"vbd", "virtio_disk"};

struct look {
    uint32_t domid;
    bool fresh;
    struct guard_sight *out;
    char seen[GUARD_DISKS * 4]; /* names of foreign disks so far, each between blanks */
};

typedef int look_visitor(struct xenstore *xs, struct look *look, const char *dir,
                         const char *device);

/* A missing, too long or odd value is empty; other errors are errors. */
static int look_read(struct xenstore *xs, const char *dir, const char *node, char *out, size_t size)
{
    char path[2 * GUARD_PATH];

    snprintf(path, sizeof(path), "%s/%s", dir, node);
    int err = xenstore_read(xs, path, out, size);
    if (err)
        out[0] = '\0';
    return err == -ENOENT || err == -E2BIG || err == -EINVAL ? 0 : err;
}

/* The name of a foreign disk, once for all places that tell of it. */
static void look_name(struct look *look, const struct guard_fact *fact)
{
    struct guard_backend backend;
    char device[32], name[80], key[40];
    uint32_t devid;

    if (path_parse_id(fact->device, UINT32_MAX, &devid))
        snprintf(device, sizeof(device), "a disk without a number");
    else
        path_device_name(device, devid);
    snprintf(key, sizeof(key), " %s ", device);
    if (strstr(look->seen, key))
        return;
    snprintf(look->seen + strlen(look->seen), sizeof(look->seen) - strlen(look->seen), "%s", key);
    if (guard_parse_backend(fact->backend, &backend))
        snprintf(name, sizeof(name), "%s (no known backend)", device);
    else if (backend.host)
        snprintf(name, sizeof(name), "%s (%s of domain %u)", device, backend.kind, backend.host);
    else
        snprintf(name, sizeof(name), "%s (%s)", device, backend.kind);
    size_t at = strlen(look->out->names);
    snprintf(look->out->names + at, sizeof(look->out->names) - at, "%s%s", at ? ", " : "", name);
}

static void look_judge(struct look *look, const struct guard_fact *fact)
{
    look->out->disks++;
    if (guard_judge(fact) != GUARD_FOREIGN)
        return;
    look->out->foreign++;
    look_name(look, fact);
}

static void look_begin(struct guard_fact *fact, enum guard_source source, const struct look *look,
                       const char *device)
{
    *fact = (struct guard_fact){.source = source, .domid = look->domid};
    /* Cut or not: what does not fit is no number either. */
    snprintf(fact->device, sizeof(fact->device), "%s", device);
}

static int look_values(struct xenstore *xs, const char *dir, struct guard_fact *fact)
{
    int err = look_read(xs, dir, "frontend", fact->frontend, sizeof(fact->frontend));

    if (!err)
        err = look_read(xs, dir, "script", fact->script, sizeof(fact->script));
    if (!err)
        err = look_read(xs, dir, "mode", fact->mode, sizeof(fact->mode));
    return err;
}

static int look_libxl(struct xenstore *xs, struct look *look, const char *dir, const char *device)
{
    struct guard_backend backend;
    struct guard_fact fact;

    look_begin(&fact, GUARD_LIBXL, look, device);
    int err = look_read(xs, dir, "backend", fact.backend, sizeof(fact.backend));
    if (!err)
        err = look_values(xs, dir, &fact);
    if (!err && !guard_parse_backend(fact.backend, &backend))
        err = storage_is_one(xs, backend.host, &fact.storage);
    if (!err)
        look_judge(look, &fact);
    return err;
}

/* The script decides, so nobody else may have written it; a mode alone is as good as its directory. */
static int look_backend(struct xenstore *xs, struct look *look, const char *dir, const char *device)
{
    struct guard_fact fact;
    char path[2 * GUARD_PATH];

    look_begin(&fact, GUARD_BACKEND, look, device);
    snprintf(fact.backend, sizeof(fact.backend), "%s", dir);
    int err = xenstore_is_ours(xs, dir, &fact.from_dom0);
    if (!err)
        err = look_values(xs, dir, &fact);
    if (err)
        return err == -ENOENT ? 0 : err;
    const char *const nodes[] = {"script", "mode", "frontend"};
    for (size_t i = 0; i < ARRAY_SIZE(nodes) && !err && fact.from_dom0; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, nodes[i]);
        err = xenstore_is_ours(xs, path, &fact.from_dom0);
        if (err == -ENOENT) {
            err = 0;
            fact.from_dom0 = true;
        }
    }
    if (!err)
        look_judge(look, &fact);
    return err;
}

static int look_frontend(struct xenstore *xs, struct look *look, const char *dir,
                         const char *device)
{
    struct guard_fact fact;
    char copy[GUARD_PATH], libxl[PATH_ROOM];

    look_begin(&fact, GUARD_FRONTEND, look, device);
    snprintf(libxl, sizeof(libxl), "/libxl/%u/device/vbd/%s", look->domid, fact.device);
    int err = look_read(xs, dir, "backend", fact.backend, sizeof(fact.backend));
    if (!err)
        err = look_read(xs, libxl, "backend", copy, sizeof(copy));
    fact.in_libxl = !err && copy[0] && !strcmp(copy, fact.backend);
    if (!err)
        look_judge(look, &fact);
    return err;
}

static int look_each(struct xenstore *xs, struct look *look, const char *parent,
                     look_visitor *visit)
{
    char path[GUARD_PATH], **names;
    unsigned int count;

    int err = xenstore_list(xs, parent, &names, &count);
    if (err)
        return err == -ENOENT ? 0 : err;
    for (unsigned int i = 0; i < count && !err; i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", parent, names[i]);

        err = i < LOOK_DEVICES && length < (int)sizeof(path) ? visit(xs, look, path, names[i])
                                                             : -E2BIG;
    }
    free(names);
    return err;
}

static int look_body(struct xenstore *xs, void *arg)
{
    struct look *look = arg;
    char path[PATH_ROOM];
    int err = 0;

    memset(look->out, 0, sizeof(*look->out));
    look->seen[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(look_devices) && !err; i++) {
        snprintf(path, sizeof(path), "/libxl/%u/device/%s", look->domid, look_devices[i]);
        err = look_each(xs, look, path, look_libxl);
    }
    for (unsigned int i = 0; guard_kind(i) && !err; i++) {
        snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", guard_kind(i), look->domid);
        err = look_each(xs, look, path, look_backend);
    }
    path_domain(path, look->domid, "device/vbd");
    if (!err && look->fresh)
        err = look_each(xs, look, path, look_frontend);
    return err;
}

int guard_look(struct xenstore *xs, uint32_t domid, bool fresh, struct guard_sight *out)
{
    struct look look = {.domid = domid, .fresh = fresh, .out = out};

    return xenstore_transact(xs, look_body, &look);
}

/* Place n; -ENOENT beyond the last. */
static int look_place(unsigned int n, uint32_t domid, char path[PATH_ROOM])
{
    if (!n)
        snprintf(path, PATH_ROOM, "/libxl/%u/device", domid);
    else if (guard_kind(n - 1))
        snprintf(path, PATH_ROOM, "/local/domain/0/backend/%s/%u", guard_kind(n - 1), domid);
    else
        return -ENOENT;
    return 0;
}

int guard_look_watch(struct xenstore *xs, uint32_t domid, const char *token)
{
    char path[PATH_ROOM];
    int err = 0;

    for (unsigned int n = 0; !err && !look_place(n, domid, path); n++)
        err = xenstore_watch(xs, path, token);
    if (err)
        guard_look_unwatch(xs, domid, token);
    return err;
}

void guard_look_unwatch(struct xenstore *xs, uint32_t domid, const char *token)
{
    char path[PATH_ROOM];

    for (unsigned int n = 0; !look_place(n, domid, path); n++)
        xenstore_unwatch(xs, path, token);
}
