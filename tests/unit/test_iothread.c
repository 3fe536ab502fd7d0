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

int suite_iothread(void)
{
    static const struct unit_case cases[] = {
        {"order of work", order_of_work},
        {"a refused operation", refused_operation},
    };

    return UNIT_SUITE("iothread", cases);
}
