/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * convert: the text of an xl configuration to that of its ephemeral twin.  Pure.
 */
#ifndef EPHEM_CONVERT_H
#define EPHEM_CONVERT_H

#include <stddef.h>

#include "xlcfg.h"
#include "xldisk.h"

/* What became of a disk. */
struct convert_disk {
    unsigned int line;
    enum xldisk_verdict verdict;
    char vdev[XLDISK_WORD];
    char target[XLDISK_TEXT]; /* as it was */
    char base[XLDISK_WORD];   /* in the storage domain */
};

/* A storage domain that is to have the disks, instead of dom0. */
struct convert_storage {
    const char *domain;
    /* The name there of the base that `target` is here; NULL: it is none. */
    const char *(*base)(const void *arg, const char *target);
    const void *arg;
};

struct convert {
    char *text; /* the twin's; free() */
    size_t length;
    struct convert_disk *disks; /* free() */
    size_t count, turned;
    struct xlcfg_note notes[XLCFG_NOTES];
    size_t noted;
    unsigned int line; /* after an error: where, or 0 */
    char why[XLCFG_WHY];
};

/*
 * Every writable disk is turned, all else stays byte for byte, and the result has been read again by
 * the same parser.  `storage` is NULL, or where they are to be.  0; -EINVAL with line and why, which may hold bytes of the text; -ENOMEM.
 * convert_free() in any case.
 */
int convert_text(struct convert *out, const char *text, size_t length,
                 const struct convert_storage *storage);
void convert_free(struct convert *out);

#endif
