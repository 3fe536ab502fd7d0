// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume under load: many clients over all lanes.  Each takes a range of sectors for itself, so the
 * model always knows what must be there, while the blocks at the ranges' ends are shared; faults and
 * full pools come in between.  A second test lets ranges overlap and looks for mixtures.
 */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "fake_aio.h"
#include "rig.h"
#include "shake.h"

#define CLIENTS 6u
#define SECTORS (1280u * 8 + 3) /* 5 MiB and a bit */
#define BASE    (700u * 4096 + 1536)
#ifdef __SANITIZE_THREAD__
#define ROUNDS 150u
#else
#define ROUNDS 500u
#endif

static struct rig rig;
static uint8_t model[SECTORS * 512];
static bool taken[SECTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t wrong, refused, running;
static bool with_faults;

static bool range_take(uint32_t first, uint32_t count)
{
    bool free = true;

    pthread_mutex_lock(&lock);
    for (uint32_t i = first; i < first + count; i++)
        free &= !taken[i];
    for (uint32_t i = first; free && i < first + count; i++)
        taken[i] = true;
    pthread_mutex_unlock(&lock);
    return free;
}

static void range_give(uint32_t first, uint32_t count)
{
    pthread_mutex_lock(&lock);
    memset(taken + first, 0, count);
    pthread_mutex_unlock(&lock);
}

static void model_zero(uint32_t first, uint32_t count)
{
    uint32_t from = (first + 7) / 8 * 8, to = (first + count) / 8 * 8;

    if (first + count == SECTORS)
        to = SECTORS;
    if (from < to)
        memset(model + from * 512, 0, (to - from) * 512);
}

static void client_step(uint64_t *seed, uint8_t *buf, uint32_t first, uint32_t count)
{
    uint64_t what = unit_below(seed, 10);
    enum vio_op op = what < 4 ? VIO_READ : what < 9 ? VIO_WRITE : VIO_DISCARD;
    size_t bytes = (size_t)count * 512;

    if (op == VIO_WRITE)
        for (size_t i = 0; i < bytes; i += 8) {
            uint64_t word = *seed + i;
            memcpy(buf + i, &word, 8);
        }
    uint8_t *at = model + (size_t)first * 512;
    int err = rig_do(&rig, (uint32_t)unit_below(seed, rig.config.lanes), op, (uint64_t)first * 512,
                     bytes, buf);
    if (err) {
        refused++;
        wrong += !with_faults;
        return;
    }
    if (op == VIO_READ)
        wrong += memcmp(buf, at, bytes) != 0;
    if (op == VIO_WRITE)
        memcpy(at, buf, bytes);
    if (op == VIO_DISCARD)
        model_zero(first, count);
}

static void *client(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    uint8_t *buf = malloc(VIO_MAX);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t reach = i % 60 ? 40 : 2048;
        uint32_t first = (uint32_t)unit_below(&seed, SECTORS);
        if (i % 3) /* where others are */
            first = first % 200;
        uint32_t count = 1 + (uint32_t)unit_below(&seed, reach);
        if (count > SECTORS - first)
            count = SECTORS - first;
        if (!range_take(first, count))
            continue;
        if (with_faults && unit_below(&seed, 12) == 0)
            fake_aio_fail(1 + unit_below(&seed, 9), 1, i % 2 ? -EIO : FAKE_SHORT, false);
        client_step(&seed, buf, first, count);
        range_give(first, count);
    }
    free(buf);
    running--;
    return NULL;
}

static void check_all(void)
{
    uint8_t *buf = malloc(VIO_MAX);

    for (uint32_t at = 0; at < SECTORS; at += 2048) {
        uint32_t n = SECTORS - at < 2048 ? SECTORS - at : 2048;
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, (uint64_t)at * 512, n * 512ull, buf), 0);
        CU_ASSERT_EQUAL(memcmp(buf, model + (size_t)at * 512, (size_t)n * 512), 0);
    }
    free(buf);
}

/* What the pool is made of in the loads below. */
static struct rig_config medium;

static void load(uint32_t lanes, uint64_t base, bool faults, bool full, uint64_t seed)
{
    struct rig_config config = medium;
    pthread_t threads[CLIENTS];
    uint64_t seeds[CLIENTS];

    with_faults = faults;
    wrong = refused = 0;
    running = CLIENTS;
    config.lanes = lanes;
    config.bytes = SECTORS * 512u;
    config.base_bytes = base;
    config.extents = full ? 1 : 32;
    config.seed = seed;
    rig_open(&rig, &config);
    for (size_t i = 0; i < sizeof(model); i++)
        model[i] = i < base ? rig_base_byte(i) : 0;
    if (full)
        unit_capture_start();
    shake(!full);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        seeds[i] = seed * 1000 + i;
        pthread_create(&threads[i], NULL, client, &seeds[i]);
    }
    for (uint32_t i = 0; full && running; i++) {
        unit_sleep(20);
        rig_extents(i / 15 % 2 ? 3 : 1); /* longer than between two attempts */
    }
    rig_extents(32);
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    shake(false);
    if (full)
        unit_capture_end();
    fake_aio_fail(0, 0, 0, false);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(!faults || refused > 0 || (medium.ram_only && !base));
    check_all();
    rig_close(&rig);
}

