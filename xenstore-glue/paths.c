// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * paths: string work only.  One backend kind at a time: a path of another does not parse.  dom0's
 * plain vbd is the kernel's; a driver domain, where no such kernel driver is, has nothing else.
 */
#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static const char *path_kind = PATH_BACKEND;

void path_serve_driver(bool is)
{
    path_kind = is ? PATH_DRIVER : PATH_BACKEND;
}

const char *path_backends(void)
{
    return path_kind;
}

const char *path_claim(void)
{
    /* Of its own folder a domain may write `data` only. */
    return strcmp(path_kind, PATH_DRIVER) ? "blkback-ephem/daemon" : "data/blkback-ephem/daemon";
}

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

/* *at from the kind to behind the domid. */
static int path_owner(const char **at, uint32_t *domid)
{
    size_t len = strlen(path_kind);
    char part[16];

    if (strncmp(*at, path_kind, len) || (*at)[len] != '/')
        return -EINVAL;
    *at += len + 1;
    return path_component(at, part) ? -EINVAL : path_parse_id(part, PATH_DOMIDS - 1, domid);
}

int path_parse_owner(const char *path, uint32_t *domid)
{
    return path_owner(&path, domid);
}

int path_parse_backend(const char *path, struct path_vbd *out)
{
    static const char home[] = "/local/domain/";
    char part[16];
    uint32_t self;

    if (!strncmp(path, home, sizeof(home) - 1)) {
        path += sizeof(home) - 1;
        if (path_component(&path, part) || path_parse_id(part, PATH_DOMIDS - 1, &self))
            return -EINVAL;
    }
    if (path_owner(&path, &out->domid))
        return -EINVAL;
    if (path_component(&path, part) || path_parse_id(part, UINT32_MAX, &out->devid))
        return -EINVAL;
    return *path || path[-1] == '/' ? -EINVAL : 0;
}

void path_backend(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, "%s/%u/%u%s%s", path_kind, id->domid, id->devid, node ? "/" : "",
             node ? node : "");
}

void path_frontend(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, "/local/domain/%u/device/vbd/%u%s%s", id->domid, id->devid,
             node ? "/" : "", node ? node : "");
}

void path_error(char out[PATH_ROOM], const struct path_vbd *id, const char *node)
{
    snprintf(out, PATH_ROOM, "error/%s/%u/%u%s%s", path_kind, id->domid, id->devid, node ? "/" : "",
             node ? node : "");
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
    else if ((major == 3 || major == 22) && minor < 128)
        path_disk_name(out, "hd", (major == 22 ? 2 : 0) + (minor >> 6), minor & 63);
    else
        snprintf(out, 32, "vbd-%u", devid);
}

/* "b12" to disk 1, part 12. */
static int path_parse_disk(const char *text, uint32_t *disk, uint32_t *part)
{
    size_t letters = 0;

    *disk = *part = 0;
    for (; text[letters] >= 'a' && text[letters] <= 'z' && letters < 4; letters++)
        *disk = *disk * 26 + (uint32_t)(text[letters] - 'a') + 1;
    if (!letters)
        return -EINVAL;
    --*disk;
    return text[letters] ? path_parse_id(text + letters, UINT8_MAX, part) : 0;
}

int path_parse_device(const char *text, uint32_t *devid)
{
    uint32_t disk, part;
    char name[32];

    if (!path_parse_id(text, UINT32_MAX, devid))
        return 0;
    if (!strncmp(text, "vbd-", 4) && !path_parse_id(text + 4, UINT32_MAX, devid))
        disk = 0;
    else if (!strncmp(text, "xvd", 3) && !path_parse_disk(text + 3, &disk, &part))
        *devid = disk < 16 && part < 16 ? 202u << 8 | disk << 4 | part
                                        : 1u << 28 | disk << 8 | part;
    else if (!strncmp(text, "sd", 2) && !path_parse_disk(text + 2, &disk, &part))
        *devid = 8u << 8 | disk << 4 | part;
    else if (!strncmp(text, "hd", 2) && !path_parse_disk(text + 2, &disk, &part))
        *devid = (disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | part;
    else
        return -EINVAL;
    /* Out of range or oddly written: then that number has another name. */
    path_device_name(name, *devid);
    return strcmp(name, text) ? -EINVAL : 0;
}
