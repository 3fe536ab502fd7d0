// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlap: by numbers, so that another name of the same device does not matter.  Bases are found by
 * the names the vbds have them by: a worker that was taken over has only told that.
 */
#include "overlap.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "store.h"
#include "vbd.h"

/* The disk that the device is a partition of; itself when it is none. */
static uint64_t overlap_disk(uint64_t rdev)
{
    unsigned int maj = major(rdev), min = minor(rdev), partition;
    char path[80];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", maj, min);
    FILE *file = fopen(path, "re");
    if (!file)
        return rdev;
    bool is = fscanf(file, "%u", &partition) == 1;
    fclose(file);
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", maj, min);
    file = is ? fopen(path, "re") : NULL;
    if (!file)
        return rdev;
    if (fscanf(file, "%u:%u", &maj, &min) == 2)
        rdev = makedev(maj, min);
    fclose(file);
    return rdev;
}

bool overlap_is_base(struct glue *glue, uint64_t rdev)
{
    list_for_each(it, &glue->vbds)
    {
        const struct vbd *vbd = container_of(it, struct vbd, link);
        const char *target = vbd_target(vbd);
        struct store_spec spec;
        char text[STORE_TEXT];
        struct stat st;

        if (!target[0] || vbd->failure[0] || store_parse_volume(target, &spec, text) ||
            spec.blank || stat(spec.path, &st) || !S_ISBLK(st.st_mode))
            continue;
        if (st.st_rdev == rdev || overlap_disk(st.st_rdev) == rdev ||
            overlap_disk(rdev) == st.st_rdev)
            return true;
    }
    return false;
}
