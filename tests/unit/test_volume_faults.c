// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume with faults: a fixed story of requests, told again and again with the Nth operation on the
 * disks failing, for every N until it is told to its end.  What was answered with an error has
 * changed nothing.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake_aio.h"
#include "rig.h"

#define SECTORS 133u /* of the volume: 16 blocks and five sectors */
#define BYTES   (SECTORS * 512u)
#define BASE    (90u * 512u)

static struct rig rig;
static uint8_t model[BYTES], data[BYTES], out[BYTES];

static const struct {
    enum vio_op op;
    uint32_t sector, sectors;
} story[] = {
    {VIO_WRITE, 0, 8},     {VIO_READ, 0, 133},  {VIO_WRITE, 3, 1},     {VIO_WRITE, 5, 30},
    {VIO_WRITE, 86, 8},    {VIO_READ, 80, 20},  {VIO_DISCARD, 8, 17},  {VIO_WRITE, 8, 1},
    {VIO_WRITE, 16, 64},   {VIO_WRITE, 15, 64}, {VIO_DISCARD, 1, 132}, {VIO_WRITE, 130, 3},
    {VIO_WRITE, 131, 1},   {VIO_WRITE, 0, 133}, {VIO_READ, 7, 100},    {VIO_WRITE, 1, 131},
    {VIO_DISCARD, 128, 5}, {VIO_WRITE, 129, 2},
};

static void model_apply(enum vio_op op, uint32_t at, uint32_t n)
{
    uint32_t from = (at + 4095) / 4096 * 4096, to = (at + n) / 4096 * 4096;

    if (op == VIO_WRITE)
        memcpy(model + at, data, n);
    if (op != VIO_DISCARD)
        return;
    if (at + n == BYTES)
        to = BYTES;
    if (from < to)
        memset(model + from, 0, to - from);
}

/* Once through; how many steps failed. */
static uint32_t tell(uint32_t *wrong)
{
    uint32_t failed = 0;

    for (size_t i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
        uint32_t at = story[i].sector * 512, n = story[i].sectors * 512;
        uint8_t *buf = story[i].op == VIO_READ ? out : data;
        for (uint32_t b = 0; story[i].op == VIO_WRITE && b < n; b++)
            data[b] = (uint8_t)(i * 16 + b / 512 + 1);
        int err = rig_do(&rig, (uint32_t)i % 2, story[i].op, at, n, buf);
        failed += err != 0;
        *wrong += err && err != -EIO;
        if (!err && story[i].op == VIO_READ)
            *wrong += memcmp(out, model + at, n) != 0;
        if (!err)
            model_apply(story[i].op, at, n);
    }
    return failed;
}

/* `waited`: a write that failed so is tried again, from its plaintext. */
static void tell_until_it_ends(int error, bool writes, bool growth, bool waited)
{
    uint32_t wrong = 0, failures = 0;
    uint64_t nth = 1;

    for (bool hit = true; hit && nth < 500; nth++) {
        rig_open(&rig,
                 &(struct rig_config){
                     .lanes = 2, .bytes = BYTES, .base_bytes = BASE, .extents = 4, .seed = nth});
        for (uint32_t i = 0; i < BYTES; i++)
            model[i] = i < BASE ? rig_base_byte(i) : 0;
        if (growth)
            rig_fail_grow(nth, error);
        else
            fake_aio_fail(nth, 1, error, writes);
        uint32_t failed = tell(&wrong);
        hit = growth ? rig_grow_failed() : fake_aio_failed() != 0;
        wrong += failed > 1 || (failed && !hit);
        failures += failed;
        rig_fail_grow(0, 0);
        fake_aio_fail(0, 0, 0, false);
        wrong += rig_do(&rig, 0, VIO_READ, 0, BYTES, out) != 0;
        wrong += memcmp(out, model, BYTES) != 0;
        rig_close(&rig);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT((failures == 0) == waited && nth < 500);
}

static void errors(void)
{
    tell_until_it_ends(-EIO, false, false, false);
}

static void short_operations(void)
{
    tell_until_it_ends(FAKE_SHORT, false, false, false);
}

static void no_growth(void)
{
    tell_until_it_ends(-EIO, false, true, true); /* want of storage, whatever its reason */
}

static void writes_put_off(void)
{
    tell_until_it_ends(-EAGAIN, true, false, true);
    tell_until_it_ends(-ENOSPC, true, false, true);
}

int suite_volume_faults(void)
{
    static const struct unit_case cases[] = {
        {"an error at every operation", errors},
        {"a short one at every operation", short_operations},
        {"an error at every growth", no_growth},
        {"every write put off once", writes_put_off},
    };

    return UNIT_SUITE("volume_faults", cases);
}
