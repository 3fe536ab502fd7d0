// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * frontend: the folder is the guest's to write, and libxl, which knows nothing of disks that `ephemctl attach` gave,
 * may put its own disk there.  What the folder names is compared as a whole and never used as a path.
 */
#include "frontend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void frontend_backend(const struct xenstore *xs, const struct path_vbd *id,
                      char out[FRONTEND_BACKEND])
{
    char relative[PATH_ROOM];

    path_backend(relative, id, NULL);
    snprintf(out, FRONTEND_BACKEND, "/local/domain/%u/%s", xenstore_self(xs), relative);
}

int frontend_look(struct xenstore *xs, const struct path_vbd *id)
{
    char path[PATH_ROOM], wanted[FRONTEND_BACKEND], value[FRONTEND_BACKEND];

    frontend_backend(xs, id, wanted);
    path_frontend(path, id, "backend");
    int err = xenstore_read(xs, path, value, sizeof(value));
    if (err == -E2BIG || err == -EINVAL || (!err && strcmp(value, wanted)))
        return -EEXIST;
    return err;
}

bool frontend_is_libxls(struct xenstore *xs, const struct path_vbd *id)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof(path), "/libxl/%u/device/vbd/%u", id->domid, id->devid);
    return xenstore_is_there(xs, path);
}

int frontend_erase(struct xenstore *xs, const struct path_vbd *id)
{
    char path[PATH_ROOM];

    int err = frontend_look(xs, id);
    if (err)
        return err == -ENOENT || err == -EEXIST ? 0 : err;
    if (frontend_is_libxls(xs, id))
        return 0;
    path_frontend(path, id, NULL);
    return xenstore_remove(xs, path);
}
