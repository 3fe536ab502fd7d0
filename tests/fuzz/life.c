// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz/life: the life of requests: one or two hostile frontends of one disk against the production
 * pump, request, lane, volume, overlay and pool, with disks that are late, fail and fill up.
 *
 * At the hypervisor's seam (hv.h) stands tests/unit's fake_hv and not tests/fakexen: that is the same
 * seam one library lower, but a system call or more for each operation, and its pages and ports live in
 * another process, so that one input would cost milliseconds and leave a state behind.
 *
 * In the end the disks are healed and the guest rests: whatever was asked is answered, the ring is
 * empty, and closing leaves nothing.
 */
#include "fake_hv.h"
#include "front.h"
#include "model.h"

#define FRONTS 2u
#define SETTLE 3000 /* turns */
#define DOMID  7u

static struct world world;
static struct front fronts[FRONTS];
static struct pump *pumps[RIG_LANES];

static uint32_t life_lanes(void)
{
    return world.rig.config.lanes;
}

static void life_turn(uint32_t us)
{
    for (uint32_t i = 0; i < FRONTS; i++)
        front_before(&fronts[i]);
    world_turn(&world, us);
    for (uint32_t i = 0; i < FRONTS; i++)
        front_after(&fronts[i]);
    for (uint32_t i = 0; i < FRONTS; i++)
        front_hear(&fronts[i]);
}

static void life_open(struct fuzz_input *in)
{
    uint8_t shape;

    fake_hv_reset();
    world_open(&world, in);
    model_open(WORLD_SECTORS, (uint32_t)(world.rig.config.base_bytes / 512));
    shape = fuzz_u8(in);
    for (uint32_t i = 0; i < life_lanes(); i++) {
        FUZZ_CHECK(!pump_open(&pumps[i], world.rig.lanes[i], NULL, world.limit));
        FUZZ_CHECK(!pump_events_add(pumps[i], DOMID, fake_hv_handle()));
    }
    for (uint32_t i = 0; i < FRONTS; i++) {
        fronts[i].queue = NULL;
        fronts[i].revoked = false;
        fronts[i].last_id = (uint64_t)i << 32;
        for (uint32_t k = 0; k < FRONT_SLOTS; k++)
            fronts[i].flying[k].id = 0;
        if (!i || shape & 1)
            front_open(&fronts[i], &world, pumps[i % life_lanes()], i, shape >> (1 + 2 * i));
    }
}

static void life_step(struct fuzz_input *in)
{
    uint8_t what = fuzz_u8(in);
    struct front *front = &fronts[what >> 7];

    if ((what & 15) < 9) {
        front_step(front, in);
    } else if ((what & 15) < 12) {
        life_turn((what & 0x40) ? 100 : 5000);
    } else if ((what & 15) == 12) {
        world_trouble(&world, in);
    } else if ((what & 15) == 13) {
        front_close(front, what & 0x40);
    } else if ((what & 15) == 14 && !front->queue) {
        uint32_t index = (uint32_t)(front - fronts);
        front_open(front, &world, pumps[index % life_lanes()], index, what >> 5);
    } else if ((what & 15) == 15) {
        for (int i = 0; i < 20; i++)
            life_turn(2000);
    }
}

static bool life_rests(void)
{
    bool rests = true;

    for (uint32_t i = 0; i < FRONTS; i++)
        rests &= front_rests(&fronts[i]);
    return rests;
}

static void life_settle(void)
{
    int turns = 0;

    world_heal(&world);
    do {
        for (uint32_t i = 0; i < FRONTS; i++)
            if (fronts[i].queue && turns % 64 == 0)
                front_kick(&fronts[i]);
        life_turn(2000);
        FUZZ_CHECK(turns++ < SETTLE); /* something is never answered */
    } while (!life_rests());
}

static void life_close(void)
{
    for (uint32_t i = 0; i < FRONTS; i++)
        front_close(&fronts[i], false);
    for (int turns = 0; fronts[0].queue || fronts[1].queue; turns++) {
        FUZZ_CHECK(turns < SETTLE);
        life_turn(1000);
    }
    for (uint32_t i = 0; i < life_lanes(); i++)
        FUZZ_CHECK(!pump_events_remove(pumps[i], DOMID));
    world_close(&world);
    for (uint32_t i = 0; i < life_lanes(); i++)
        pump_close(pumps[i]);
}

const struct world_target world_target = {
    .begin = life_open, .step = life_step, .settle = life_settle, .end = life_close};
