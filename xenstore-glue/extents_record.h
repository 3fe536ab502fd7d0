/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extents_record: a file that says which device a life has, so that the next daemon knows it without
 * asking anybody.  Private to extents*.c.
 */
#ifndef EPHEM_EXTENTS_RECORD_H
#define EPHEM_EXTENTS_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "life.h"
#include "util.h"

/* A device, told from another that has its name or number by now. */
struct extents_identity {
    bool shared;
    uint64_t rdev, seq; /* seq: the kernel's number of this very disk (diskseq), 0 if it has none */
    uint64_t bytes;
    char path[PATH_MAX];
};

struct extents_record {
    struct list link;
    char path[LIFE_PATH];
};

/* Writes a life's record.  0 and the record, or negative errno. */
int extents_record_write(const struct life *life, const struct extents_identity *id, uint64_t quota,
                         struct extents_record **out);

/* Reads one.  0; -ENOENT; -EINVAL: it is none; -ESTALE: of another boot; else negative errno. */
int extents_record_read(const char *path, struct extents_identity *id, uint64_t *quota);

/* A record whose file stands at `path`, or NULL without memory. */
struct extents_record *extents_record_at(const char *path);

/* Frees it, and removes the file if it is `done` with. */
void extents_record_free(struct extents_record *record, bool done);

#endif
