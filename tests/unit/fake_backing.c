// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake_backing: counts as wrong whatever a pool may not do: punch what is not there, release what
 * still is, name an extent that has no home.
 */
#include "fake_backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "unit.h"
#include "util.h"

#define WAIT_MS 20000u
#define ROUNDS  1000u /* of being kicked for nothing */

static struct fake_backing *fake_of(struct backing *backing)
{
    return container_of(backing, struct fake_backing, backing);
}

static bool fake_fails(struct fake_backing *fake)
{
    if (fake->fail_at > 1) {
        fake->fail_at--;
        return false;
    }
    return fake->fail_at == 1;
}

/* The highest free place, so that a home is not the extent's number. */
static int fake_place(struct fake_backing *fake, uint64_t *home)
{
    uint32_t at = FAKE_HOMES;

    if (fake->homes >= fake->allowed)
        return -ENOSPC;
    while (at && fake->taken[at - 1])
        at--;
    if (!at)
        return -ENOSPC;
    fake->taken[at - 1] = true;
    fake->homes++;
    *home = (at - 1) * BACKING_EXTENT;
    return 0;
}

static int fake_store(struct fake_backing *fake, bool again, uint64_t *home)
{
    int err = again ? 0 : fake_place(fake, home);

    if (err)
        return err;
    fake->wrong += !fake->taken[*home / BACKING_EXTENT];
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++) {
        bool *there = &fake->there[*home / BLOCK_SIZE + i];
        fake->wrong += *there && !again;
        fake->blocks += !*there;
        *there = true;
    }
    if (fake->blocks > fake->most)
        fake->most = fake->blocks;
    return 0;
}

static int fake_grow(struct backing *backing, uint32_t extent, bool again, uint64_t *home)
{
    struct fake_backing *fake = fake_of(backing);
    int err = 0;

    (void)extent;
    fake->grows++;
    fake->growing = true;
    if (fake->pause_ms)
        unit_sleep(fake->pause_ms);
    if (fake_fails(fake))
        err = fake->error;
    pthread_mutex_lock(&fake->lock);
    if (!err)
        err = fake_store(fake, again, home);
    pthread_mutex_unlock(&fake->lock);
    fake->failed += err != 0;
    fake->growing = false;
    return err;
}

static void fake_punch(struct backing *backing, uint64_t offset, uint64_t length)
{
    struct fake_backing *fake = fake_of(backing);

    fallocate(backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
              (off_t)length);
    pthread_mutex_lock(&fake->lock);
    fake->punches++;
    for (uint64_t at = offset / BLOCK_SIZE; at < (offset + length) / BLOCK_SIZE; at++) {
        fake->wrong += !fake->there[at];
        fake->blocks -= fake->there[at];
        fake->there[at] = false;
    }
    pthread_mutex_unlock(&fake->lock);
}

static void fake_release(struct backing *backing, uint64_t home)
{
    struct fake_backing *fake = fake_of(backing);

    pthread_mutex_lock(&fake->lock);
    fake->wrong += !fake->taken[home / BACKING_EXTENT];
    for (uint32_t i = 0; i < SLOTS_PER_EXTENT; i++)
        fake->wrong += fake->there[home / BLOCK_SIZE + i];
    fake->taken[home / BACKING_EXTENT] = false;
    fake->homes--;
    pthread_mutex_unlock(&fake->lock);
}

static uint64_t fake_left(struct backing *backing)
{
    return fake_of(backing)->left;
}

static void fake_close(struct backing *backing)
{
    struct fake_backing *fake = fake_of(backing);

    fake->wrong += fake->growing;
    close(backing->fd);
    backing->fd = -1;
    pthread_mutex_destroy(&fake->lock);
}

struct pool *fake_pool(struct fake_backing *fake, struct pool_config *config)
{
    static const struct backing_ops ops = {.grow = fake_grow,
                                           .punch = fake_punch,
                                           .release = fake_release,
                                           .left = fake_left,
                                           .close = fake_close};
    struct pool *pool = NULL;

