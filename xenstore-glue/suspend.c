// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * suspend: the toolstack writes "suspend" into the node, waits until the guest has put something else
 * there (Linux: nothing), and then for the guest to stop (libxl_dom_suspend.c, drivers/xen/manage.c).
 * The daemon sees what the guest sees, and a guest that is quicker leaves it an empty node.  Of that
 * only "something came and went" is known, and most of the time it was "poweroff": then frontends
 * are closed before the domain ends.  One that ends with its ring in use, after something that was
 * not read, may have been saved, and gets a tombstone too.  The same holds where nobody watched: a
 * throttled guest, xenstored or the daemon away; and where all was over before we looked: the events
 * of a domain that is gone tell nothing.  Such a tombstone can be wrong; then it refuses a
 * start and costs one `ephemctl forget`, where a missing one costs a file system.
 *
 * The node belongs to the guest too.  What it writes there can have its own UUID refused and nothing
 * else: one record, one line, and events are charged as those of its disks' states.
 *
 * Not seen: a guest without PV drivers, or asleep (S3), which libxl suspends without a word in
 * xenstore, and a save file carried to a host that never saw the guest.  xl's migrations are known there by
 * the name they give the domain until it runs.
 */
#include "suspend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "life.h"
#include "log.h"
#include "paths.h"
#include "scan.h"
#include "status.h"
#include "tombstone.h"

#define SUSPEND_NODE "control/shutdown"

bool suspend_is_ours(const char *token)
{
    size_t len = strlen(token);

    return len > sizeof(SUSPEND_NODE) &&
           !strcmp(token + len - (sizeof(SUSPEND_NODE) - 1), SUSPEND_NODE);
}

static void suspend_set(struct life *life)
{
    char path[PATH_ROOM];

    path_domain(path, life->domid, SUSPEND_NODE);
    life->suspend.set = !xenstore_watch(life->glue->xs, path, path);
    life->suspend.fresh = true;
    life->suspend.asked = false;
}

void suspend_begin(struct life *life)
{
    if (life->glue->policy->driver)
        return;
    suspend_set(life);
    life->suspend.missed = !life->suspend.set;
}

void suspend_stop(struct life *life)
{
    char path[PATH_ROOM];

    if (life->suspend.set && life->glue->xs) {
        path_domain(path, life->domid, SUSPEND_NODE);
        xenstore_unwatch(life->glue->xs, path, path);
    }
    life->suspend.set = false;
}

void suspend_lost(struct glue *glue)
{
    list_for_each(it, &glue->lives) container_of(it, struct life, link)->suspend.set = false;
}

void suspend_watch_all(struct glue *glue)
{
    if (glue->policy->driver)
        return;
    list_for_each(it, &glue->lives)
    {
        struct life *life = container_of(it, struct life, link);

        if (life->suspend.set || life->stray || xenstore_lost(glue->xs) ||
            scan_throttles(glue->scan, life->domid))
            continue;
        suspend_set(life);
        life->suspend.missed = true;
    }
}

/* One line, when the record is new. */
static void suspend_record(struct life *life, const char *why)
{
    int err = tombstones_add(life->glue->tombstones, life->uuid, life->domid, time(NULL));

    if (err == -EINVAL) {
        if (!life->suspend.told)
            log_error("guest %u %s, and has no UUID: a saved or migrated copy of it cannot be told "
                      "from a new guest: do not start one",
                      life->domid, why);
    } else if (err < 0 && !life->suspend.told) {
        log_error("guest %u (%s) %s: this is not on disk (%s) and holds only until this daemon "
                  "ends: do not restore it",
                  life->domid, life->uuid, why, strerror(-err));
    }
    life->suspend.told = life->suspend.told || err < 0;
    if (err > 0)
        log_warn("guest %u (%s) %s: a saved or migrated copy, or a new start, will be refused, "
                 "because the key of its volumes ends with it and its memory does not fit "
                 "pristine ones, until: ephemctl forget %s",
                 life->domid, life->uuid, why, life->uuid);
}

