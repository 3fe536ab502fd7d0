// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * paths: string work only.  Deliberately knows nothing of other backend kinds: a path that is not
 * vbd3 does not parse.
 */
#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

int path_parse_id(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t value;

    if (text[0] == '0' && text[1])
        return -EINVAL;
    if (parse_u64(text, max, &value))
        return -EINVAL;
    *out = (uint32_t)value;
    return 0;
}

/* The component at *at into part, *at behind its slash or at the end. */
static int path_component(const char **at, char part[16])
{
    size_t len = strcspn(*at, "/");

    if (!len || len >= 16)
        return -EINVAL;
    memcpy(part, *at, len);
    part[len] = '\0';
    *at += len;
    if (**at == '/')
        (*at)++;
    return 0;
}

int path_parse_backend(const char *path, struct path_vbd *out)
{
    static const char home[] = "/local/domain/";
    static const char prefix[] = PATH_BACKEND "/";
    char part[16];
    uint32_t self;

    if (!strncmp(path, home, sizeof(home) - 1)) {
        path += sizeof(home) - 1;
        if (path_component(&path, part) || path_parse_id(part, PATH_DOMIDS - 1, &self))
            return -EINVAL;
    }
    if (strncmp(path, prefix, sizeof(prefix) - 1))
        return -EINVAL;
    path += sizeof(prefix) - 1;
    if (path_component(&path, part) || path_parse_id(part, PATH_DOMIDS - 1, &out->domid))
        return -EINVAL;
    if (path_component(&path, part) || path_parse_id(part, UINT32_MAX, &out->devid))
        return -EINVAL;
    return *path || path[-1] == '/' ? -EINVAL : 0;
}

void path_backend(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, PATH_BACKEND "/%u/%u%s%s", id->domid, id->devid, node ? "/" : "",
             node ? node : "");
}

void path_frontend(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, "/local/domain/%u/device/vbd/%u%s%s", id->domid, id->devid,
             node ? "/" : "", node ? node : "");
}

void path_error(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, "error/" PATH_BACKEND "/%u/%u%s%s", id->domid, id->devid,
             node ? "/" : "", node ? node : "");
}

void path_domain(char out[PATH_ROOM], uint32_t domid, const char *node)
{
    snprintf(out, PATH_ROOM, "/local/domain/%u%s%s", domid, node ? "/" : "", node ? node : "");
}

static void path_disk_name(char out[32], const char *kind, uint32_t disk, uint32_t part)
{
    char letters[8] = "";
    char number[12] = "";
    size_t at = sizeof(letters) - 1;

    letters[at] = '\0';
    do {
        letters[--at] = (char)('a' + disk % 26);
        disk = disk / 26;
    } while (disk-- && at);
    if (part)
        snprintf(number, sizeof(number), "%u", part);
    snprintf(out, 32, "%s%s%s", kind, letters + at, number);
}

void path_device_name(char out[32], uint32_t devid)
{
    uint32_t major = devid >> 8, minor = devid & 0xff, disk = (devid & 0xfffffff) >> 8;

    if (devid >> 28 == 1 && (disk > 15 || minor > 15))
        path_disk_name(out, "xvd", disk, minor);
    else if (major == 202)
        path_disk_name(out, "xvd", minor >> 4, minor & 15);
    else if (major == 8)
        path_disk_name(out, "sd", minor >> 4, minor & 15);
    else if ((major == 3 && minor < 128) || major == 22)
        path_disk_name(out, "hd", (major == 22 ? 2 : 0) + (minor >> 6), minor & 63);
    else
        snprintf(out, 32, "vbd-%u", devid);
}
