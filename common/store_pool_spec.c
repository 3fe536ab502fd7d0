// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store_pool_spec: a pool as the operator writes it, taken apart.  Text to struct, nothing is opened:
 * who only reads the operator's files needs no library that looks into devices.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "util.h"

#define POOL_MOST ((uint64_t)1 << 44) /* bytes of memory; an overlay has no more */

static int pool_parse_dir(const char *path, struct store_pool_spec *out, char text[STORE_TEXT])
{
    out->kind = WIRE_POOL_DIR;
    if (path[0] != '/')
        return store_fail(text, -EINVAL, "pool dir:" PATH_SHOWN ": write dir:/PATH", path);
    if (copy_string(out->path, sizeof(out->path), path))
        return store_fail(text, -EINVAL, "pool dir:" PATH_SHOWN "...: path too long", path);
    return 0;
}

static int pool_parse_block(const char *spec, struct store_pool_spec *out, char text[STORE_TEXT])
{
    char *at, *flag;

    out->kind = WIRE_POOL_BLOCK;
    if (copy_string(out->path, sizeof(out->path), spec))
        return store_fail(text, -EINVAL, "pool block:" PATH_SHOWN "...: path too long", spec);
    at = out->path;
    strsep(&at, ",");
    while ((flag = strsep(&at, ","))) {
        if (!strcmp(flag, "shared") && out->kind == WIRE_POOL_BLOCK)
            out->kind = WIRE_POOL_SHARED;
        else if (!strcmp(flag, "force") && !out->force)
            out->force = true;
        else
            return store_fail(text, -EINVAL,
                              "pool block:" PATH_SHOWN ": '%.20s': write "
                              "block:/DEVICE[,shared][,force]",
                              out->path, flag);
    }
    if (out->path[0] != '/')
        return store_fail(text, -EINVAL,
                          "pool block:" PATH_SHOWN ": not an absolute path: write "
                          "block:/DEVICE[,shared][,force]",
                          out->path);
    return 0;
}

static int pool_parse_ram(const char *spec, struct store_pool_spec *out, char text[STORE_TEXT])
{
    char size[32];
    const char *comma = strchrnul(spec, ',');

    out->kind = WIRE_POOL_RAM;
    snprintf(size, sizeof(size), "%.*s", (int)min_u64((uint64_t)(comma - spec), sizeof(size)),
             spec);
    out->lz4 = !strcmp(comma, ",lz4");
    if ((*comma && !out->lz4) || parse_size(size, &out->bytes))
        return store_fail(text, -EINVAL, "pool ram:%.40s: write ram:SIZE[,lz4], such as ram:2G",
                          spec);
    if (out->bytes < STORE_POOL_LEAST || out->bytes > POOL_MOST)
        return store_fail(text, -EINVAL, "pool ram:%.40s: write a size from 8M to 16T", spec);
    return 0;
}

int store_parse_pool(const char *spec, struct store_pool_spec *out, char text[STORE_TEXT])
{
    memset(out, 0, sizeof(*out));
    if (!strncmp(spec, "dir:", 4))
        return pool_parse_dir(spec + 4, out, text);
    if (!strncmp(spec, "block:", 6))
        return pool_parse_block(spec + 6, out, text);
    if (!strncmp(spec, "ram:", 4))
        return pool_parse_ram(spec + 4, out, text);
    return store_fail(text, -EINVAL,
                      "pool " PATH_SHOWN ": write dir:/PATH, block:/DEVICE[,shared][,force] or "
                      "ram:SIZE[,lz4]",
                      spec);
}
