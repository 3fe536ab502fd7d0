/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * takeover: workers that an earlier daemon left serving.  Each is asked to say again what it was
 * told; from that, and from nothing else, its life and vbds are rebuilt, and the first scan
 * compares them with xenstore and winds up what is no longer wanted.
 */
#ifndef EPHEM_TAKEOVER_H
#define EPHEM_TAKEOVER_H

#include "glue.h"
#include "life.h"

/*
 * Connects to every worker that listens in <run-dir>/workers; answers come through the loop.  A
 * worker that cannot be reached now is tried again and again, and its guest left alone meanwhile.
 * 0, or negative errno when the workers cannot even be counted: then nothing may be served.
 */
int takeover_start(struct glue *glue);

/* The connection to a worker in LIFE_RESUMING broke. */
void takeover_hung_up(struct life *life, int error);

/* Forgets what a worker in LIFE_RESUMING has said so far. */
void takeover_reset(struct life *life);

/* A message of a worker in LIFE_RESUMING. */
void takeover_message(struct life *life, const struct wire_msg *msg);

#endif
