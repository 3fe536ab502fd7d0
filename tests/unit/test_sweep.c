// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sweep: many requests whose blocks leave in few operations, of which one fails, once or wherever it
 * touches a bad place: only who has a block there is told of it.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "fake_aio.h"
#include "rig.h"

#define WRITES 120u
#define BLOCKS (WRITES * 2)
#define BYTES  (BLOCKS * 4096u)

static struct rig rig;
static struct rig_io ios[WRITES];
static uint8_t data[BYTES], out[BYTES];

/* Every third write has two blocks.  In all: how many fail, and each of them has changed nothing. */
static uint32_t write_all(uint32_t round)
{
    uint32_t failed = 0;

    fake_aio_hold(true, -1);
    for (uint32_t i = 0; i < WRITES; i++) {
        uint32_t n = i % 3 ? 4096 : 8192;
        memset(data + i * 8192, (int)(round * 7 + i % 5 + 1), n);
        rig_start(&ios[i], &rig, 0, VIO_WRITE, i * 8192, n, data + i * 8192);
    }
    for (uint32_t i = 0; i < WRITES; i++)
        CU_ASSERT_EQUAL(rig_wait_ms(&ios[i], i ? 0 : 20), -ETIMEDOUT);
    CU_ASSERT(fake_aio_flying() < WRITES / 4); /* they are gathered */
    fake_aio_hold(false, -1);
    for (uint32_t i = 0; i < WRITES; i++) {
        int err = rig_wait(&ios[i]);
        CU_ASSERT(!err || err == -EIO);
        failed += err != 0;
        if (err)
            memcpy(data + i * 8192, out + i * 8192, 8192);
    }
    CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, 0, BYTES, out), 0);
    CU_ASSERT(memcmp(data, out, BYTES) == 0);
    return failed;
}

static void begin(uint64_t seed)
{
    memset(data, 0, sizeof(data));
    memset(out, 0, sizeof(out));
    rig_open(&rig, &(struct rig_config){
                       .lanes = 2, .bytes = BYTES, .extents = 4, .seed = seed, .arena = 4 << 20});
}

/* Each slot in turn is one that cannot be written. */
static void bad_slot(void)
{
    for (uint32_t slot = 0; slot < WRITES; slot += 7) {
        begin(slot + 1);
        fake_aio_spoil(slot * 4096u, 4096);
        CU_ASSERT_EQUAL(write_all(0), 1);
        fake_aio_spoil(0, 0);
        CU_ASSERT_EQUAL(write_all(1), 0);
        rig_close(&rig);
    }
}

/* Where an operation of many fails once, and its parts do not, nobody is told.  The first operation may
 * be one write's. */
static void bad_moment(void)
{
    for (uint32_t nth = 2; nth < 6; nth++) {
        begin(nth);
        CU_ASSERT_EQUAL(write_all(0), 0);
        fake_aio_fail(nth, 1, -EIO, true);
        CU_ASSERT_EQUAL(write_all(nth), 0);
        CU_ASSERT(fake_aio_failed() == 1 || nth > 2);
        rig_close(&rig);
    }
}

int suite_sweep(void)
{
    static const struct unit_case cases[] = {
        {"a slot that cannot be written", bad_slot},
        {"an operation that fails once", bad_moment},
    };

    return UNIT_SUITE("sweep", cases);
}
