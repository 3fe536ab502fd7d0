// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doors under load: several rings and NBD connections at random on one volume, over every medium, with
 * faults, full pools, and clients that come and go.
 */
#include "unit.h"

#include <stdio.h>
#include "fake_aio.h"
#include "load.h"
#include "shake.h"
#include "truth.h"

#define SECTORS TRUTH_SECTORS
#define BYTES   (SECTORS * 512u)
#define BASE    (700u * 4096 + 1536)
#define ARENA   (5u << 19) /* NBD's half has no room for VIO_MAX at once, and often less */
#define ROUNDS  900u

static struct doors doors;
static struct load load;

static void begin(const struct rig_config *config, uint32_t rounds)
{
    doors_open(&doors, config);
    truth_open(SECTORS, config->base_bytes);
    load = (struct load){.doors = &doors, .seed = config->seed, .rounds = load_size(rounds)};
}

/* Ends of blocks and others, one block several times; more than an extent of the pool. */
static const uint32_t sizes[] = {2405, 2406, 2407, 2408, 2409,     2816,        3003,   4096,
                                 4101, 6003, 6008, 9001, 9 * 1024, SECTORS - 1, SECTORS},
                      sizes_full[] = {8203, 8204, 8209, 9003, 9006, 10000, 10001, SECTORS};
#define SIZES      (sizeof(sizes) / sizeof(sizes[0]))
#define SIZES_FULL (sizeof(sizes_full) / sizeof(sizes_full[0]))

static void begin_growing(const struct rig_config *like, uint32_t sectors)
{
    struct rig_config config = *like;

    config.bytes = config.base_bytes = sectors * 512;
    config.arena = ARENA;
    doors_open_growing(&doors, &config, BYTES);
    truth_open(sectors, BYTES);
    load = (struct load){.doors = &doors, .seed = config.seed, .rounds = load_size(ROUNDS / 2)};
    load.grows = true;
}

static void end(void)
{
    load_join(&load);
    shake(false);
    fake_aio_fail(0, 0, 0, false);
    CU_ASSERT_EQUAL(load.wrong, 0);
    load_check_all(&doors);
    for (uint32_t i = 0; i < DOORS_CALLERS; i++) {
        doors_reopen(&doors, i);
        load_check(&doors, i);
    }
    doors_close(&doors);
}

static void plain_on(const struct rig_config *config)
{
    begin(config, ROUNDS);
    shake(true);
    load.leaves = true;
    load_start(&load);
    end();
    CU_ASSERT(load.done > 0 && load.refused == 0);
}

static void plain(void)
{
    plain_on(&(struct rig_config){
        .lanes = 2, .bytes = BYTES, .base_bytes = BASE, .extents = 32, .seed = 1, .arena = ARENA});
    plain_on(&(struct rig_config){
        .lanes = 4, .bytes = BYTES, .extents = 32, .seed = 2, .arena = 8 << 20});
    plain_on(&(struct rig_config){.lanes = 3,
                                  .bytes = BYTES,
                                  .base_bytes = BYTES,
                                  .extents = 32,
                                  .seed = 3,
                                  .arena = 3 << 19});
}

static void faults_on(const struct rig_config *config)
{
    begin(config, ROUNDS);
    shake(true);
    load.leaves = load.faults = load.expected = true;
    load_start(&load);
    end();
    CU_ASSERT(load.refused > 0);
}

static void faults(void)
{
    faults_on(&(struct rig_config){
        .lanes = 3, .bytes = BYTES, .base_bytes = BASE, .extents = 32, .seed = 4, .arena = ARENA});
    faults_on(&(struct rig_config){
        .lanes = 2, .bytes = BYTES, .extents = 32, .seed = 5, .arena = 8 << 20});
}

/* The pool is full most of the time, but never for ever.  It begins half full, so that little is left above
 * the reserve. */
static void full_on(const struct rig_config *config)
{
    begin(config, ROUNDS);
    unit_capture_start();
    for (uint32_t i = 0; i < 2; i++)
        load_steps(&load,
                   &(struct step){.caller = i, .op = ASK_WRITE, .first = i * 2048, .count = 2048},
                   1);
    load_start(&load);
    for (uint32_t i = 0; load.running; i++) {
        unit_sleep(20);
        rig_extents(i / 15 % 2 ? 3 : 1); /* longer than between two attempts */
    }
    rig_extents(32);
    load_join(&load);
    CU_ASSERT(config->ram || unit_capture_count("the pool is full") > 0);
    unit_capture_end();
    CU_ASSERT_EQUAL(load.wrong, 0);
    load_check_all(&doors);
    doors_close(&doors);
}

static void full(void)
{
    full_on(
        &(struct rig_config){.lanes = 3, .bytes = BYTES, .extents = 1, .seed = 6, .arena = ARENA});
}

