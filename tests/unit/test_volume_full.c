// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume in a full pool: writes are held, not failed; everything else goes on; what ends a hold is
 * space, a discard, or the door's closing.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake_aio.h"
#include "iothread.h"
#include "pool.h"
#include "rig.h"
#include "shake.h"

#define BLOCKS     4096u /* of the volume; the pool begins with two extents, half of that */
#define FREE_BLOCK 3000u /* never filled */
#define CHUNK      (256u << 10)

static struct rig rig;
static uint8_t in[VIO_MAX], out[VIO_MAX];

static uint32_t held(void)
{
    uint64_t since;

    return pool_held(rig.pool, &since);
}

/* First touches from block 0 on, until one is held; that one is dropped. */
static void fill(uint32_t lanes, uint64_t seed)
{
    struct rig_io io;
    uint64_t at = 0;
    int err;

    rig_open(
        &rig,
        &(struct rig_config){
            .lanes = lanes, .bytes = BLOCKS * 4096u, .base_bytes = 0, .extents = 2, .seed = seed});
    unit_capture_start();
    do {
        memset(in, 0x30 + (int)(at / CHUNK), CHUNK);
        rig_start(&io, &rig, 0, VIO_WRITE, at, CHUNK, in);
        err = rig_wait_ms(&io, held() ? 0 : 150);
        at += CHUNK;
    } while (!err && at < FREE_BLOCK * 4096u);
    rig_drop(&io);
    unit_capture_end();
    CU_ASSERT_EQUAL(rig_wait(&io), err ? -ECANCELED : 0);
    CU_ASSERT_EQUAL(err, -ETIMEDOUT);
}

static bool block_is(uint32_t lane, uint64_t block, uint8_t value)
{
    CU_ASSERT_EQUAL(rig_do(&rig, lane, VIO_READ, block * 4096, 4096, out), 0);
    return out[0] == value && out[4095] == value && memcmp(out, out + 1, 4095) == 0;
}

/* Held while there is no space; said once; reads go on; done when there is. */
static void hold_and_go_on(void)
{
    static uint8_t data[2][8192];
    struct rig_io io[2];

    fill(2, 1);
    unit_capture_start();
    for (uint32_t i = 0; i < 2; i++) {
        memset(data[i], 0x71 + (int)i, 8192);
        rig_start(&io[i], &rig, i, VIO_WRITE, (FREE_BLOCK + i * 100) * 4096ull, 8192, data[i]);
    }
    int first = rig_wait_ms(&io[0], 500), second = rig_wait_ms(&io[1], 100);
    uint32_t waiting = held();
    bool readable = block_is(0, 255, 0x33) && block_is(1, 0, 0x30) && block_is(0, FREE_BLOCK, 0);
    unsigned int warnings = unit_capture_count("the pool is full");
    rig_extents(4);
    int after = rig_wait(&io[0]) | rig_wait(&io[1]);
    unit_capture_end();
    CU_ASSERT(first == -ETIMEDOUT && second == -ETIMEDOUT);
    CU_ASSERT_EQUAL(waiting, 2);
    CU_ASSERT(readable);
    CU_ASSERT_EQUAL(warnings, 1);
    CU_ASSERT_EQUAL(after, 0);
    CU_ASSERT_EQUAL(held(), 0);
    CU_ASSERT(block_is(1, FREE_BLOCK + 1, 0x71) && block_is(0, FREE_BLOCK + 100, 0x72));
    rig_close(&rig);
}

/* One held write alone: looked at again and again, but reported once, and since when it began. */
static void said_once(void)
{
    struct rig_io io;
    uint64_t since = 0, later = 0;

    fill(1, 2);
    unit_capture_start();
    rig_start(&io, &rig, 0, VIO_WRITE, FREE_BLOCK * 4096ull, 4096, in);
    int err = rig_wait_ms(&io, 100);
    pool_held(rig.pool, &since);
    rig_wait_ms(&io, 1500);
    uint32_t still = pool_held(rig.pool, &later);
    unsigned int warnings = unit_capture_count("the pool is full");
    rig_extents(4);
    rig_wait(&io);
    unit_capture_end();
    CU_ASSERT_EQUAL(err, -ETIMEDOUT);
    CU_ASSERT_EQUAL(still, 1);
    CU_ASSERT_EQUAL(warnings, 1);
    CU_ASSERT_EQUAL(since, later);
    rig_close(&rig);
}

/* A guest that frees a block for each one it fills is held again and again: the log is not its to fill. */
static void said_rarely(void)
{
    struct rig_io io;
    uint64_t next = FREE_BLOCK, freed = 0;

    fill(1, 2);
    unit_capture_start();
    for (uint32_t i = 0; i < 400; i++, next++) {
        rig_start(&io, &rig, 0, VIO_WRITE, next % BLOCKS * 4096ull, 4096, in);
        if (rig_wait_ms(&io, held() ? 0 : 5) != -ETIMEDOUT)
            continue;
        do
            rig_do(&rig, 0, VIO_DISCARD, freed++ * 4096ull, 4096, NULL);
        while (rig_wait_ms(&io, 300) == -ETIMEDOUT);
    }
    unsigned int warnings = unit_capture_count("the pool is full");
    unit_capture_end();
    CU_ASSERT(warnings >= 1 && warnings <= 12);
    rig_close(&rig);
}

