// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iothread: the turn, the mailbox, and the trimming of an idle arena.
 * After submitting, completions are looked for once more before sleeping: on tmpfs and in the page
 * cache they are already there, and a sleep would cost more than the I/O.
 *
 * Looking before a sleep (polling) hides what a wake-up takes from who asks for one thing at a time.  It
 * goes on in turns that wait for nothing, a few microseconds each, so descriptors and timers are served
 * meanwhile.  A wait that was longer than looking may last ends it at once; shorter ones double its time.
 * What comes again and again is something else than what is looked at: then that is left alone, too.
 */
#include "iothread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include "aio.h"
#include "arena.h"
#include "loop.h"
#include "util.h"

#define STACK_BYTES (128u * 1024)
#define TRIM_MS     2000u
#define LOOKS       64u   /* in a turn; with a pause each, some 3 us */
#define POLL_FIRST  4000u /* ns */
#define POLL_MISSES 8u

struct iothread {
    uint32_t index;
    pthread_t id;
    bool started, stop; /* stop: this thread only */
    bool again;         /* the next turn waits for nothing */
    bool worked;        /* since the arena was last trimmed */
    struct loop *loop;
    struct aio *aio;
    struct arena *arena;
    struct mailbox *mailbox;
    struct loop_source completions;
    struct loop_timer trim;
    struct list hooks;
    struct iothread_hook *last;
    uint32_t soon; /* us; 0: nobody asked */
    struct {
        uint64_t most, now; /* ns: how long it may, how long it does */
        uint64_t since;     /* clock_ns(): nothing is left to do; 0: there is */
        uint32_t misses;    /* waits in a row that something else has ended */
    } poll;
    struct work stopping;
};

static void iothread_completions(struct loop_source *source, uint32_t events)
{
    (void)events;
    aio_reap(container_of(source, struct iothread, completions)->aio);
}

void iothread_post(struct iothread *thread, struct work *work)
{
    mailbox_post(thread->mailbox, work);
}

static void iothread_trim(struct loop_timer *timer)
{
    struct iothread *thread = container_of(timer, struct iothread, trim);

    arena_trim(thread->arena);
}

static bool iothread_flush(struct iothread *thread)
{
    bool again = false;

    arena_wake(thread->arena);
    list_for_each_safe(it, next, &thread->hooks)
    {
        struct iothread_hook *hook = container_of(it, struct iothread_hook, link);
        again |= hook->flush(hook);
    }
    if (thread->last)
        again |= thread->last->flush(thread->last);
    again |= aio_submit(thread->aio);
    return again || arena_stirred(thread->arena);
}

