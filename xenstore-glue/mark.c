// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mark: lists one domain's backend directories and marks the vbds that stand there and are ours.
 */
#include "mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "kin.h"
#include "paths.h"
#include "vbd.h"

static bool mark_is_ours(struct glue *glue, const struct path_vbd *id)
{
    static const char ending[] = "/block-ephem";
    char path[PATH_ROOM], script[XENSTORE_VALUE];

    if (glue->policy->driver)
        return true; /* nobody else serves anything in our own domain */
    path_backend(path, id, "script");
    if (xenstore_read(glue->xs, path, script, sizeof(script)))
        return false;
    size_t len = strlen(script);
    return len >= sizeof(ending) - 1 && !strcmp(script + len - (sizeof(ending) - 1), ending);
}

/* A new vbd needs a valid state: what cannot be stepped would come and go for ever. */
static struct vbd *mark_meet(struct glue *glue, const struct path_vbd *id)
{
    struct vbd *vbd = vbd_find(glue, id);
    char path[PATH_ROOM];
    uint64_t state = 0;

    if (vbd)
        return vbd;
    path_backend(path, id, "state");
    if (xenstore_read_u64(glue->xs, path, XENBUS_RECONFIGURED, &state) || !state)
        return NULL;
    return vbd_new(glue, id);
}

bool mark_domain(struct glue *glue, uint32_t domid)
{
    char path[PATH_ROOM];
    char **names;
    unsigned int count;

    list_for_each(it, &glue->vbds)
    {
        struct vbd *vbd = container_of(it, struct vbd, link);

        if (vbd->id.domid == domid)
            vbd->seen = false;
    }
    if (kin_is_reused(glue, domid))
        return !xenstore_lost(glue->xs);
    snprintf(path, sizeof(path), "%s/%u", path_backends(), domid);
    int err = xenstore_list(glue->xs, path, &names, &count);
    if (err)
        return err == -ENOENT;
    for (unsigned int i = 0; i < count; i++) {
        struct path_vbd id = {.domid = domid};

        if (path_parse_id(names[i], UINT32_MAX, &id.devid) || !mark_is_ours(glue, &id))
            continue;
        struct vbd *vbd = mark_meet(glue, &id);
        if (!vbd)
            continue;
        vbd->seen = true;
        vbd_watch(vbd, true);
    }
    free(names);
    return !xenstore_lost(glue->xs);
}

bool mark_is_wanted(struct glue *glue, uint32_t domid)
{
    char path[PATH_ROOM];
    char **names;
    unsigned int count;
    bool wanted = false;

    snprintf(path, sizeof(path), "%s/%u", path_backends(), domid);
    int err = xenstore_list(glue->xs, path, &names, &count);
    if (err)
        return err != -ENOENT;
    for (unsigned int i = 0; i < count && !wanted; i++) {
        struct path_vbd id = {.domid = domid};
        uint64_t online = 1;

        if (path_parse_id(names[i], UINT32_MAX, &id.devid))
            continue;
        path_backend(path, &id, "online");
        wanted = xenstore_read_u64(glue->xs, path, 1, &online) != -ENOENT && online;
    }
    free(names);
    return wanted || xenstore_lost(glue->xs);
}

bool mark_find_stranger(struct glue *glue, uint32_t domid, uint32_t *devid)
{
    char path[PATH_ROOM];
    char **names;
    unsigned int count;
    bool found = false;

    snprintf(path, sizeof(path), "%s/%u", path_backends(), domid);
    if (xenstore_list(glue->xs, path, &names, &count))
        return false;
    for (unsigned int i = 0; i < count && !found; i++) {
        struct path_vbd id = {.domid = domid};

        found = !path_parse_id(names[i], UINT32_MAX, &id.devid) && !mark_is_ours(glue, &id);
        *devid = id.devid;
    }
    free(names);
    return found;
}
