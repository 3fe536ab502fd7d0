// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * driver: a driver domain's names are its own: what dom0 calls /dev/vg/root is a device here that init gave a
 * name in DRIVER_BASES.  Everything else of this domain, its pool first, is no guest's to read.
 *
 * The nodes by which a stub domain is known (stubdom.h) are not ours to read, and equal params prove nothing: many
 * guests have one base, and two that were taken for one would share a key.  So dom0 has to say it, in nodes that
 * neither guests nor we can write; where it says anything at all (`ephemctl stubdom pair`), who is not named gets no disk.
 */
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "paths.h"
#include "vbd.h"

#define DRIVER_WATCHES 80u

int driver_check_base(const struct store_spec *spec, char text[STORE_TEXT])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t len = strlen(DRIVER_BASES);
    const char *name = spec->path + len;

    if (spec->blank)
        return 0;
    if (!strncmp(spec->path, DRIVER_BASES, len) && name[0] && name[0] != '.' &&
        !name[strspn(name, letters)])
        return 0;
    return store_fail(text, -EINVAL,
                      PATH_SHOWN ": not a base of this storage domain: write target=" DRIVER_BASES
                                 "NAME, or blank:SIZE",
                      spec->path);
}

int driver_resolve(struct xenstore *xs, uint32_t domid, uint32_t *guest, char text[WIRE_TEXT])
{
    char path[PATH_ROOM], value[16];
    bool ours;

    *guest = domid;
    int err = xenstore_read(xs, PATH_PAIRS, value, sizeof(value));
    if (err == -ENOENT)
        return 0;
    snprintf(path, sizeof(path), PATH_PAIRS "/%u", domid);
    if (!err)
        err = xenstore_read(xs, path, value, sizeof(value));
    if (!err)
        err = xenstore_is_ours(xs, path, &ours);
    if (err)
        return err == -ENOENT ? -EAGAIN : err;
    if (ours && !path_parse_id(value, PATH_DOMIDS - 1, guest) && *guest)
        return 0;
    snprintf(text, WIRE_TEXT, "what dom0 says of domain %u (" PATH_PAIRS ") names no guest", domid);
    return -EINVAL;
}

bool driver_may_watch(const struct glue *glue)
{
    uint32_t watched = 0;

    if (!glue->policy->driver)
        return true;
    list_for_each(it, &glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);

        watched += vbd->watched;
    }
    return watched < DRIVER_WATCHES;
}
