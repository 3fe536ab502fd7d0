/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_record: which domains have a pause of ours, in one small file for each below /run, so that a
 * guard that is started again neither forgets one nor gives up one that is somebody else's.
 */
#ifndef EPHEM_GUARD_RECORD_H
#define EPHEM_GUARD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_record {
    GUARD_RECORD_NONE,
    GUARD_RECORD_HELD,    /* one pause of the domain is ours */
    GUARD_RECORD_REFUSED, /* the same, and it is not meant to end */
    GUARD_RECORD_UNSURE   /* a guard ended while it took or gave up a pause */
};

/* The directory, made where it is missing, and locked: one guard a directory.  An fd, or negative
 * errno; -EBUSY when another guard has it, -EPERM when others than we may write it. */
int guard_record_open(const char *dir);

/* Replaces what is recorded of the domain; NONE removes it.  0 or negative errno. */
int guard_record_put(int dir, uint32_t domid, const char *uuid, enum guard_record what);

/* What is recorded of the domain, if it is the one of that UUID. */
enum guard_record guard_record_get(int dir, uint32_t domid, const char *uuid);

#endif
