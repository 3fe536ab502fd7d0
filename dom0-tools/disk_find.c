// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * disk_find: every disk that xenstore knows of a domain, from three sides, since none is complete:
 * the backends of dom0 and of driver domains, by listing them; what the toolstack noted in /libxl; what
 * the guest's own frontends name.  The latter are the guest's word: they can add a row, never take one
 * away, and nothing of theirs is used as a path before it was taken apart.
 *
 * A kind of backend that is not known here counts as a disk.
 */
#include "disk_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paths.h"
#include "storage.h"
#include "xs.h"

static bool disk_kind_is_other(const char *kind)
{
    static const char *const kinds[] = {"vif",  "console", "vfb",    "vkbd",   "vkb",
                                        "vsnd", "vdispl",  "vinput", "pvcalls"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strcmp(kind, kinds[i]))
            return true;
    return false;
}

bool disk_kind_is_way(const char *kind)
{
    return !strcmp(kind, "9pfs") || !strcmp(kind, "pci") || !strcmp(kind, "vusb") ||
           !strcmp(kind, "qusb") || !strcmp(kind, "vtpm");
}

void disk_node(const struct disk_path *at, uint32_t domid, const char *node, char out[DISK_PATH])
{
    snprintf(out, DISK_PATH, "/local/domain/%u/backend/%s/%u/%u/%s", at->backend, at->kind, domid,
             at->devid, node);
}

static void disks_unknown(struct disks *disks, const char *what, int err)
{
    audit_add(disks->domain->checks, AUDIT_UNKNOWN, "disks", AUDIT_AS_ROOT, "xenstore: %s: %s",
              what, strerror(-err));
}

static struct disk_path *disks_have(struct disks *disks, const struct disk_path *at)
{
    for (size_t i = 0; i < disks->count; i++) {
        struct disk_path *known = &disks->paths[i];

        if (known->backend == at->backend && known->devid == at->devid &&
            !strcmp(known->kind, at->kind))
            return known;
    }
    return NULL;
}

static void disks_add(struct disks *disks, const struct disk_path *at)
{
    struct disk_path *known = disks_have(disks, at);

    if (known && *at->note)
        *known = *at;
    else if (!known && disks->count == AUDIT_DISKS)
        disks->too_many = true;
    else if (!known)
        disks->paths[disks->count++] = *at;
}

/* Names below `path`; none when it is missing. */
static unsigned int disks_list(struct disks *disks, const char *path, char ***names)
{
    unsigned int count = 0;
    int err = xenstore_list(disks->domain->xs, path, names, &count);

    if (err) {
        *names = NULL;
        count = 0;
        if (err != -ENOENT)
            disks_unknown(disks, path, err);
    }
    return count;
}

/* "/local/domain/<n>/backend/<kind>/<our domid>/<devid>", strictly. */
static int disk_parse(const char *path, uint32_t domid, struct disk_path *out)
{
    char backend[16], guest[16], devid[16];
    uint32_t id;
    int end = 0;

    if (sscanf(path, "/local/domain/%15[0-9]/backend/%63[a-z0-9_-]/%15[0-9]/%15[0-9]%n", backend,
               out->kind, guest, devid, &end) != 4 ||
        path[end] || path_parse_id(backend, PATH_DOMIDS - 1, &out->backend) ||
        path_parse_id(guest, PATH_DOMIDS - 1, &id) || id != domid ||
        path_parse_id(devid, UINT32_MAX, &out->devid))
        return -EINVAL;
    return 0;
}

/* ---- three sides ---- */

static void disks_of_kind(struct disks *disks, uint32_t backend, const char *kind)
{
    struct disk_path at = {.backend = backend};
    char path[DISK_PATH], **names;

    if (disk_kind_is_other(kind))
        return;
    if (strlen(kind) >= sizeof(at.kind)) {
        disks_unknown(disks, "a kind of backend has a name too long to be looked at", -E2BIG);
        return;
    }
    strcpy(at.kind, kind);
    snprintf(path, sizeof(path), "/local/domain/%u/backend/%s/%u", backend, kind,
             disks->domain->domid);
    unsigned int count = disks_list(disks, path, &names);
    for (unsigned int i = 0; i < count; i++)
        if (!path_parse_id(names[i], UINT32_MAX, &at.devid))
            disks_add(disks, &at);
    free(names);
}

static void disks_of_backends(struct disks *disks)
{
    char path[DISK_PATH], **domains, **kinds;
    unsigned int count = disks_list(disks, "/local/domain", &domains);
    uint32_t backend;

    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(domains[i], PATH_DOMIDS - 1, &backend))
            continue;
        snprintf(path, sizeof(path), "/local/domain/%u/backend", backend);
        unsigned int more = disks_list(disks, path, &kinds);
        for (unsigned int k = 0; k < more; k++)
            disks_of_kind(disks, backend, kinds[k]);
        free(kinds);
    }
    free(domains);
}

/* DIR/<id>/backend names a backend, `type` is DIR's end.  `toolstack`: that is its word, and the guest's
 * otherwise.  What a device model gives, such as USB, has a note of the toolstack's without a backend. */
