/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * load: callers of all doors of one volume at work against the truth: at random, each in a thread of
 * its own with several requests in flight; or step by step as a story tells.
 */
#ifndef UNIT_LOAD_H
#define UNIT_LOAD_H

#include "doors.h"

/* How much a test does: `usual`, a part of it where threads are slow, more with LONG=1. */
bool load_is_long(void);
uint32_t load_size(uint32_t usual);

struct load {
    struct doors *doors;
    uint64_t seed;
    uint32_t rounds; /* of each caller */
    bool faults;     /* now and then an operation on the disks fails */
    bool leaves;     /* now and then an NBD client goes and comes back */
    bool expected;   /* requests may be answered with an error */
    bool grows;      /* there will be more sectors */
    bool torn; /* discards may have been carried out in part then: their contract (overlay.h) */
    _Atomic uint32_t open; /* rounds of each that may begin already; 0: all */
    /* Counted. */
    _Atomic uint32_t wrong, refused, lost, done, running;
    _Atomic uint32_t early; /* refused because they reach where nothing was known to be yet */
    pthread_t threads[DOORS_CALLERS];
};

/* Until everybody has done his rounds.  Between start and join things may be done to the volume. */
void load_start(struct load *load);
void load_join(struct load *load);

struct step {
    uint32_t caller;
    enum ask_op op;
    uint32_t first, count;
    uint32_t choice; /* how it is asked, and what is written */
};

/* Together, by this thread; until all have ended. */
void load_steps(struct load *load, const struct step *steps, uint32_t n);

/* Everything is read through one door, or through each. */
void load_check(struct doors *doors, uint32_t caller);
void load_check_all(struct doors *doors);

#endif