/* Tells the processor that we only wait for another one. */
static inline void iothread_pause(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

/* What it waited for, if it did, has come: seen, or told by a descriptor. */
static void iothread_waited(struct iothread *thread, bool seen)
{
    if (!thread->poll.since)
        return;
    uint64_t ns = clock_ns() - thread->poll.since;
    thread->poll.since = 0;
    thread->poll.misses = seen || ns > thread->poll.now ? 0 : thread->poll.misses + 1;
    if (ns > thread->poll.most || thread->poll.misses > POLL_MISSES)
        thread->poll.now = 0;
    else if (ns > thread->poll.now)
        thread->poll.now = min_u64(thread->poll.most, max_u64(POLL_FIRST, 2 * thread->poll.now));
}

/* The best that any hook sees. */
static enum iothread_sight iothread_see(struct iothread *thread, uint32_t *looks)
{
    enum iothread_sight best = IOTHREAD_BLIND;

    list_for_each(it, &thread->hooks)
    {
        struct iothread_hook *hook = container_of(it, struct iothread_hook, link);
        enum iothread_sight sight = hook->look ? hook->look(hook, looks) : IOTHREAD_BLIND;
        if (sight > best)
            best = sight;
    }
    return best;
}

/* True: there is work, or it is worth looking again. */
static bool iothread_look(struct iothread *thread)
{
    enum iothread_sight sight = IOTHREAD_NOTHING;
    uint32_t looks = 0;

    while (looks < LOOKS && sight == IOTHREAD_NOTHING) {
        sight = iothread_see(thread, &looks);
        iothread_pause();
    }
    if (sight == IOTHREAD_WORK)
        iothread_waited(thread, true);
    return sight == IOTHREAD_WORK ||
           (sight == IOTHREAD_NOTHING && clock_ns() - thread->poll.since < thread->poll.now);
}

/* Nothing is left to do.  True: there is, after all, or it may come at once. */
static bool iothread_idle(struct iothread *thread)
{
    bool again = false;

    if (thread->poll.most && !thread->poll.since && !thread->soon)
        thread->poll.since = clock_ns();
    if (thread->poll.now && thread->poll.since && iothread_look(thread))
        return true;
    list_for_each_safe(it, next, &thread->hooks)
    {
        struct iothread_hook *hook = container_of(it, struct iothread_hook, link);
        again |= hook->rest && hook->rest(hook);
    }
    if (again)
        iothread_waited(thread, true);
    return again;
}

/* What ended the wait that the turn began with, if it has ended. */
static void iothread_woken(struct iothread *thread)
{
    uint32_t looks = 0;

    if (!thread->poll.since)
        return;
    if (iothread_see(thread, &looks) == IOTHREAD_WORK)
        iothread_waited(thread, true);
    else if (loop_ran(thread->loop))
        iothread_waited(thread, false);
}

/* Waits for something to do unless there is some left; 0 or negative errno. */
static int iothread_turn(struct iothread *thread)
{
    uint32_t soon = thread->soon;

    thread->soon = 0;
    int err = soon && !thread->again ? loop_turn_us(thread->loop, soon)
                                     : loop_turn(thread->loop, thread->again ? 0 : -1);
    if (err)
        return err;
    iothread_woken(thread);
    thread->again = iothread_flush(thread);
    if (aio_reap(thread->aio)) {
        iothread_waited(thread, false);
        thread->again |= iothread_flush(thread);
    }
    if (!thread->again)
        thread->again = iothread_idle(thread);
    if (arena_in_use(thread->arena)) {
        thread->worked = true;
    } else if (thread->worked) {
        thread->worked = false;
        loop_timer_set(thread->loop, &thread->trim, TRIM_MS);
    }
    return 0;
}

static void *iothread_main(void *arg)
{
    struct iothread *thread = arg;

    prctl(PR_SET_TIMERSLACK, 1000); /* ns: see iothread_soon */
    while (!thread->stop && !iothread_turn(thread))
        ;
    return NULL;
}

int iothread_open(struct iothread **out, uint32_t index, size_t arena_bytes)
{
    struct iothread *thread = calloc(1, sizeof(*thread));
    int err;

    if (!thread)
        return -ENOMEM;
    thread->index = index;
    thread->trim.fire = iothread_trim;
    list_init(&thread->hooks);
    err = loop_open(&thread->loop);
    if (!err)
        err = aio_open(&thread->aio);
    if (!err)
        err = arena_open(&thread->arena, arena_bytes);
    if (err)
        goto out;
    thread->completions = (struct loop_source){.fd = aio_fd(thread->aio),
                                               .ready = iothread_completions};
    err = mailbox_open(&thread->mailbox, thread->loop);
    if (!err)
        err = loop_add(thread->loop, &thread->completions, EPOLLIN);
out:
    if (err) {
        iothread_close(thread);
        return err;
    }
    *out = thread;
    return 0;
}

void iothread_polls(struct iothread *thread, uint32_t us)
{
    thread->poll.most = (uint64_t)us * 1000;
}

int iothread_start(struct iothread *thread)
{
    pthread_attr_t attr;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread->id, &attr, iothread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    thread->started = !err;
    return -err;
}

static void iothread_end(struct work *work)
{
    container_of(work, struct iothread, stopping)->stop = true;
}

void iothread_stop(struct iothread *thread)
{
    if (!thread || !thread->started)
        return;
    thread->stopping.run = iothread_end;
    iothread_post(thread, &thread->stopping);
    pthread_join(thread->id, NULL);
    thread->started = false;
}

void iothread_close(struct iothread *thread)
{
    if (!thread)
        return;
    iothread_stop(thread);
    arena_close(thread->arena);
    aio_close(thread->aio);
    mailbox_close(thread->mailbox);
    loop_close(thread->loop);
    free(thread);
}

struct iothread_sync {
    struct work work;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void iothread_sync_run(struct work *work)
{
    struct iothread_sync *sync = container_of(work, struct iothread_sync, work);

    sync->fn(sync->arg);
    pthread_mutex_lock(&sync->lock);
    sync->done = true;
    pthread_cond_signal(&sync->cond);
    pthread_mutex_unlock(&sync->lock);
}

void iothread_call(struct iothread *thread, void (*fn)(void *arg), void *arg)
{
    struct iothread_sync sync = {.work.run = iothread_sync_run, .fn = fn, .arg = arg};

    pthread_mutex_init(&sync.lock, NULL);
    pthread_cond_init(&sync.cond, NULL);
    iothread_post(thread, &sync.work);
    pthread_mutex_lock(&sync.lock);
    while (!sync.done)
        pthread_cond_wait(&sync.cond, &sync.lock);
    pthread_mutex_unlock(&sync.lock);
    pthread_cond_destroy(&sync.cond);
    pthread_mutex_destroy(&sync.lock);
}

void iothread_hook_add(struct iothread *thread, struct iothread_hook *hook)
{
    list_append(&thread->hooks, &hook->link);
}

void iothread_hook_last(struct iothread *thread, struct iothread_hook *hook)
{
    thread->last = hook;
}

void iothread_soon(struct iothread *thread, uint32_t us)
{
    thread->soon = us;
}

uint32_t iothread_index(const struct iothread *thread)
{
    return thread->index;
}

struct loop *iothread_loop(const struct iothread *thread)
{
    return thread->loop;
}

struct aio *iothread_aio(const struct iothread *thread)
{
    return thread->aio;
}

struct arena *iothread_arena(const struct iothread *thread)
{
    return thread->arena;
}
