/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refresh: volumes that grow with their bases: what workers say of that, and the operator's wish that
 * they look now.
 */
#ifndef EPHEM_REFRESH_H
#define EPHEM_REFRESH_H

#include <stdint.h>

#include <jansson.h>

#include "glue.h"
#include "life.h"

/* A worker's GREW: the vbd has the new size from now on and says so to its frontend.  What cannot be
 * kills the worker. */
void refresh_grew(struct life *life, uint32_t volume, uint64_t bytes);

/* Lets a worker look at its bases; `done` after it has told what grew.  As worker_call(). */
int refresh_ask(struct life *life, worker_done *done, void *arg);

/* {"ok":true,"grown":[...]}: what grew after glue->grown was `since`; only `domid`'s unless NULL. */
json_t *refresh_answer(struct glue *glue, const uint32_t *domid, uint64_t since);

#endif
