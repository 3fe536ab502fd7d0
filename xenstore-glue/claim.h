/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * claim: one daemon a xenstore, whatever run-dir each was given, and the mark by which a daemon
 * knows that the xenstore before it is the one it knew.  Both are one node, path_claim(), with
 * "<pid> <start of the process> <random> <since> <run-dir>"; it stays when a daemon ends, because
 * workers stay, and is taken over by the next daemon with the same run-dir.  `since` is handed on:
 * lives that began before it are not known to this xenstore, however often daemons restart.
 */
#ifndef EPHEM_CLAIM_H
#define EPHEM_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "xs.h"

#define CLAIM_TEXT 256

/*
 * Writes our claim.  0, and since which life number this xenstore knows the guests of our workers:
 * `now` if it was never met before.  -EBUSY with `text` while another daemon, or workers of another run-dir, serve this
 * host; else negative errno.
 */
int claim_take(struct xenstore *xs, const char *run_dir, uint64_t now, uint64_t *since,
               char text[CLAIM_TEXT]);

/* Our claim stands, or that cannot be found out.  False: this xenstore is another one. */
bool claim_stands(struct xenstore *xs);

#endif
