/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store: what an operator names, a base or a pool, checked and opened.  Shared by the daemon
 * (which opens for its workers) and by `blkback-ephem serve` (which opens for itself).
 * Every failure is one line for a human, in printable ASCII: what, where, what to do.
 */
#ifndef EPHEM_STORE_H
#define EPHEM_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <limits.h>

#include "wire.h"

#define STORE_TEXT 256                 /* room for an error text, as WIRE_TEXT */
#define STORE_MOST ((uint64_t)1 << 44) /* bytes a volume; an overlay has no more blocks */
#define PATH_SHOWN "%.120s"            /* with what stands around it, fits STORE_TEXT */

/* Fills `text`, in printable ASCII, and returns err. */
int store_fail(char text[STORE_TEXT], int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A volume as the operator writes it: `[cow:]PATH[,size=SIZE]` or `blank:SIZE`. */
struct store_spec {
    bool blank;
    uint64_t size; /* bytes, multiple of 512; 0: as large as the base */
    char path[PATH_MAX];
};

/* 0, or -EINVAL with `text` filled.  Sizes are at most 16T (2^44). */
int store_parse_volume(const char *spec, struct store_spec *out, char text[STORE_TEXT]);

/* A base, open.  Owner of fd: the caller. */
struct store_base {
    int fd;              /* O_RDONLY|O_DIRECT|O_CLOEXEC, a shared lock held; -1 when blank */
    uint64_t base_bytes; /* multiple of 512; 0 when blank */
    uint64_t bytes;      /* what the guest will see */
    bool grows;          /* no size was named: it follows the base's */
};

/*
 * Opens what `spec` names.  Refuses: missing, unreadable, a directory or other odd file, empty, not
 * a multiple of 512, above 16T, no O_DIRECT, and what somebody may write: a file that is open for
 * writing (a read lease is refused), a device that is held exclusively (O_EXCL is refused) by
 * anything but mounts of a read-only file system.  Where a lease cannot be had at all (we are not
 * the owner, or the file system has none), a file with a write bit is refused too, except for root
 * on a file system without leases.  0 or negative errno with `text`.  The caller must ignore SIGIO:
 * whoever opens the file for writing in the very moment of the lease has it sent.
 */
int store_open_base(const struct store_spec *spec, struct store_base *out, char text[STORE_TEXT]);

/* A pool as the operator writes it: `dir:PATH`, `block:DEV[,shared][,force]` or `ram:SIZE[,lz4]`. */
struct store_pool_spec {
    enum wire_pool_kind kind;
    bool force;          /* BLOCK, SHARED: whatever lies on the device may be overwritten */
    bool lz4;            /* RAM */
    uint64_t bytes;      /* RAM: its size; else 0 */
    char path[PATH_MAX]; /* DIR, BLOCK, SHARED */
};

/* 0, or -EINVAL with `text` filled.  Nothing is opened. */
int store_parse_pool(const char *spec, struct store_pool_spec *out, char text[STORE_TEXT]);

#define STORE_POOL_LEAST ((uint64_t)8 << 20) /* bytes; below that a pool is no use */

/* What is chosen beside a pool; 0: not. */
struct store_limits {
    uint64_t ram_budget; /* bytes of memory in front of it */
    uint64_t quota;      /* bytes, the most a guest takes */
    uint64_t low_water;  /* bytes, warn when less is left */
    uint64_t iops;       /* requests a second */
    uint64_t bandwidth;  /* bytes a second */
    bool no_integrity;   /* blocks are not authenticated */
};

/*
 * Sets the one that is called `key`: "ram-budget", "quota", "low-water", "integrity", "iops",
 * "bandwidth"; in files as on command lines.  0; -ENOENT when none is; -EINVAL with the reason in `text`.
 */
int store_set_limit(struct store_limits *limits, const char *key, const char *value,
                    char text[STORE_TEXT]);

/* Whether they make sense with that pool.  0, or -EINVAL, the culprit in *key, the reason in `text`. */
int store_check_limits(const struct store_pool_spec *spec, const struct store_limits *limits,
                       const char **key, char text[STORE_TEXT]);

/* A pool, open.  Owner of fd: the caller. */
struct store_pool {
    int fd;         /* O_RDWR|O_DIRECT|O_CLOEXEC; -1 for RAM */
    uint64_t bytes; /* of the device or of memory; 0 for a directory */
};

/*
 * For who opens devices himself: whether `fd`, the device of a BLOCK or SHARED pool, open for reading
 * and writing, may be one, as described below, and its size.  Sets O_DIRECT, and nothing else of the
 * file status flags.  0 or negative errno with `text`; the fd stays the caller's.
 */
int store_check_device(int fd, const struct store_pool_spec *spec, uint64_t *bytes,
                       char text[STORE_TEXT]);

/*
 * Opens what `spec` names.
 *   DIR           an unlinked file of its own at each call.
 *   BLOCK, SHARED the device, exclusively (O_EXCL): for as long as any duplicate of the fd is open
 *                 nobody else who asks for that gets it, mounts, LVM, and this very call included
 *                 (-EBUSY, with `force` too).  Refused without `force` when libblkid knows what lies
 *                 on it; and when it is below STORE_POOL_LEAST or has sectors above 4096 bytes.
 *   RAM           opens nothing.
 * 0 or negative errno with `text`.
 */
int store_open_pool(const struct store_pool_spec *spec, struct store_pool *out,
                    char text[STORE_TEXT]);

/* All of a device that was a pool, when nobody writes to it any more.  0; -EOPNOTSUPP: the device
 * cannot discard; other negative errno. */
int store_discard_pool(int fd, uint64_t bytes);

#endif
