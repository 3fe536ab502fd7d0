/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tombstone: which guests were suspended, by UUID.  A record outlives the daemon and dom0: guests are
 * saved when dom0 shuts down and restored when it has booted.  Who writes and asks is suspend's
 * business.  One thread.
 */
#ifndef EPHEM_TOMBSTONE_H
#define EPHEM_TOMBSTONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOMBSTONE_UUID 37           /* 36 characters and a NUL */
#define TOMBSTONE_MOST 4096         /* records; one more makes the oldest go */
#define TOMBSTONE_DIR  "/suspended" /* below the state-dir */

struct tombstone {
    char uuid[TOMBSTONE_UUID]; /* in lower case */
    uint32_t domid;            /* that it had */
    int64_t since;             /* seconds since 1970 */
    bool kept;                 /* in a file; else only as long as the daemon runs */
};

struct tombstones;

/* Reads the records in <state_dir>/suspended, which exists.  Files that are none are passed over.
 * 0 or negative errno; errors were said. */
int tombstones_open(const char *state_dir, struct tombstones **out);

void tombstones_close(struct tombstones *all);

/* A UUID as Xen's toolstacks write it, in either case: true and its form in lower case. */
bool tombstone_parse_uuid(const char *text, char out[TOMBSTONE_UUID]);

/* NULL: there is none for this UUID, or it is none.  Holds until something is added or removed. */
const struct tombstone *tombstones_find(const struct tombstones *all, const char *uuid);

/*
 * A record for `uuid`, at most one for each: on disk when this returns 1 or 0.
 * 1: it is new; 0: it was there; -EINVAL, -ENOMEM: not a UUID, no memory, nothing is remembered; other
 * negative errno: it holds as long as the daemon runs, but is not on disk.
 */
int tombstones_add(struct tombstones *all, const char *uuid, uint32_t domid, int64_t since);

/* 0; -ENOENT: there is none; other negative errno: its file cannot be removed, it stays. */
int tombstones_remove(struct tombstones *all, const char *uuid);

size_t tombstones_count(const struct tombstones *all);
const struct tombstone *tombstones_at(const struct tombstones *all, size_t at);

#endif
