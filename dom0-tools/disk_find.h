/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk_find: the disks a domain has with anybody, for `ephemctl audit` and `scan`.  Reads xenstore and
 * changes nothing.  What cannot be read is a row in the domain's checks, AUDIT_UNKNOWN.
 */
#ifndef EPHEM_DISK_FIND_H
#define EPHEM_DISK_FIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit.h"
#include "xs.h"

#define DISK_PATH     512
#define DEVICE_REMEDY "what it writes there stays: take it away"

struct disk_path {
    uint32_t backend; /* domain */
    char kind[64];
    uint32_t devid;
    char note[160]; /* the toolstack's, which names this very backend; "": none */
};

struct disks {
    struct audit_domain *domain;
    uint32_t self; /* where we run: dom0 */
    struct disk_path paths[AUDIT_DISKS];
    size_t count;
    size_t ours;   /* for the caller */
    bool too_many; /* there are more */
};

/* Fills `disks`, all 0, with what xenstore has of `domain` (its domid, xs, checks count). */
void disks_find(struct disks *disks, struct audit_domain *domain);

/* "/local/domain/<backend>/backend/<kind>/<domid>/<devid>/<node>" */
void disk_node(const struct disk_path *at, uint32_t domid, const char *node, char out[DISK_PATH]);

/* A node of the backend; "" when it is missing. */
const char *disk_read(struct disks *disks, const struct disk_path *at, const char *node,
                      char value[XENSTORE_VALUE]);

/* Has our script, by dom0's word. */
bool disk_is_ours(struct disks *disks, const struct disk_path *at);

/* A storage domain of ours has it, by the toolstack's own note and dom0's mark. */
bool disk_is_stored(struct disks *disks, const struct disk_path *at);

/* A driver domain may list what it likes: it counts when dom0 or the guest refers to it. */
bool disk_is_referred(struct disks *disks, const struct disk_path *at);

/* A driver domain owns its backend's nodes: there only what the toolstack wrote down for itself tells. */
bool disk_is_readonly(struct disks *disks, const struct disk_path *at);

/* Without a state nobody can connect to it. */
bool disk_is_there(struct disks *disks, const struct disk_path *at);

/* Not disks, but ways for data to leave the guest. */
bool disk_kind_is_way(const char *kind);

#endif