void suspend_event(struct glue *glue, uint32_t domid)
{
    struct life *life = life_find(glue, life_guest_of(glue, domid));
    char path[PATH_ROOM], value[64];

    if (!life || !life->suspend.set)
        return;
    path_domain(path, life->domid, SUSPEND_NODE);
    int err = xenstore_read(glue->xs, path, value, sizeof(value));
    if (err == -ENOENT) {
        /* The whole domain is gone, or its guest has removed the node: that is an answer too. */
        path_domain(path, life->domid, NULL);
        err = xenstore_read(glue->xs, path, value, sizeof(value));
        value[0] = '\0';
    } else if (err == -E2BIG || err == -EINVAL) {
        snprintf(value, sizeof(value), "?"); /* the guest's own words */
        err = 0;
    }
    if (!err && suspend_note(&life->suspend, value))
        suspend_record(life, "is asked to suspend");
}

/* The guest has its toolstack suspend it by an event channel: nothing is written then. */
static bool suspend_is_silent(const struct life *life)
{
    char path[PATH_ROOM], value[32];

    path_domain(path, life->domid, "device/suspend/event-channel");
    int err = life->glue->xs ? xenstore_read(life->glue->xs, path, value, sizeof(value)) : -EIO;
    return err ? err == -E2BIG || err == -EINVAL : value[0] != '\0';
}

/* A toolstack waits for us before it removes a domain: one that is gone was not seen to its end. */
static bool suspend_is_late(const struct life *life)
{
    char path[PATH_ROOM], value[32];

    path_domain(path, life->domid, NULL);
    return life->glue->xs && xenstore_read(life->glue->xs, path, value, sizeof(value)) == -ENOENT;
}

void suspend_dropped(struct life *life)
{
    if (life->glue->policy->driver)
        return;
    if (life->suspend.missed || !life->suspend.set || suspend_is_silent(life) ||
        suspend_is_late(life))
        suspend_record(life, "has ended in the middle of its work and may have been saved");
}

int suspend_judge(struct glue *glue, uint32_t domid, const char *uuid, char text[WIRE_TEXT])
{
    const struct tombstone *tombstone = tombstones_find(glue->tombstones, uuid);
    char path[PATH_ROOM], name[XENSTORE_VALUE];

    path_domain(path, domid, "name");
    if (!xenstore_read(glue->xs, path, name, sizeof(name)) && suspend_is_incoming(name)) {
        snprintf(text, WIRE_TEXT,
                 "domain %u is the receiving end of a migration (its name ends in --incoming): the "
                 "key of its volumes does not travel and its memory does not fit pristine ones: "
                 "shut the guest down where it runs, start it here",
                 domid);
        return -EPERM;
    }
    if (!tombstone)
        return 0;
    snprintf(text, WIRE_TEXT,
             "guest %s was suspended: the key of its volumes is gone and its memory does not fit "
             "pristine ones: throw its saved copies away, then start it anew after: ephemctl "
             "forget %s",
             tombstone->uuid, tombstone->uuid);
    return -EPERM;
}

int suspend_forget(struct glue *glue, const char *guest, char uuid[SUSPEND_UUID],
                   char text[WIRE_TEXT])
{
    uint32_t domid;
    const struct life *life = NULL;

    if (status_find(glue, guest, &domid))
        life = life_find(glue, life_guest_of(glue, domid));
    const struct tombstone *record = tombstones_find(glue->tombstones, life ? life->uuid : guest);
    snprintf(uuid, SUSPEND_UUID, "%s", record ? record->uuid : "");
    int err = tombstones_remove(glue->tombstones, uuid);
    if (!err)
        log_info("guest %s: forgotten that it was suspended: it may start anew", uuid);
    else if (err == -ENOENT)
        snprintf(text, WIRE_TEXT,
                 "no such suspended guest: take its UUID from ephemctl status (suspended)");
    else
        snprintf(text, WIRE_TEXT, "%s: its record in %.64s" TOMBSTONE_DIR " cannot be removed: %s",
                 uuid, glue->policy->state_dir, strerror(-err));
    return err;
}
