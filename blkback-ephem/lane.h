/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane: what one I/O thread needs to move blocks of any volume: its cipher context, its I/O
 * operations, and its queue of writes held for want of space.  Used by volume.c only, on the lane's
 * thread only, but for lane_open and lane_close.
 */
#ifndef EPHEM_LANE_H
#define EPHEM_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "volume.h"

struct arena;
struct key;

/* The bytes that it locks, besides its thread's, for a pool that packs, and for another. */
size_t lane_locks(bool packed);

/* Before the thread starts.  The key is read during the call only.  0 or negative errno. */
int lane_open(struct lane **out, struct iothread *thread, struct pool *pool, const struct key *key);
/* After it has ended. */
void lane_close(struct lane *lane);

/* Its own, besides its thread's; NULL: none. */
struct arena *lane_arena(const struct lane *lane);

/*
 * Reads `io->blocks` entries into place, decrypted; afterwards calls io->step with io->error set.
 * Entry i is block io->first + i and goes to page i of io->buf; or, with io->merging, one of the
 * edge blocks, which go to the pages behind.  io->slot[] has their states, io->generation[] goes
 * with it.
 */
void lane_read(struct vio *io, uint32_t entries);

/*
 * Encrypts io->blocks pages of io->buf and puts them into fresh slots, gathered with other writes of
 * the lane; `fresh`: they take new space.  Afterwards calls io->step with io->error set:
 *   0                    io->slot[] have the data, for the caller to refer to
 *   -ENOSPC or -EAGAIN   there are no slots, for want of space or for the moment; the pages are as
 *                        they were, to be held
 *   else                 it failed; no slot is taken
 */
void lane_place(struct vio *io, bool fresh);

/* Queues a write until the pool may have space again, then calls `retry`.  `why`: as above. */
void lane_hold(struct vio *io, int why, void (*retry)(struct vio *io));
/* Takes it out again; false when it was not held. */
bool lane_unhold(struct vio *io);
/* It ends: from now on it does not count as held for want of space. */
void lane_end_hold(struct vio *io);

#endif
