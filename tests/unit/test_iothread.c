// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iothread: posted work runs in order, and what has completed is not left lying until something else
 * happens.
 */
#include "unit.h"

#include <stdatomic.h>
#include <string.h>
#include "aio.h"
#include "fake_aio.h"
#include "iothread.h"
#include "util.h"

static struct iothread *thread;

struct item {
    struct work work;
    uint32_t number;
};

static _Atomic uint32_t ran, wrong;

static void item_run(struct work *work)
{
    struct item *item = container_of(work, struct item, work);

    wrong += item->number != ran;
    ran++;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void order_of_work(void)
{
    static struct item items[2000];

    fake_aio_reset(1);
    ran = wrong = 0;
    CU_ASSERT_EQUAL_FATAL(iothread_open(&thread, 3, 64 * 4096), 0);
    CU_ASSERT_EQUAL(iothread_index(thread), 3);
    CU_ASSERT_EQUAL_FATAL(iothread_start(thread), 0);
    for (uint32_t i = 0; i < 2000; i++) {
        items[i].work.run = item_run;
        items[i].number = i;
        iothread_post(thread, &items[i].work);
    }
    iothread_call(thread, nothing, NULL);
    CU_ASSERT(ran == 2000 && wrong == 0);
    iothread_stop(thread);
    iothread_close(thread);
}

static struct aio_op op;
static struct iothread_hook hook;
static _Atomic uint32_t completed, answered;

static void op_done(struct aio_op *done, int64_t result)
{
    (void)done;
    CU_ASSERT(result < 0);
    completed++;
}

static bool hook_flush(struct iothread_hook *h)
{
    (void)h;
    answered = completed;
    return false;
}

static void op_queue(void *arg)
{
    (void)arg;
    op.done = op_done;
    aio_read(iothread_aio(thread), &op, 0, NULL, 0, 0);
}

/* A door answers in its hook, also for an operation that fails at once. */
static void refused_operation(void)
{
    fake_aio_reset(2);
    fake_aio_refuse(true);
    completed = answered = 0;
    CU_ASSERT_EQUAL_FATAL(iothread_open(&thread, 0, 64 * 4096), 0);
    hook.flush = hook_flush;
    iothread_hook_add(thread, &hook);
    CU_ASSERT_EQUAL_FATAL(iothread_start(thread), 0);
    iothread_call(thread, op_queue, NULL);
    for (uint32_t i = 0; i < 100 && !answered; i++)
        unit_sleep(5);
    CU_ASSERT_EQUAL(answered, 1);
    fake_aio_refuse(false);
    iothread_stop(thread);
    iothread_close(thread);
}

static _Atomic uint32_t looks, rests, flushes, reasons;

static bool watch_flush(struct iothread_hook *h)
{
    (void)h;
    flushes++;
    return false;
}

static enum iothread_sight watch_look(struct iothread_hook *h, uint32_t *n)
{
    (void)h;
    ++*n;
    looks++;
    return IOTHREAD_NOTHING;
}

/* There is work after all, as often as `reasons` says. */
static bool watch_rest(struct iothread_hook *h)
{
    (void)h;
    rests++;
    if (!reasons)
        return false;
    reasons--;
    return true;
}

static void watch(uint32_t us)
{
    static struct iothread_hook watching;

    fake_aio_reset(3);
    looks = rests = flushes = reasons = 0;
    CU_ASSERT_EQUAL_FATAL(iothread_open(&thread, 0, 64 * 4096), 0);
    watching = (struct iothread_hook){.flush = watch_flush, .look = watch_look, .rest = watch_rest};
    iothread_hook_add(thread, &watching);
    iothread_polls(thread, us);
    CU_ASSERT_EQUAL_FATAL(iothread_start(thread), 0);
}

static void watched(void)
{
    iothread_stop(thread);
    iothread_close(thread);
}

static void some_reasons(void *arg)
{
    (void)arg;
    reasons = 7;
    flushes = 0;
}

/* Each turn that a rest asks for is taken, and before each sleep there is one. */
static void rest_before_sleep(void)
{
    watch(0);
    iothread_call(thread, some_reasons, NULL);
    for (uint32_t i = 0; i < 2000 && (reasons || flushes < 8); i++)
        unit_sleep(1);
    CU_ASSERT(reasons == 0 && flushes >= 8 && rests >= 8);
    CU_ASSERT_EQUAL(looks, 0);
    watched();
}

/* It looks when what it waits for comes soon, and sleeps at once when that took long. */
static void looks_where_it_is_worth_it(void)
{
    watch(1000);
    for (uint32_t i = 0; i < 100000 && !looks; i++)
        iothread_call(thread, nothing, NULL);
    CU_ASSERT(looks > 0);
    unit_sleep(50);
    iothread_call(thread, nothing, NULL);
    uint32_t before = looks, rested = rests;
    unit_sleep(20);
    CU_ASSERT(looks <= before + 1); /* as it wakes */
    CU_ASSERT(rested > 0);
    watched();
}

static void wait_briefly(uint64_t ns)
{
    uint64_t start = clock_ns();

    while (clock_ns() - start < ns)
        ;
}

/* Who is woken again and again by something else gives up looking, so that it comes to rest. */
static void something_else(void)
{
    watch(1000000);
    for (uint32_t i = 0; i < 100000 && !looks; i++)
        iothread_call(thread, nothing, NULL);
    CU_ASSERT(looks > 0);
    rests = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        iothread_call(thread, nothing, NULL);
        wait_briefly(20000);
    }
    CU_ASSERT(rests >= 50);
    watched();
}

int suite_iothread(void)
{
    static const struct unit_case cases[] = {
        {"order of work", order_of_work},
        {"a refused operation", refused_operation},
        {"rest before sleep", rest_before_sleep},
        {"looks where it is worth it", looks_where_it_is_worth_it},
        {"something else", something_else},
    };

    return UNIT_SUITE("iothread", cases);
}
