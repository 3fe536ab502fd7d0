/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kit: a volume on one I/O thread, as the programs beside it measure it: production volume, lane and pool,
 * no door.  One a process; whoever opened it submits from the thread.
 */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include <stdbool.h>
#include <stdint.h>
#include "iothread.h"
#include "lane.h"
#include "pool.h"
#include "volume.h"

struct kit {
    struct iothread *thread;
    struct lane *lane;
    struct volume *volume;
    struct pool *pool;
};

/* A blank volume of `bytes` with a pool in `dir`, with `ram` bytes of memory in front, or (dir NULL) in
 * so much memory alone.  Ends the process with a line when something is missing. */
void kit_open(struct kit *kit, const char *dir, uint64_t ram, uint64_t bytes, bool integrity);

#endif
