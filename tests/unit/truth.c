// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * truth: bytes and owners in two arrays.  The bytes need no lock: who has taken a range is alone with
 * it.
 */
#include "truth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "rig.h"
#include "unit.h"

static uint8_t bytes[TRUTH_SECTORS * 512];
static bool taken[TRUTH_SECTORS];
static uint32_t sectors;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void truth_open(uint32_t count, uint64_t base_bytes)
{
    CU_ASSERT_FATAL(count <= TRUTH_SECTORS);
    sectors = count;
    memset(taken, 0, sizeof(taken));
    for (uint64_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = i < base_bytes ? rig_base_byte(i) : 0;
}

uint32_t truth_sectors(void)
{
    return sectors;
}

bool truth_take(uint32_t first, uint32_t count)
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

void truth_give(uint32_t first, uint32_t count)
{
    pthread_mutex_lock(&lock);
    memset(taken + first, 0, count);
    pthread_mutex_unlock(&lock);
}

/* A discard's whole blocks; the last one is whole where the volume ends. */
static void truth_zero(uint8_t *out, const struct ask *ask)
{
    uint32_t from = (ask->first + 7) / 8 * 8, end = ask->first + ask->count;
    uint32_t to = end == truth_sectors() ? end : end / 8 * 8;

    if (from < to)
        memset(out + (size_t)(from - ask->first) * 512, 0, (size_t)(to - from) * 512);
}

/* What is there once `ask` has been carried out. */
static void truth_after(uint8_t *out, const struct ask *ask)
{
    size_t n = (size_t)ask->count * 512;

    if (ask->op == ASK_WRITE)
        memcpy(out, ask->data, n);
    else if (ask->op == ASK_ZERO)
        memset(out, 0, n);
    else if (ask->op == ASK_DISCARD)
        truth_zero(out, ask);
}

void truth_apply(const struct ask *ask)
{
    truth_after(bytes + (size_t)ask->first * 512, ask);
}

bool truth_is(uint32_t first, uint32_t count, const uint8_t *data)
{
    return memcmp(bytes + (size_t)first * 512, data, (size_t)count * 512) == 0;
}

bool truth_settle(const struct ask *ask, const uint8_t *seen, bool partly, bool whole)
{
    size_t n = (size_t)ask->count * 512, same = 0;
    uint8_t *was = bytes + (size_t)ask->first * 512, *after = malloc(n);

    memcpy(after, was, n);
    truth_after(after, ask);
    bool right = memcmp(seen, was, n) == 0;
    if (!right && whole)
        right = memcmp(seen, after, n) == 0;
    while (!right && partly && same < n && memcmp(seen + same, after + same, 512) == 0)
        same += 512;
    if (!right && partly)
        right = memcmp(seen + same, was + same, n - same) == 0;
    memcpy(was, seen, n);
    free(after);
    return right;
}