static void drop(void)
{
    struct rig_io io[3];

    fill(2, 3);
    rig_start(&io[0], &rig, 0, VIO_WRITE, FREE_BLOCK * 4096ull, 8192, in);
    CU_ASSERT_EQUAL(rig_wait_ms(&io[0], 50), -ETIMEDOUT);
    rig_start(&io[1], &rig, 1, VIO_WRITE, (FREE_BLOCK + 1) * 4096ull, 8192,
              in); /* waits for the first */
    rig_start(&io[2], &rig, 0, VIO_DISCARD, (FREE_BLOCK + 2) * 4096ull, 4096, NULL);
    CU_ASSERT_EQUAL(rig_wait_ms(&io[1], 50), -ETIMEDOUT);
    rig_drop(&io[1]);
    CU_ASSERT_EQUAL(rig_wait(&io[1]), -ECANCELED);
    CU_ASSERT(io[1].io.dropped);
    CU_ASSERT_EQUAL(rig_wait(&io[2]), 0);
    rig_drop(&io[0]);
    CU_ASSERT_EQUAL(rig_wait(&io[0]), -ECANCELED);
    CU_ASSERT_EQUAL(held(), 0);
    rig_close(&rig);
}

/* What would free space must not wait for those who wait for space. */
static void discard_ends_a_hold(void)
{
    struct rig_io write, discard;

    fill(2, 4);
    memset(in, 0x77, 4096);
    rig_start(&write, &rig, 0, VIO_WRITE, FREE_BLOCK * 4096ull + 512, 2048, in);
    CU_ASSERT_EQUAL(rig_wait_ms(&write, 50), -ETIMEDOUT);
    rig_start(&discard, &rig, 1, VIO_DISCARD, 0, BLOCKS * 4096u, NULL);
    int discarded = rig_wait_ms(&discard, 2000), written = rig_wait_ms(&write, 1000);
    CU_ASSERT_EQUAL(discarded, 0);
    CU_ASSERT_EQUAL(written, 0);
    rig_extents(4);
    rig_wait(&write);
    rig_wait(&discard);
    rig_close(&rig);
}

/* An overwrite needs a slot for as long as it lasts; a full pool keeps some for that. */
static void overwrites_go_on(void)
{
    struct rig_io io;

    fill(1, 5);
    memset(in, 0x78, 4096);
    rig_start(&io, &rig, 0, VIO_WRITE, 7 * 4096, 4096, in);
    int err = rig_wait_ms(&io, 1500);
    rig_extents(4);
    rig_wait(&io);
    CU_ASSERT_EQUAL(err, 0);
    CU_ASSERT(block_is(0, 7, 0x78));
    rig_close(&rig);
}

/* The pool itself finds out only when it is written to. */
static void write_without_space(void)
{
    rig_open(&rig,
             &(struct rig_config){
                 .lanes = 2, .bytes = 64 * 4096, .base_bytes = 64 * 4096, .extents = 4, .seed = 6});
    for (uint32_t i = 1; i <= 3; i++) {
        memset(in, 0x50 + (int)i, 20000);
        fake_aio_fail(i, 1, -ENOSPC, true);
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 512 * i, 19968, in), 0);
        fake_aio_fail(0, 0, 0, false);
        CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, 512 * i, 19968, out), 0);
        memset(in, 0x50 + (int)i, 20000);
        CU_ASSERT_EQUAL(memcmp(in, out, 19968), 0);
        CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, 512 * i + 19968, 512, out), 0);
        CU_ASSERT_EQUAL(out[9], rig_base_byte(512 * i + 19968 + 9));
    }
    rig_close(&rig);
}

static void nothing(void *arg)
{
    (void)arg;
}

/* A write that waits for another's block is dropped just as the other ends. */
static void drop_as_it_is_granted(void)
{
    static struct rig_io io[9];
    static uint8_t data[4096];
    uint64_t random = 7;
    uint32_t twice = 0, dropped = 0, granted = 0;

    rig_open(&rig, &(struct rig_config){
                       .lanes = 2, .bytes = 64 * 4096, .base_bytes = 0, .extents = 4, .seed = 7});
    shake(true);
    for (uint32_t round = 0; round < 1500 && !twice; round++) {
        for (uint32_t i = 0; i < 9; i++)
            rig_start(&io[i], &rig, i > 0, VIO_WRITE, 4096, 4096, data);
        for (volatile uint64_t spin = unit_below(&random, 20000); spin; spin--)
            ;
        for (uint32_t i = 1; i < 9; i++)
            rig_drop(&io[i]);
        for (uint32_t i = 0; i < 9; i++)
            *(rig_wait(&io[i]) ? &dropped : &granted) += 1;
        for (uint32_t i = 0; i < 4; i++)
            iothread_call(rig.threads[i % 2], nothing, NULL);
        for (uint32_t i = 0; i < 9; i++)
            twice += io[i].done != 1;
    }
    shake(false);
    CU_ASSERT_EQUAL(twice, 0);
    CU_ASSERT(dropped > 0 && granted > 0);
    rig_close(&rig);
}

int suite_volume_full(void)
{
    static const struct unit_case cases[] = {
        {"hold and go on", hold_and_go_on},
        {"said once", said_once},
        {"said rarely", said_rarely},
        {"drop", drop},
        {"a discard ends a hold", discard_ends_a_hold},
        {"overwrites go on", overwrites_go_on},
        {"a write without space", write_without_space},
        {"drop as it is granted", drop_as_it_is_granted},
    };

    return UNIT_SUITE("volume_full", cases);
}