static void model_plain(void)
{
    load(2, BASE, false, false, 1);
    load(4, 0, false, false, 2);
    load(3, SECTORS * 512u, false, false, 3);
}

static void model_faults(void)
{
    load(4, BASE, true, false, 4);
    load(2, 0, true, false, 5);
}

static void model_full(void)
{
    load(3, 0, false, true, 6);
}

/* Memory in front: a budget smaller than the volume, so that blocks go below all the time. */
static void model_ram_front(void)
{
    medium = (struct rig_config){.ram = 4 << 20};
    load(3, BASE, false, false, 7);
    load(4, 0, true, false, 8);
    load(3, 0, false, true, 9);
    medium = (struct rig_config){.ram = 0};
}

static void model_ram_only(void)
{
    medium = (struct rig_config){.ram = 16 << 20, .ram_only = true};
    load(3, BASE, true, false, 10);
    medium.lz4 = true;
    load(3, BASE, true, false, 11);
    load(1, 0, false, false, 12);
    medium = (struct rig_config){.ram = 0};
}

/* With tags, in each kind of pool. */
static void model_integrity(void)
{
    medium = (struct rig_config){.integrity = true};
    load(3, BASE, true, false, 21);
    load(3, 0, false, true, 22);
    medium.ram = 4 << 20;
    load(4, BASE, true, false, 23);
    load(2, 0, false, true, 24);
    medium.ram = 16 << 20;
    medium.ram_only = true;
    load(3, BASE, true, false, 25);
    medium.lz4 = true;
    load(3, BASE, true, false, 26);
    medium = (struct rig_config){.ram = 0};
}

/* Every 8 bytes of a block say the same: who wrote it and when, and that it belongs here. */
#define MIX_BLOCKS 12u

static uint64_t stamp(uint64_t client, uint64_t round, uint64_t block)
{
    return client << 48 | round << 16 | (block + 1);
}

static void *mixer(void *arg)
{
    uint64_t seed = *(uint64_t *)arg, me = seed & 7;
    static uint8_t space[8][MIX_BLOCKS * 4096];
    uint8_t *buf = space[me];

    for (uint32_t round = 1; round < ROUNDS * 2; round++) {
        uint64_t first = unit_below(&seed, MIX_BLOCKS);
        uint64_t n = 1 + unit_below(&seed, MIX_BLOCKS - first);
        enum vio_op op = me < 3 ? VIO_READ : round % 17 ? VIO_WRITE : VIO_DISCARD;
        for (uint64_t i = 0; i < n * 512; i++) {
            uint64_t word = stamp(me, round, first + i / 512);
            memcpy(buf + i * 8, &word, 8);
        }
        wrong += rig_do(&rig, (uint32_t)(seed >> 8) % rig.config.lanes, op, first * 4096, n * 4096,
                        buf) != 0;
        for (uint64_t b = 0; op == VIO_READ && b < n; b++) {
            uint64_t head;
            uint8_t *block = buf + b * 4096;
            memcpy(&head, block, 8);
            wrong += memcmp(block, block + 8, 4088) != 0;
            wrong += head && (head & 0xffff) != first + b + 1;
        }
    }
    return NULL;
}

static void no_mixtures(void)
{
    pthread_t threads[6];
    uint64_t seeds[6];

    wrong = 0;
    rig_open(&rig,
             &(struct rig_config){
                 .lanes = 4, .bytes = MIX_BLOCKS * 4096, .base_bytes = 0, .extents = 8, .seed = 9});
    shake(true);
    for (uint64_t i = 0; i < 6; i++) {
        seeds[i] = 0x5000 + i;
        pthread_create(&threads[i], NULL, mixer, &seeds[i]);
    }
    for (uint32_t i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    shake(false);
    CU_ASSERT_EQUAL(wrong, 0);
    rig_close(&rig);
}

int suite_volume_model(void)
{
    static const struct unit_case cases[] = {
        {"against a model", model_plain},
        {"against a model, with faults", model_faults},
        {"against a model, with full pools", model_full},
        {"against a model, memory in front", model_ram_front},
        {"against a model, memory only", model_ram_only},
        {"against a model, with integrity", model_integrity},
        {"no mixtures", no_mixtures},
    };

    return UNIT_SUITE("volume_model", cases);
}