    memset(fake, 0, sizeof(*fake));
    pthread_mutex_init(&fake->lock, NULL);
    fake->allowed = FAKE_HOMES;
    fake->left = UINT64_MAX;
    fake->backing.ops = &ops;
    fake->backing.fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CU_ASSERT_EQUAL_FATAL(ftruncate(fake->backing.fd, (off_t)(FAKE_HOMES * BACKING_EXTENT)), 0);
    config->fd = fake->backing.fd;
    CU_ASSERT_EQUAL_FATAL(pool_open_on(&pool, config, &fake->backing), 0);
    CU_ASSERT_EQUAL_FATAL(pool_start(pool), 0);
    return pool;
}

bool fake_is_there(struct fake_backing *fake, uint64_t offset)
{
    pthread_mutex_lock(&fake->lock);
    bool there = fake->there[offset / BLOCK_SIZE];
    pthread_mutex_unlock(&fake->lock);
    return there;
}

uint64_t fake_blocks(struct fake_backing *fake)
{
    pthread_mutex_lock(&fake->lock);
    uint64_t blocks = fake->blocks;
    pthread_mutex_unlock(&fake->lock);
    return blocks;
}

void fake_break(struct fake_backing *fake, bool broken)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fake->backing.fd);
    int other = open(path, (broken ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    CU_ASSERT_FATAL(other >= 0);
    CU_ASSERT_EQUAL(dup3(other, fake->backing.fd, O_CLOEXEC), fake->backing.fd);
    close(other);
}

void fake_break_first(struct fake_backing *fake)
{
    CU_ASSERT_EQUAL(ftruncate(fake->backing.fd, (off_t)((FAKE_HOMES - 1) * BACKING_EXTENT)), 0);
    CU_ASSERT_EQUAL(fcntl(fake->backing.fd, F_ADD_SEALS, F_SEAL_GROW), 0);
}

static void waiter_kick(struct pool_waiter *waiter)
{
    struct unit_waiter *me = container_of(waiter, struct unit_waiter, waiter);

    pthread_mutex_lock(&me->lock);
    me->kicks++;
    pthread_cond_signal(&me->cond);
    pthread_mutex_unlock(&me->lock);
}

void waiter_init(struct unit_waiter *waiter)
{
    memset(waiter, 0, sizeof(*waiter));
    list_init(&waiter->waiter.link);
    waiter->waiter.kick = waiter_kick;
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_cond_init(&waiter->cond, NULL);
}

bool waiter_wait(struct unit_waiter *waiter, unsigned int ms)
{
    struct timespec until;
    int err = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->kicks && !err)
        err = pthread_cond_timedwait(&waiter->cond, &waiter->lock, &until);
    bool kicked = waiter->kicks;
    waiter->kicks = 0;
    pthread_mutex_unlock(&waiter->lock);
    return kicked;
}

uint32_t waiter_kicks(struct unit_waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    uint32_t kicks = waiter->kicks;
    pthread_mutex_unlock(&waiter->lock);
    return kicks;
}

int waiter_take(struct unit_waiter *waiter, struct pool *pool, struct pool_slots *slots, bool first,
                uint32_t refusals)
{
    uint32_t rounds = 0;
    int err;

    while ((err = pool_take(pool, slots, first, &waiter->waiter))) {
        if (++rounds == ROUNDS) {
            err = -ELOOP;
            break;
        }
        if (err == -ENOSPC) {
            waiter->told++;
            if (!refusals--)
                break;
        }
        if (!waiter_wait(waiter, WAIT_MS)) {
            err = -ETIMEDOUT;
            break;
        }
    }
    pool_forget(pool, &waiter->waiter);
    return err;
}

bool unit_until(bool (*condition)(void *arg), void *arg)
{
    for (unsigned int ms = 0; ms < WAIT_MS; ms++) {
        if (condition(arg))
            return true;
        unit_sleep(1);
    }
    return false;
}
