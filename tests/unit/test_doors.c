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
#define ROUNDS  1200u

static struct doors doors;
static struct load load;

static void begin(const struct rig_config *config, uint32_t rounds)
{
    doors_open(&doors, config);
    truth_open(SECTORS, config->base_bytes);
    load = (struct load){.doors = &doors, .seed = config->seed, .rounds = load_size(rounds)};
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

int suite_doors(void)
{
    static const struct unit_case cases[] = {
        {"all doors at once", plain},
        {"all doors at once, with faults", faults},
        {"all doors at once, with full pools", full},
        {"all doors at once, memory in front", ram_front},
        {"all doors at once, memory only", ram_only},
    };

    return UNIT_SUITE("doors", cases);
}
