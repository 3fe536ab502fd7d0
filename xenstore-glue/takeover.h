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

/* Connects to every worker that listens in <run-dir>/workers; answers come through the loop. */
void takeover_start(struct glue *glue);

/* A message of a worker in LIFE_RESUMING. */
void takeover_message(struct life *life, const struct wire_msg *msg);

#endif
