/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world: one guest for one input: the production volume, overlay, pool, lanes and threads of
 * tests/unit's rig, on disks in RAM, turned by the target.  Closing it checks that nothing is left
 * in flight, in the pool or in an arena.  An input's course is here too: LLVMFuzzerTestOneInput is
 * world.c's, and the target says what its steps are.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdbool.h>
#include "fuzz.h"
#include "limit.h"
#include "rig.h"

#define WORLD_SECTORS 1027u
#define WORLD_STEPS   120

/* The target's own.  settle: until whatever was asked is answered; end: nothing is left. */
extern const struct world_target {
    void (*begin)(struct fuzz_input *in);
    void (*step)(struct fuzz_input *in);
    void (*settle)(void);
    void (*end)(void);
} world_target;

struct world {
    struct rig rig;
    struct limit *limit;
    bool failing; /* the disk has failed, or may: any request may end with an error */
    bool unknown; /* somebody wrote what nobody watched: reads may bring anything */
};

/* Shape and pool from the input's first bytes. */
void world_open(struct world *world, struct fuzz_input *in);
void world_close(struct world *world);

/* One turn of every thread; `us` pass. */
void world_turn(struct world *world, uint32_t us);
/* Nothing fails or is held any more, there is space, and time goes on quickly. */
void world_heal(struct world *world);

/* The disk's mischief of one step, as the input says. */
void world_trouble(struct world *world, struct fuzz_input *in);

#endif
