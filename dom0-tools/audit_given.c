// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_given: block devices of dom0 that guests have as disks, by the number that the hotplug script told the
 * kernel's blkback, which opens them without a process.  A backend without that number serves nothing yet,
 * or not by the kernel: then a process has the device open, and is found as such.
 *
 * Driver domains' backends are left out: their numbers mean devices of theirs.
 */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "paths.h"
#include "xs.h"

#define GIVEN_PATH 512

static unsigned int given_list(struct audit_givens *givens, struct xenstore *xs, const char *path,
                               char ***names)
{
    unsigned int count = 0;
    int err = xenstore_list(xs, path, names, &count);

    if (!err)
        return count;
    *names = NULL;
    if (err != -ENOENT)
        givens->err = err;
    return 0;
}

static void given_add(struct audit_givens *givens, const struct audit_given *given)
{
    struct audit_given *list = realloc(givens->list, (givens->count + 1) * sizeof(*list));

    if (!list) {
        givens->err = -ENOMEM;
        return;
    }
    givens->list = list;
    list[givens->count++] = *given;
}

/* `path`: of the backend.  What cannot be read as a number the kernel cannot, either. */
static void given_look(struct audit_givens *givens, struct xenstore *xs, const char *path,
                       struct audit_given *given)
{
    char node[GIVEN_PATH + 32], value[XENSTORE_VALUE];
    unsigned int maj, min;

    snprintf(node, sizeof(node), "%s/physical-device", path);
    int err = xenstore_read(xs, node, value, sizeof(value));
    if (err && err != -ENOENT)
        givens->err = err;
    if (err || sscanf(value, "%x:%x", &maj, &min) != 2)
        return;
    given->device = makedev(maj, min);
    snprintf(node, sizeof(node), "%s/mode", path);
    err = xenstore_read(xs, node, value, sizeof(value));
    given->writable = err || strcmp(value, "r");
    given_add(givens, given);
}

static void given_of_guest(struct audit_givens *givens, struct xenstore *xs, const char *dir,
                           struct audit_given *given)
{
    char path[GIVEN_PATH], **devids;
    unsigned int count = given_list(givens, xs, dir, &devids);
    uint32_t devid;

    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(devids[i], UINT32_MAX, &devid))
            continue;
        path_device_name(given->name, devid);
        snprintf(path, sizeof(path), "%.400s/%u", dir, devid);
        given_look(givens, xs, path, given);
    }
    free(devids);
}

void audit_givens_read(struct xenstore *xs, struct audit_givens *givens)
{
    char path[GIVEN_PATH], **kinds, **guests;
    struct audit_given given;

    *givens = (struct audit_givens){.err = xs ? 0 : -ENOTCONN};
    unsigned int count = xs ? given_list(givens, xs, "backend", &kinds) : 0;
    for (unsigned int i = 0; i < count; i++) {
        snprintf(given.kind, sizeof(given.kind), "%.63s", kinds[i]);
        snprintf(path, sizeof(path), "backend/%.300s", kinds[i]);
        unsigned int more = given_list(givens, xs, path, &guests);
        for (unsigned int g = 0; g < more; g++) {
            if (path_parse_id(guests[g], PATH_DOMIDS - 1, &given.domid))
                continue;
            snprintf(path, sizeof(path), "backend/%.300s/%u", kinds[i], given.domid);
            given_of_guest(givens, xs, path, &given);
        }
        free(guests);
    }
    if (count)
        free(kinds);
    if (xs && xenstore_lost(xs))
        givens->err = -ENOTCONN;
}