static void disks_named(struct disks *disks, const char *dir, const char *type, bool toolstack)
{
    const char *word = toolstack ? "/libxl" : "the guest's frontend";
    char path[DISK_PATH + 80], value[XENSTORE_VALUE], **names;
    unsigned int count = disks_list(disks, dir, &names);

    for (unsigned int i = 0; i < count; i++) {
        struct disk_path at = {.note = ""};

        if (toolstack)
            snprintf(at.note, sizeof(at.note), "%.90s/%.64s", dir, names[i]);
        snprintf(path, sizeof(path), "%s/%.64s/backend", dir, names[i]);
        int err = xenstore_read(disks->domain->xs, path, value, sizeof(value));
        if (!err && !disk_parse(value, disks->domain->domid, &at)) {
            if (!disk_kind_is_other(at.kind))
                disks_add(disks, &at);
        } else if (!strcmp(type, "vbd")) {
            audit_add(disks->domain->checks, AUDIT_WARN, "frontend",
                      "a disk that nobody serves: detach it", "%s %.64s: %s %.100s", word, names[i],
                      err ? "has no proper backend node:" : "no backend of this domain:",
                      err ? strerror(-err) : value);
        } else if (!disk_kind_is_other(type)) {
            audit_add(disks->domain->checks, AUDIT_WARN, "device", DEVICE_REMEDY,
                      "a %.32s device, %.64s in /libxl: data may leave the guest through it", type,
                      names[i]);
        }
    }
    free(names);
}

static void disks_of_toolstack(struct disks *disks)
{
    char dir[DISK_PATH], path[DISK_PATH + 80], **types;

    snprintf(dir, sizeof(dir), "/libxl/%u/device", disks->domain->domid);
    unsigned int count = disks_list(disks, dir, &types);
    for (unsigned int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%.64s", dir, types[i]);
        disks_named(disks, path, types[i], true);
    }
    free(types);
}

/* ---- one disk ---- */

bool disk_is_ours(struct disks *disks, const struct disk_path *at)
{
    static const char ending[] = "/block-ephem";
    char path[DISK_PATH], script[XENSTORE_VALUE];
    bool ours = false;

    if (at->backend != disks->self || strcmp(at->kind, "vbd3"))
        return false;
    disk_node(at, disks->domain->domid, "script", path);
    if (xenstore_read(disks->domain->xs, path, script, sizeof(script)) ||
        xenstore_is_ours(disks->domain->xs, path, &ours))
        return false;
    size_t len = strlen(script);
    return ours && len >= sizeof(ending) - 1 &&
           !strcmp(script + len - (sizeof(ending) - 1), ending);
}

bool disk_is_stored(struct disks *disks, const struct disk_path *at)
{
    bool is = false;

    if (at->backend == disks->self || !*at->note || strcmp(at->kind, STORAGE_KIND))
        return false;
    int err = storage_is_one(disks->domain->xs, at->backend, &is);
    if (err)
        disks_unknown(disks, STORAGE_NODE, err);
    return !err && is;
}

const char *disk_read(struct disks *disks, const struct disk_path *at, const char *node,
                      char value[XENSTORE_VALUE])
{
    char path[DISK_PATH];

    disk_node(at, disks->domain->domid, node, path);
    int err = xenstore_read(disks->domain->xs, path, value, XENSTORE_VALUE);
    if (err && err != -ENOENT)
        disks_unknown(disks, path, err);
    return value;
}

bool disk_is_referred(struct disks *disks, const struct disk_path *at)
{
    char path[DISK_PATH], value[XENSTORE_VALUE], wanted[DISK_PATH];

    if (at->backend == disks->self || *at->note)
        return true;
    disk_node(at, disks->domain->domid, "", wanted);
    wanted[strlen(wanted) - 1] = '\0';
    snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/%u/backend", disks->domain->domid,
             at->devid);
    return !xenstore_read(disks->domain->xs, path, value, sizeof(value)) && !strcmp(value, wanted);
}

bool disk_is_readonly(struct disks *disks, const struct disk_path *at)
{
    char path[DISK_PATH], mode[XENSTORE_VALUE];

    if (at->backend == disks->self)
        return !strcmp(disk_read(disks, at, "mode", mode), "r");
    snprintf(path, sizeof(path), "%s/mode", at->note);
    return *at->note && !xenstore_read(disks->domain->xs, path, mode, sizeof(mode)) &&
           !strcmp(mode, "r");
}

bool disk_is_there(struct disks *disks, const struct disk_path *at)
{
    char path[DISK_PATH];

    disk_node(at, disks->domain->domid, "state", path);
    return xenstore_is_there(disks->domain->xs, path);
}

void disks_find(struct disks *disks, struct audit_domain *domain)
{
    char dir[DISK_PATH];

    disks->domain = domain;
    disks->self = xenstore_self(domain->xs);
    disks_of_backends(disks);
    disks_of_toolstack(disks);
    snprintf(dir, sizeof(dir), "/local/domain/%u/device/vbd", domain->domid);
    disks_named(disks, dir, "vbd", false);
    if (disks->too_many)
        audit_add(domain->checks, AUDIT_UNKNOWN, "disks", "take some away",
                  "more than %d backends: the rest was not looked at", AUDIT_DISKS);
}
