/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backing: the storage below a pool, in extents of 4 MiB: a file, a device, places of a shared one.
 * Called by one thread at a time (the keeper, or whoever opens and closes) but for `left`.
 */
#ifndef EPHEM_BACKING_H
#define EPHEM_BACKING_H

#include <stdbool.h>
#include <stdint.h>

#define BACKING_EXTENT ((uint64_t)4 << 20)

struct backing;
struct pool_config;
struct pool_extents;

struct backing_ops {
    /*
     * Storage for all of an extent at *home (bytes in fd).  `again`: the extent has this home, but
     * was punched.  0; -ENOSPC; -EAGAIN: it may be there soon, ask again when told; other errno.
     */
    int (*grow)(struct backing *backing, uint32_t extent, bool again, uint64_t *home);
    /* Gives storage back; failure only costs space. */
    void (*punch)(struct backing *backing, uint64_t offset, uint64_t length);
    /* The extent of this home, punched before, has no home any more. */
    void (*release)(struct backing *backing, uint64_t home);
    /* Bytes that could still be had, UINT64_MAX: unknown.  Any thread. */
    uint64_t (*left)(struct backing *backing);
    void (*close)(struct backing *backing);
};

struct backing {
    const struct backing_ops *ops;
    int fd;
};

/* By the configuration's kind; takes its fd over on success.  0 or -ENOMEM. */
int backing_dir_open(struct backing **out, int fd);
int backing_block_open(struct backing **out, int fd, uint64_t bytes);
/* `extents` stays the backing's. */
int backing_shared_open(struct backing **out, int fd, struct pool_extents **extents);

#endif
