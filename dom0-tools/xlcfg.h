/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xlcfg: a domain's configuration as xl reads it (xl.cfg(5)), as far as to know where its disks stand.
 * Pure: text in, places out.  The whole text is held to xl's grammar, since a string that ends elsewhere
 * than for xl would hide a disk.
 */
#ifndef EPHEM_XLCFG_H
#define EPHEM_XLCFG_H

#include <stdbool.h>
#include <stddef.h>

#define XLCFG_DISKS 256 /* at most; an error when there are more */
#define XLCFG_WHY   200 /* room for an error */
#define XLCFG_NOTES 16  /* more are not told of */

/* A disk: what stands between its quotes. */
struct xlcfg_disk {
    size_t at, length; /* bytes */
    unsigned int line; /* from 1 */
    char quote;
};

/* A setting by which a guest has other storage or devices than its disks. */
struct xlcfg_note {
    unsigned int line;
    const char *name, *text; /* the setting; what it means for a guest that is to leave nothing */
};

struct xlcfg {
    struct xlcfg_disk
        disks[XLCFG_DISKS]; /* in their order, of `disk = [...]` and `disk += [...]` */
    size_t count;
    struct xlcfg_note notes[XLCFG_NOTES];
    size_t noted;
    bool hvm;          /* type or builder is "hvm" */
    bool stub;         /* device_model_stubdomain_override is set */
    unsigned int line; /* after an error: where */
    char why[XLCFG_WHY];
};

/* 0, or -EINVAL with line and why: what, and what to do.  `why` may hold bytes of the text. */
int xlcfg_parse(struct xlcfg *cfg, const char *text, size_t length);

#endif
