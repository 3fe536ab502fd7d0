/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume_state: what a volume is made of, private to volume.c (the object) and volume_io.c (the
 * steps of a request).
 */
#ifndef EPHEM_VOLUME_STATE_H
#define EPHEM_VOLUME_STATE_H

#include <pthread.h>
#include <sys/stat.h>
#include "volume.h"

struct volume {
    struct volume_config config;
    struct pool *pool;
    struct stat base_was;
    off_t base_size;        /* of a device too */
    uint64_t base_sequence; /* a device's; 0 where the kernel does not number them */
    _Atomic bool base_changed;
    pthread_mutex_t lock;
    struct overlay *overlay; /* this and below: under lock */
    struct volume_stats stats;
};

/* Gives back slots that nothing reads any more.  Called without the lock. */
void volume_reap(struct volume *volume);

#endif
