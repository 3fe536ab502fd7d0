/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * extents: block devices as pools.  A device is one life's alone, or shared: its extents
 * (WIRE_EXTENT) are handed out to many lives.  What a life has written is discarded when the life
 * has ended and its process is gone, before anybody else gets the place.
 *
 * For each life on a device there is a record beside its other files in <run-dir>/workers, written
 * by us alone: what a worker says after a restart of the daemon decides nothing about which device is
 * discarded.  The record goes when the discard is done, so that the next daemon does it again.
 *
 * One owner: the daemon's thread.
 */
#ifndef EPHEM_EXTENTS_H
#define EPHEM_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "glue.h"
#include "life.h"
#include "wire.h"

struct extents;

/* Before takeover_start().  0 or negative errno. */
int extents_open(struct glue *glue);

/* After takeover_start(): records without a worker are dealt with; from here on devices are discarded
 * and handed out, as soon as no process of an earlier daemon discards any more. */
void extents_start(struct glue *glue);

/* Closes the devices; discards under way end, what is left is the next daemon's.  Lives have been
 * freed or are not used any more. */
void extents_close(struct glue *glue);

/*
 * Gives `life` the block device `device`: exclusive, or `shared` with at most `quota` bytes (0: no
 * bound) of it.  `force`: whatever lies on it may be overwritten.  *fd is the caller's, O_RDWR and
 * O_DIRECT, a duplicate of ours; *bytes the device's size, in whole extents when shared.  0; -EAGAIN
 * with an empty text while an earlier guest's data is being discarded or an earlier daemon's process
 * does so (glue_changed() follows); else negative errno with `text`.
 */
int extents_attach(struct glue *glue, const char *device, bool shared, uint64_t quota, bool force,
                   struct life *life, int *fd, uint64_t *bytes, char text[WIRE_TEXT]);

/* The life's process is gone: what it had is discarded; or there never was one, it has not `began`: the
 * device is left as it was.  Harmless without a device. */
void extents_detach(struct glue *glue, struct life *life, bool began);

/* A life of an earlier daemon: what its record says it has.  Before extents_start(). */
void extents_adopt(struct glue *glue, struct life *life);

/* A worker taken over has said what its pool is: killed when its record says otherwise. */
void extents_hello(struct life *life, const struct wire_pool *pool);

/* A life in LIFE_RESUMING has these: its worker is killed when it cannot. */
void extents_claim(struct life *life, const struct wire_extents *msg);

/* It will say all that again, from the start. */
void extents_reset(struct life *life);

/* It has said all. */
void extents_resumed(struct life *life);

/* EXTENTS_WANT or EXTENTS_BACK: the worker is killed when it may not say that. */
void extents_message(struct life *life, const struct wire_msg *msg);

/* (extents_status.c) An array, one object a device: spec, bytes, free, held and dirty (bytes), and
 * for each life domid, life and held.  A new reference, or NULL without memory. */
json_t *extents_status(const struct glue *glue);

#endif