static void ram_front(void)
{
    plain_on(&(struct rig_config){.lanes = 2,
                                  .bytes = BYTES,
                                  .base_bytes = BASE,
                                  .extents = 32,
                                  .seed = 7,
                                  .ram = 4 << 20,
                                  .arena = ARENA});
    faults_on(&(struct rig_config){
        .lanes = 3, .bytes = BYTES, .extents = 32, .seed = 8, .ram = 4 << 20, .arena = ARENA});
    full_on(&(struct rig_config){
        .lanes = 2, .bytes = BYTES, .extents = 1, .seed = 9, .ram = 4 << 20, .arena = ARENA});
}

static void ram_only(void)
{
    struct rig_config config = {.lanes = 2,
                                .bytes = BYTES,
                                .base_bytes = BASE,
                                .seed = 10,
                                .ram = 16 << 20,
                                .ram_only = true,
                                .arena = ARENA};

    plain_on(&config);
    faults_on(&config);
    config.lz4 = true;
    config.lanes = 3;
    plain_on(&config);
    faults_on(&config);
}

/* Some requests lie between any two sizes.  Callers wait for the growths, so that each meets some; where it can
 * be held it waits for one to be answered meanwhile. */
static void grow_on(const struct rig_config *config, bool with_faults)
{
    uint32_t share, met = 0;

    begin_growing(config, sizes[0]);
    shake(true);
    load.leaves = true;
    load.faults = load.expected = with_faults;
    share = load.rounds / (SIZES + 2);
    load.open = 2 * share;
    load_start(&load);
    for (uint32_t i = 1; i < SIZES; i++) {
        while (load.done < share * i)
            unit_sleep(1);
        load.open = share * (i + 2);
        fake_aio_hold(i % 3, doors.rig.base_fd); /* while it wants the rest of the last block */
        uint32_t done = load.done;
        doors_grow(&doors, sizes[i]);
        for (uint32_t ms = 0; i % 3 && load.done == done && ms < 5000; ms++)
            unit_sleep(1);
        met += load.done != done;
        fake_aio_hold(false, -1);
        doors_grow_wait(&doors);
    }
    load.open = 0;
    CU_ASSERT(met >= SIZES / 2);
    end();
    CU_ASSERT_EQUAL(truth_sectors(), SECTORS);
    CU_ASSERT_EQUAL(load.refused > 0, with_faults);
    CU_ASSERT(with_faults || doors.growth.failures == 0);
}

static void grow(void)
{
    grow_on(&(struct rig_config){.lanes = 2, .extents = 32, .seed = 11}, false);
    grow_on(&(struct rig_config){.lanes = 3, .extents = 32, .seed = 12, .ram = 4 << 20}, false);
}

static void grow_faults(void)
{
    grow_on(&(struct rig_config){.lanes = 3, .extents = 32, .seed = 13}, true);
    grow_on(
        &(struct rig_config){
            .lanes = 2, .seed = 14, .ram = 16 << 20, .ram_only = true, .lz4 = true},
        true);
}

/* No space for the rest of the last block: tried until there is. */
static void grow_full(void)
{
    begin_growing(&(struct rig_config){.lanes = 2, .extents = 0, .seed = 15}, sizes_full[0]);
    unit_capture_start();
    doors_grow(&doors, sizes_full[1]);
    for (uint32_t ms = 0; !doors.growth.failures && ms < CALLER_WAIT_MS; ms++)
        unit_sleep(1);
    CU_ASSERT(doors.growth.running && truth_sectors() == sizes_full[0]);
    rig_extents(1);
    doors_grow_wait(&doors);
    CU_ASSERT_EQUAL(unit_capture_count("no space in the pool; it is tried again"), 1);
    for (uint32_t i = 0; i < 2; i++)
        load_steps(&load, &(struct step){.op = ASK_WRITE, .first = i * 2048, .count = 2048}, 1);
    load_start(&load);
    for (uint32_t i = 2, turn = 0; i < SIZES_FULL; turn++) {
        rig_extents(turn / 8 % 2 ? 3 : 1);
        unit_sleep(20);
        if (!doors.growth.running)
            doors_grow(&doors, sizes_full[i++]);
    }
    rig_extents(32);
    doors_grow_wait(&doors);
    end();
    unit_capture_end();
    CU_ASSERT_EQUAL(load.refused, 0);
}

int suite_doors(void)
{
    static const struct unit_case cases[] = {
        {"all doors at once", plain},
        {"all doors at once, with faults", faults},
        {"all doors at once, with full pools", full},
        {"all doors at once, memory in front", ram_front},
        {"all doors at once, memory only", ram_only},
        {"all doors at once, growing", grow},
        {"all doors at once, growing, with faults", grow_faults},
        {"all doors at once, growing, with full pools", grow_full},
    };

    return UNIT_SUITE("doors", cases);
}
