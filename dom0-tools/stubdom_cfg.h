/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_cfg: a storage domain as the operator wishes it, and the configuration that xl makes it from.  Pure.
 */
#ifndef EPHEM_STUBDOM_CFG_H
#define EPHEM_STUBDOM_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STUB_BASES   24
#define STUB_OPTIONS 16
#define STUB_NAME    64
#define STUB_WHY     300
#define STUB_LEAST   128 /* MiB: with Debian's kernel 96 do not boot */
#define STUB_EACH    6 /* MiB more for each base beyond the second: what the disk's driver takes */
#define STUB_TEXT    32768

struct stub_base {
    char name[32];
    const char *path;
};

struct stub_wish {
    const char *name;
    const char *pool; /* a block device */
    const char *host; /* who serves the domain its own disks; NULL: dom0 */
    const char *image;
    bool per_guest, force;
    bool pairs;      /* dom0 has to say which domain is whose */
    uint64_t memory; /* MiB; 0: nobody said, see stub_check */
    struct stub_base bases[STUB_BASES];
    size_t base_count;
    const char *options[STUB_OPTIONS]; /* SECTION.KEY=VALUE */
    size_t option_count;
};

/* A name for a domain, of letters, digits and "_.-"; not digits alone, which xl takes for a number. */
bool stub_is_name(const char *name);

/* Adds "NAME=PATH".  0, or -EINVAL and `why`. */
int stub_add_base(struct stub_wish *wish, const char *text, char why[STUB_WHY]);
int stub_add_option(struct stub_wish *wish, const char *text, char why[STUB_WHY]);

/* Whether it makes sense, before anything is looked at; and its memory where nobody said.  0, or -EINVAL and `why`. */
int stub_check(struct stub_wish *wish, char why[STUB_WHY]);

/* The configuration; `wish` has been checked.  0, or -EINVAL and `why` when the command line gets too long. */
int stub_write(const struct stub_wish *wish, char out[STUB_TEXT], char why[STUB_WHY]);

#endif
