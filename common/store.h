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

#define STORE_TEXT 256                 /* room for an error text, as WIRE_TEXT */
#define STORE_MOST ((uint64_t)1 << 44) /* bytes a volume; an overlay has no more blocks */

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

/*
 * `dir:PATH`: an unlinked file for one guest, O_RDWR|O_DIRECT|O_CLOEXEC.  The fd (caller's) or
 * negative errno with `text`.
 */
int store_open_pool(const char *spec, char text[STORE_TEXT]);

#endif
