// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_bases: names are on the kernel's command line, with devices there; paths are in the disk lines.
 *
 * Deliberately absent: bases that another domain has (stubdom create --backend).  Their paths mean nothing here.
 */
#include "stubdom_bases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xlcfg.h"
#include "xldisk.h"
#include "util.h"

#define BASES_LINE "\ncmdline = \""
#define BASES_WORD "ephem.base."

static int bases_bad(char why[STUB_WHY], const char *what)
{
    snprintf(why, STUB_WHY, "%s", what);
    return -EINVAL;
}

/* One word of the command line: "ephem.base.NAME=DEVICE". */
static int bases_word(const struct xlcfg *cfg, const char *text, const char *word,
                      struct stub_bases *out, char why[STUB_WHY])
{
    const char *name = word + strlen(BASES_WORD), *device = strchr(name, '=');
    struct xldisk disk;

    if (!device || out->count == STUB_BASES || (size_t)(device - name) >= sizeof(out->bases->name))
        return bases_bad(why, "its command line is not what 'stubdom create' writes");
    for (size_t i = 0; i < cfg->count; i++) {
        if (xldisk_parse(&disk, text + cfg->disks[i].at, cfg->disks[i].length, why))
            return -EINVAL;
        if (strcmp(disk.vdev, device + 1))
            continue;
        if (disk.backend[0])
            return bases_bad(why, "its bases are in another domain: write the disk lines yourself");
        snprintf(out->bases[out->count].name, sizeof(out->bases->name), "%.*s",
                 (int)(device - name), name);
        return copy_string(out->bases[out->count++].path, STUB_BASE_PATH, disk.target)
                   ? bases_bad(why, "the path of a base is too long")
                   : 0;
    }
    return bases_bad(why, "a base on its command line has no disk");
}

int stub_bases_parse(struct stub_bases *out, const char *text, size_t length, char why[STUB_WHY])
{
    struct xlcfg *cfg = malloc(sizeof(*cfg));
    const char *line = strstr(text, BASES_LINE);
    char words[4096] = "", *at = words, *word;
    int err = 0;

    memset(out, 0, sizeof(*out));
    if (!cfg || !line || xlcfg_parse(cfg, text, length))
        err = bases_bad(why, cfg ? "is not what 'stubdom create' writes" : "no memory");
    if (!err) {
        line += strlen(BASES_LINE);
        snprintf(words, sizeof(words), "%.*s", (int)strcspn(line, "\"\n"), line);
    }
    while (!err && (word = strsep(&at, " ")))
        if (!strncmp(word, BASES_WORD, strlen(BASES_WORD)))
            err = bases_word(cfg, text, word, out, why);
    free(cfg);
    return err;
}
