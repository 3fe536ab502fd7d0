// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * storage: a domain owns its backends' nodes, and can write them as it likes: what is in them proves nothing.  Its own
 * folder is dom0's.
 */
#include "storage.h"

#include <errno.h>

#include "paths.h"

int storage_is_one(struct xenstore *xs, uint32_t domid, bool *is)
{
    char path[PATH_ROOM], value[32];

    *is = false;
    if (!domid)
        return 0;
    path_domain(path, domid, STORAGE_NODE);
    int err = xenstore_read(xs, path, value, sizeof(value));
    if (err)
        return err == -ENOENT || err == -E2BIG || err == -EINVAL ? 0 : err;
    return xenstore_is_ours(xs, path, is);
}
