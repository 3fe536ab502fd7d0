// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * world: shapes from bytes.
 */
#include "world.h"

#include <errno.h>
#include "fake_aio.h"
#include "kernel.h"
#include "pool.h"
#include "turn.h"

static void world_pool(struct rig_config *config, uint8_t shape)
{
    if (shape & 1)
        config->ram = (uint64_t)8 << 20;
    config->ram_only = (shape & 3) == 3;
    config->lz4 = config->ram_only && shape & 4;
    config->extents = shape & 8 ? 0 : 4;
}

void world_open(struct world *world, struct fuzz_input *in)
{
    uint8_t shape = fuzz_u8(in), rates = fuzz_u8(in);
    struct rig_config config = {.lanes = 1 + (shape >> 4 & 1), .bytes = WORLD_SECTORS * 512};
    struct rig_growth growth = {.readonly = (rates & 0xc0) == 0xc0};
    struct limit_rates limits = {.iops = rates & 1 ? 2000 : 0,
                                 .bandwidth = rates & 2 ? 4u << 20 : 0};

    world_pool(&config, shape);
    config.integrity = !(shape & 0x80);
    config.base_bytes = shape & 0x20 ? 0 : shape & 0x40 ? 64 * 512 + 512 : config.bytes;
    config.poll = rates & 4 ? 500 : 0;
    config.seed = fuzz_u8(in);
    kernel_reset();
    world->failing = world->unknown = false;
    rig_open_growing(&world->rig, &config, &growth);
    FUZZ_CHECK(!limit_open(&world->limit, &limits));
}

void world_turn(struct world *world, uint32_t us)
{
    kernel_pass(us);
    for (uint32_t i = 0; i < world->rig.config.lanes; i++)
        turn_thread(world->rig.threads[i]);
    turn_keeper(world->rig.pool);
}

void world_heal(struct world *world)
{
    (void)world;
    fake_aio_hold(false, -1);
    fake_aio_refuse(false);
    fake_aio_fail(0, 0, 0, false);
    fake_aio_spoil(0, 0);
    rig_fail_grow(0, 0);
    rig_extents(16);
}

void world_trouble(struct world *world, struct fuzz_input *in)
{
    static const int errors[] = {-EIO, -ENOSPC, FAKE_SHORT, -EAGAIN};
    uint8_t what = fuzz_u8(in), how = fuzz_u8(in);

    switch (what % 6) {
    case 0:
        fake_aio_hold(how & 1, -1);
        return;
    case 1:
        rig_extents(how % 5);
        return;
    case 2:
        fake_aio_fail(1 + how % 8, 1 + how / 64, errors[how % 4], how & 32);
        break;
    case 3:
        fake_aio_refuse(how & 1);
        break;
    case 4:
        rig_fail_grow(1 + how % 4, how & 32 ? -EIO : -ENOSPC);
        break;
    default:
        fake_aio_spoil((uint64_t)how << 12, 4096);
    }
    world->failing = true;
}

void world_close(struct world *world)
{
    rig_close(&world->rig);
    limit_close(world->limit);
    FUZZ_CHECK(!kernel_open());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};

    world_target.begin(&in);
    for (int i = 0; i < WORLD_STEPS && in.left; i++)
        world_target.step(&in);
    world_target.settle();
    world_target.end();
    return 0;
}
