// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * turn_thread: the production I/O thread, without a thread: it is turned by whoever calls turn_thread().
 */
#include <pthread.h>
#include "turn.h"

#define pthread_create(id, attr, main, arg) turn_no_thread(id, main, arg)
#define pthread_join(id, result)            ((void)(id))

static int turn_no_thread(pthread_t *id, void *(*main)(void *), void *arg)
{
    (void)main, (void)arg;
    memset(id, 0, sizeof(*id));
    return 0;
}

#define iothread_call iothread_call_threaded
void iothread_call_threaded(struct iothread *thread, void (*fn)(void *arg), void *arg);
#include "../../blkback-ephem/iothread.c"
#undef iothread_call

struct turn_call {
    struct work work;
    void (*fn)(void *arg);
    void *arg;
    bool done;
};

static void turn_call_run(struct work *work)
{
    struct turn_call *call = container_of(work, struct turn_call, work);

    call->fn(call->arg);
    call->done = true;
}

/* There is one thread, and it is here already; but what was posted before comes before. */
void iothread_call(struct iothread *thread, void (*fn)(void *arg), void *arg)
{
    struct turn_call call = {.work.run = turn_call_run, .fn = fn, .arg = arg};

    iothread_post(thread, &call.work);
    while (!call.done)
        if (loop_turn(thread->loop, 0))
            abort();
}

void turn_thread(struct iothread *thread)
{
    uint32_t looks = 0;

    if (iothread_turn(thread))
        abort();
    /* A sleep, where only descriptors are heard: nobody may have something to look at. */
    if (!thread->again)
        iothread_see(thread, &looks);
    if (looks)
        abort();
}
