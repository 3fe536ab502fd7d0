// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * convert: copies the text and exchanges what stands between some quotes.  A twin needs no quoting of its
 * own: it has no byte that the old string had not, but for words of ours.
 */
#include "convert.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONVERT_LONG "its path is too long: shorten it"

static int convert_bad(struct convert *out, unsigned int line, const char *why)
{
    out->line = line;
    snprintf(out->why, sizeof(out->why), "%s", why);
    return -EINVAL;
}

static void convert_put(struct convert *out, const char *from, size_t length)
{
    memcpy(out->text + out->length, from, length);
    out->length += length;
}

/* A twin in that storage domain, as it is written here. */
static bool convert_is_there(const struct xldisk *disk, const struct convert_storage *storage)
{
    return !strcmp(disk->backend, storage->domain) && !disk->backendtype[0] && !disk->script[0] &&
           !disk->odd[0] && !disk->specification[0] && !strcmp(disk->format, "raw") &&
           (!strncmp(disk->target, XLDISK_BASES, strlen(XLDISK_BASES)) ||
            !strncmp(disk->target, "blank:", 6));
}

static int convert_judge(const struct xldisk *disk, const struct convert_storage *storage,
                         enum xldisk_verdict *verdict, char why[XLDISK_WHY])
{
    *verdict = XLDISK_OURS;
    if (storage && convert_is_there(disk, storage))
        return 0;
    int err = xldisk_judge(disk, verdict, why);
    if (err || !storage || *verdict != XLDISK_OURS)
        return err;
    snprintf(why, XLDISK_WHY, "%.20s: is dom0's already: convert what it was made from",
             disk->vdev);
    return -EINVAL;
}

/* The new text of a disk to be turned. */
static int convert_twin(struct convert *out, const struct xldisk *disk,
                        const struct convert_storage *storage, struct convert_disk *row,
                        char twin[XLDISK_TEXT])
{
    char why[XLCFG_WHY];

    if (!storage)
        return xldisk_twin(disk, twin) ? convert_bad(out, row->line, CONVERT_LONG) : 0;
    const char *base = storage->base(storage->arg, disk->target);
    if (!base) {
        snprintf(why, sizeof(why),
                 "%.20s: %.70s is no base of %.30s: make that with --base NAME=DEVICE for it",
                 disk->vdev, disk->target, storage->domain);
        return convert_bad(out, row->line, why);
    }
    snprintf(row->base, sizeof(row->base), "%s", base);
    return xldisk_twin_in(disk, storage->domain, base, twin)
               ? convert_bad(out, row->line, CONVERT_LONG)
               : 0;
}

/* One disk into the twin. */
static int convert_disk(struct convert *out, const struct xlcfg_disk *at, const char *text,
                        const struct convert_storage *storage)
{
    struct convert_disk *row = &out->disks[out->count++];
    char why[XLDISK_WHY], twin[XLDISK_TEXT];
    struct xldisk disk;

    row->line = at->line;
    if (xldisk_parse(&disk, text + at->at, at->length, why) ||
        convert_judge(&disk, storage, &row->verdict, why))
        return convert_bad(out, at->line, why);
    snprintf(row->vdev, sizeof(row->vdev), "%s", disk.vdev);
    snprintf(row->target, sizeof(row->target), "%s", disk.target);
    if (row->verdict != XLDISK_TURN) {
        convert_put(out, text + at->at, at->length);
        return 0;
    }
    int err = convert_twin(out, &disk, storage, row, twin);
    if (err)
        return err;
    convert_put(out, twin, strlen(twin));
    out->turned++;
    return 0;
}

/* Of a disk that was turned, whether its twin has what it had. */
static bool convert_is_twin(const struct convert_disk *row, const char *target, bool storage)
{
    const char *prefix = storage ? XLDISK_BASES : "cow:";

    return !strncmp(target, prefix, strlen(prefix)) &&
           !strcmp(target + strlen(prefix), storage ? row->base : row->target);
}

/* The twin as xl would see it: the same disks, of which those that were turned are ours. */
static int convert_check(struct convert *out, struct xlcfg *cfg,
                         const struct convert_storage *storage)
{
    char why[XLDISK_WHY];

    if (xlcfg_parse(cfg, out->text, out->length) || cfg->count != out->count)
        return convert_bad(out, cfg->line, "the result cannot be read again: please report this");
    for (size_t i = 0; i < cfg->count; i++) {
        const struct convert_disk *row = &out->disks[i];
        enum xldisk_verdict verdict;
        struct xldisk disk;

        if (xldisk_parse(&disk, out->text + cfg->disks[i].at, cfg->disks[i].length, why) ||
            convert_judge(&disk, storage, &verdict, why) || strcmp(disk.vdev, row->vdev))
            return convert_bad(out, row->line, "its twin cannot be read: please report this");
        if (row->verdict == XLDISK_TURN
                ? verdict != XLDISK_OURS || !convert_is_twin(row, disk.target, storage != NULL)
                : verdict != row->verdict || strcmp(disk.target, row->target))
            return convert_bad(out, row->line, "its twin is another disk: please report this");
    }
    return 0;
}

static int convert_all(struct convert *out, struct xlcfg *cfg, const char *text, size_t length,
                       const struct convert_storage *storage)
{
    size_t done = 0;

    if (xlcfg_parse(cfg, text, length))
        return convert_bad(out, cfg->line, cfg->why);
    if (!cfg->count)
        return convert_bad(out, 0, "has no disks: there is nothing to convert");
    if (storage && cfg->hvm && !cfg->stub)
        return convert_bad(out, 0,
                           "an HVM guest whose device model is in dom0 cannot boot from a storage "
                           "domain: device_model_stubdomain_override=1");
    memcpy(out->notes, cfg->notes, sizeof(out->notes));
    out->noted = cfg->noted;
    out->disks = calloc(cfg->count, sizeof(*out->disks));
    out->text = malloc(length + cfg->count * XLDISK_TEXT);
    if (!out->disks || !out->text)
        return -ENOMEM;
    for (size_t i = 0; i < cfg->count; i++) {
        const struct xlcfg_disk *at = &cfg->disks[i];

        convert_put(out, text + done, at->at - done);
        int err = convert_disk(out, at, text, storage);
        if (err)
            return err;
        done = at->at + at->length;
    }
    convert_put(out, text + done, length - done);
    return convert_check(out, cfg, storage);
}

int convert_text(struct convert *out, const char *text, size_t length,
                 const struct convert_storage *storage)
{
    struct xlcfg *cfg = malloc(sizeof(*cfg));

    memset(out, 0, sizeof(*out));
    int err = cfg ? convert_all(out, cfg, text, length, storage) : -ENOMEM;
    free(cfg);
    return err;
}

void convert_free(struct convert *out)
{
    free(out->text);
    free(out->disks);
    out->text = NULL;
    out->disks = NULL;
}
