// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_grow under load: requests around an end that moves on.
 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "growkit.h"
#include "shake.h"

/*
 * Load around the end while it moves on by odd steps: each client has a sector of every block for
 * itself, so it always knows what must be there, and all of them share the last block.
 */
#define CLIENTS 4u
#ifdef __SANITIZE_THREAD__
#define STEPS 60u
#else
#define STEPS 200u
#endif

static _Atomic uint32_t wrong;
static _Atomic bool over;

static void *client(void *arg)
{
    uint64_t seed = *(uint64_t *)arg, me = seed % CLIENTS;
    uint8_t written[64] = {0}, buf[512], want[512];

    while (!over) {
        uint64_t sectors = volume_bytes(grow_rig.volume) / 512, last = (sectors - 1) / 8;
        uint64_t block = last - unit_below(&seed, last < 3 ? last + 1 : 3);
        uint64_t sector = block * 8 + me + 4 * unit_below(&seed, 2);
        if (sector >= sectors || sector % 8 != me)
            continue;
        uint64_t at = sector * 512;
        bool write = unit_below(&seed, 2);
        if (write) {
            written[block] = (uint8_t)(1 + unit_below(&seed, 255));
            memset(buf, written[block], 512);
        }
        wrong += rig_do(&grow_rig, (uint32_t)me % 2, write ? VIO_WRITE : VIO_READ, at, 512, buf) !=
                 0;
        for (uint32_t i = 0; i < 512; i++)
            want[i] = written[block] ? written[block] : rig_base_byte(at + i);
        wrong += !write && memcmp(buf, want, 512);
    }
    return NULL;
}

static void under_load(void)
{
    for (uint64_t round = 1; round <= STEPS / 10; round++) {
        pthread_t threads[CLIENTS];
        uint64_t seeds[CLIENTS], random = round, bytes = 512 * (1 + unit_below(&random, 20));

        wrong = 0;
        over = false;
        grow_open(bytes, bytes, true, false);
        shake(true);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            seeds[i] = round * 1000 * CLIENTS + i;
            pthread_create(&threads[i], NULL, client, &seeds[i]);
        }
        while (bytes < GROW_ROOM - 12 * 512) {
            bytes += 512 * (1 + unit_below(&random, 12));
            grow_base(bytes);
            CU_ASSERT_EQUAL(grow_settle(), 1);
            CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), bytes);
        }
        over = true;
        for (uint32_t i = 0; i < CLIENTS; i++)
            pthread_join(threads[i], NULL);
        shake(false);
        CU_ASSERT_EQUAL(wrong, 0);
        grow_close();
    }
}

/* Discards up to the end race with its moving on: what is behind the old end is base in any case. */
static void *discarder(void *arg)
{
    (void)arg;
    while (!over) {
        uint64_t bytes = volume_bytes(grow_rig.volume);
        uint64_t from = bytes / 4096 * 4096;
        wrong += bytes > from && rig_do(&grow_rig, 0, VIO_DISCARD, from, bytes - from, NULL);
    }
    return NULL;
}

static void against_discards(void)
{
    for (uint64_t round = 1; round <= STEPS / 10; round++) {
        pthread_t thread;
        uint64_t random = round, bytes = 512 * (1 + unit_below(&random, 20));

        wrong = 0;
        over = false;
        grow_open(bytes, bytes, true, false);
        shake(true);
        pthread_create(&thread, NULL, discarder, NULL);
        while (bytes < GROW_ROOM - 12 * 512) {
            uint64_t old = bytes;
            bytes += 512 * (1 + unit_below(&random, 12));
            grow_base(bytes);
            CU_ASSERT_EQUAL(grow_settle(), 1);
            /* Behind the old end, as far as no discard of the new end reaches. */
            uint64_t to = bytes / 4096 * 4096;
            CU_ASSERT(old >= to || grow_reads_base(old, to));
        }
        over = true;
        pthread_join(thread, NULL);
        shake(false);
        CU_ASSERT_EQUAL(wrong, 0);
        grow_close();
    }
}

int suite_volume_race(void)
{
    static const struct unit_case cases[] = {
        {"growing under load", under_load},
        {"growing against discards", against_discards},
    };

    return UNIT_SUITE("volume_race", cases);
}
