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
static _Atomic uint32_t sectors, soon;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void truth_open(uint32_t count, uint64_t base_bytes)
{
    CU_ASSERT_FATAL(count <= TRUTH_SECTORS);
    CU_ASSERT_FATAL(base_bytes <= sizeof(bytes));
    sectors = soon = count;
    memset(taken, 0, sizeof(taken));
    rig_base_fill(bytes, base_bytes);
    if (base_bytes < count * 512u)
        memset(bytes + base_bytes, 0, count * 512u - base_bytes);
}

uint32_t truth_sectors(void)
{
    return sectors;
}

uint32_t truth_soon(void)
{
    return soon;
}

void truth_grows(uint32_t count)
{
    soon = count;
}

void truth_has_grown(void)
{
    sectors = soon;
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

/* A discard's whole blocks; `whole`: the last one is, since the volume ends there. */
static void truth_zero(uint8_t *out, const struct ask *ask, bool whole)
{
    uint32_t from = (ask->first + 7) / 8 * 8, end = ask->first + ask->count;
    uint32_t to = whole ? end : end / 8 * 8;

    if (from < to)
        memset(out + (size_t)(from - ask->first) * 512, 0, (size_t)(to - from) * 512);
}

/* What is there once `ask` has been carried out. */
static void truth_after(uint8_t *out, const struct ask *ask, bool whole)
{
    size_t n = (size_t)ask->count * 512;

    if (ask->op == ASK_WRITE)
        memcpy(out, ask->data, n);
    else if (ask->op == ASK_ZERO)
        memset(out, 0, n);
    else if (ask->op == ASK_DISCARD)
        truth_zero(out, ask, whole);
}

static bool truth_at_end(const struct ask *ask)
{
    return ask->first + ask->count == ask->known;
}

bool truth_sure(const struct ask *ask)
{
    uint32_t end = ask->first + ask->count;

    return ask->op != ASK_DISCARD || end % 8 == 0 || end < ask->known ||
           (truth_at_end(ask) && truth_soon() == end);
}

void truth_apply(const struct ask *ask)
{
    truth_after(bytes + (size_t)ask->first * 512, ask, truth_at_end(ask));
}

bool truth_is(uint32_t first, uint32_t count, const uint8_t *data)
{
    return memcmp(bytes + (size_t)first * 512, data, (size_t)count * 512) == 0;
}

static bool truth_may_be(const uint8_t *seen, const uint8_t *was, const uint8_t *after, size_t n,
                         uint32_t may)
{
    size_t same = 0;

    if (may & TRUTH_OLD && memcmp(seen, was, n) == 0)
        return true;
    if (may & TRUTH_NEW && memcmp(seen, after, n) == 0)
        return true;
    if (!(may & TRUTH_PART))
        return false;
    while (same < n && memcmp(seen + same, after + same, 512) == 0)
        same += 512;
    return memcmp(seen + same, was + same, n - same) == 0;
}

bool truth_settle(const struct ask *ask, const uint8_t *seen, uint32_t may)
{
    size_t n = (size_t)ask->count * 512;
    uint8_t *was = bytes + (size_t)ask->first * 512, *after = malloc(n);
    bool right = false;

    for (int whole = 0; whole < 2; whole++) {
        if (truth_sure(ask) && whole != truth_at_end(ask))
            continue;
        memcpy(after, was, n);
        truth_after(after, ask, whole);
        right |= truth_may_be(seen, was, after, n, may);
    }
    memcpy(was, seen, n);
    free(after);
    return right;
}
