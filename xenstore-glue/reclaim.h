/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reclaim: discards a range of a device outside the daemon's thread, which must not wait for it.
 * One range at a time each; the owner has the rest of them.
 */
#ifndef EPHEM_RECLAIM_H
#define EPHEM_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

/* `error`: 0 or negative errno of the discard; -EINTR: the process ended before it was done. */
typedef void reclaim_done(void *owner, int error);

/* Zeroed, it is idle. */
struct reclaim {
    struct loop_source process; /* pidfd; in a loop while busy */
    reclaim_done *done;
    void *owner;
};

bool reclaim_is_busy(const struct reclaim *reclaim);

/*
 * Begins.  `fd` is open for writing and only lent, `bytes` not 0, both multiples of 512.  `lock` is
 * lent too: the process keeps a descriptor of it open as long as it may discard anything, so that
 * who locks the same file knows when all such processes are over.  `done` follows, from the loop.
 * 0 or negative errno.
 */
int reclaim_start(struct reclaim *reclaim, struct loop *loop, int fd, int lock, uint64_t offset,
                  uint64_t bytes, reclaim_done *done, void *owner);

/* Forgets the process: it ends by itself, with us at the latest; `done` does not follow. */
void reclaim_stop(struct reclaim *reclaim);

#endif
