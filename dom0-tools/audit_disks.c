// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_disks: is each disk of a domain ours, or at least read-only?  Found by disk_find.
 */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit_proc.h"
#include "disk_find.h"
#include "ephemctl.h"
#include "paths.h"
#include "xs.h"

#define DISK_REMEDY                                                                                \
    "what it writes there stays: detach it, or give it backendtype=tap and script=block-ephem"

/* What the daemon has under that number, or NULL. */
static const json_t *disk_volume(const struct audit_domain *domain, uint32_t devid)
{
    return ctl_find(json_object_get(domain->status, "volumes"), "devid", devid);
}

static void disk_of_ours(struct disks *disks, const struct disk_path *at, const char *check,
                         bool readonly)
{
    struct audit_domain *domain = disks->domain;
    struct audit_disk *disk = &domain->disks[domain->count];
    const json_t *volume = disk_volume(domain, at->devid);
    char value[XENSTORE_VALUE];
    uint32_t state = 0;

    disks->ours++;
    path_device_name(disk->name, at->devid);
    disk->devid = at->devid;
    path_parse_id(disk_read(disks, at, "state", value), 8, &state);
    disk->closed = state < 2 || state > 5;
    if (proc_base(disk_read(disks, at, "params", value), disk->base, sizeof(disk->base))) {
        audit_add(domain->checks, AUDIT_UNKNOWN, check, "see 'ephemctl list'",
                  "ours, but its params name no base: %s", value);
        return;
    }
    domain->count++;
    const char *error = volume ? ctl_text(volume, "error") : "";
    if (domain->daemon && !volume)
        audit_add(domain->checks, AUDIT_FAIL, check, "see the daemon's log; start the guest again",
                  "has our script, but blkback-ephemd does not serve it");
    else if (*error)
        audit_add(domain->checks, AUDIT_FAIL, check, "see the daemon's log; start the guest again",
                  "ours, not served: %s", error);
    else
        audit_add(domain->checks, AUDIT_OK, check, NULL, "ours, %s, over %s%s",
                  readonly ? "read-only" : "ephemeral",
                  *disk->base ? disk->base : "nothing (blank)",
                  disk->closed ? ", not connected" : "");
}

static void disk_judge(struct disks *disks, const struct disk_path *at)
{
    json_t *checks = disks->domain->checks;
    char check[48], name[32], params[XENSTORE_VALUE];

    path_device_name(name, at->devid);
    snprintf(check, sizeof(check), "disk %s", name);
    if (disk_kind_is_way(at->kind)) {
        audit_add(checks, AUDIT_WARN, "device", DEVICE_REMEDY,
                  "a %s device of domain %u: data may leave the guest through it", at->kind,
                  at->backend);
        return;
    }
    bool readonly = disk_is_readonly(disks, at), there = disk_is_there(disks, at);
    if (disk_is_ours(disks, at)) {
        disk_of_ours(disks, at, check, readonly);
        return;
    }
    disk_read(disks, at, "params", params);
    if (!there && at->backend != disks->self && *at->note && !readonly)
        audit_add(
            checks, AUDIT_UNKNOWN, check, "see what that domain is doing",
            "writable by the toolstack's notes, but %s of domain %u has no state: who serves it "
            "is not known",
            at->kind, at->backend);
    else if (!there)
        audit_add(checks, AUDIT_WARN, check, "a disk that nobody serves: detach it",
                  "names a backend that is not there: %s of domain %u", at->kind, at->backend);
    else if (!disk_is_referred(disks, at))
        audit_add(checks, AUDIT_WARN, check, "see what that domain is doing",
                  "domain %u lists a backend (%s) for it that nothing refers to", at->backend,
                  at->kind);
    else if (disk_is_stored(disks, at) && ++disks->domain->stored)
        audit_add(checks, AUDIT_OK, check, NULL,
                  "served by the storage domain %u, which dom0 does not look into: %s", at->backend,
                  params);
    else if (readonly)
        audit_add(checks, AUDIT_OK, check, NULL, "not ours, but read-only: %s of domain %u, %s",
                  at->kind, at->backend, params);
    else
        audit_add(checks, AUDIT_FAIL, check, DISK_REMEDY,
                  "writable, and not ours: %s of domain %u, %s", at->kind, at->backend, params);
}

void audit_disks(struct audit_domain *domain)
{
    struct disks *disks = calloc(1, sizeof(*disks));

    if (!disks || !domain->xs) {
        audit_add(domain->checks, AUDIT_UNKNOWN, "disks", "see whether xenstored runs",
                  "xenstore cannot be read");
        free(disks);
        return;
    }
    disks_find(disks, domain);
    for (size_t i = 0; i < disks->count; i++)
        disk_judge(disks, &disks->paths[i]);
    if (!disks->ours && !domain->stored)
        audit_add(domain->checks, AUDIT_FAIL, "disks", DISK_REMEDY, "it has no disk of ours");
    if (xenstore_lost(domain->xs))
        audit_add(domain->checks, AUDIT_UNKNOWN, "disks", "see whether xenstored runs",
                  "xenstore did not answer to the end");
    free(disks);
}
