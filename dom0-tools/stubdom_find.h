/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_find: the storage domains of this host, for `ephemctl stubdom`: what dom0 and Xen say of them.
 */
#ifndef EPHEM_STUBDOM_FIND_H
#define EPHEM_STUBDOM_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "stubdom_bases.h"
#include "xs.h"

#define STUB_DIR  "/run/blkback-ephem/stubdom" /* or EPHEM_STUBDOM_DIR: a NAME.cfg for each */
#define STUB_PATH 400

struct stub_domain {
    uint32_t domid;
    char shape[16];
    bool serving;
    unsigned int guests, disks;
};

/* Where NAME's configuration is. */
void stub_path(const char *name, char path[STUB_PATH]);

/* The domain of that name.  0; -ENOENT; else errno. */
int stub_domid(struct xenstore *xs, const char *name, uint32_t *domid);

/* What that domain has; of what it can write itself only its own counts are believed.  0 or negative errno. */
int stub_find(struct xenstore *xs, uint32_t domid, struct stub_domain *out);

/* Runs xl with two or three words behind it.  0, or -EIO when it cannot be started or ends badly. */
int stub_xl(const char *verb, const char *option, const char *word);

/* The same for the storage domain NAME of this host, with the files behind its devices. */
int stub_bases_read(struct stub_bases *out, const char *name, char why[STUB_WHY]);

/* The name of the base that this path is, links followed; NULL: none.  For struct convert_storage. */
const char *stub_bases_find(const void *bases, const char *path);

#endif
