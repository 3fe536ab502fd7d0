/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extents_device: one block device, who uses it, and what of it is to be discarded.  Private to
 * extents*.c.
 */
#ifndef EPHEM_EXTENTS_DEVICE_H
#define EPHEM_EXTENTS_DEVICE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "extent_map.h"
#include "extents_record.h"
#include "glue.h"
#include "life.h"
#include "reclaim.h"

struct extents {
    struct glue *glue;
    struct list devices;
    int lock;     /* file that processes which discard keep open and locked */
    bool started; /* nothing is discarded or handed out before */
    struct loop_timer timer;
    unsigned int tries; /* to get the lock */
};

struct extents_device {
    struct list link;
    struct extents *extents;
    struct extents_identity id;
    int fd;       /* -1: not open */
    bool claimed; /* O_EXCL; else a worker taken over has that */
    bool force;   /* opened whatever lies on it */
    bool kept;    /* shared: this daemon has given of it, and keeps it to its own end */
    bool dirty;   /* exclusive: to be discarded */
    struct list uses;
    struct list ended;      /* struct extents_record, until nothing is dirty */
    struct extent_map *map; /* shared */
    struct reclaim reclaim;
    uint32_t first, n; /* shared: the run under way */
    struct loop_timer again;
    bool told;        /* that it cannot discard */
    unsigned int bad; /* attempts to open it that failed */
};

struct extents_use {
    struct list link; /* in its device's uses */
    struct extents_device *device;
    struct life *life;
    struct extent_holder *holder;  /* shared */
    struct extents_record *record; /* its file */
    unsigned int giving;           /* GIVEs that its worker has not answered */
    bool adopted;                  /* begun under an earlier daemon */
};

/* The device with this rdev, or NULL. */
struct extents_device *extents_device_find(struct extents *extents, uint64_t rdev);

/* A device not open yet, in the list.  0 or negative errno. */
int extents_device_new(struct extents *extents, const struct extents_identity *id,
                       struct extents_device **out);

/* Who it is, from `path`, which must be a block device: rdev and path.  0 or negative errno with
 * `text`. */
int extents_device_identify(const char *path, struct extents_identity *id, char text[WIRE_TEXT]);

/* Opens it, if need be, and checks that it is still the same.  As extents_device_identify();
 * -EBUSY: somebody else has it. */
int extents_device_open(struct extents_device *device, char text[WIRE_TEXT]);

/* Discards, hands out, forgets what is done: whatever can be done now.  The device may be gone
 * afterwards. */
void extents_device_run(struct extents_device *device);

/* A life's use of it; takes `record`, and on failure too.  0 or -ENOMEM. */
int extents_device_join(struct extents_device *device, struct life *life, uint64_t quota,
                        struct extents_record *record);

/* The end of a use, its process gone; or there was none: it never `began`. */
void extents_device_leave(struct extents_use *use, bool began);

/* Closes and frees; uses are dropped, records stay. */
void extents_device_free(struct extents_device *device);

/* (extents.c) Gives a worker what it was handed; n may be 0. */
void extents_give(struct extents_use *use, uint32_t n, const uint32_t *extent);

#endif
