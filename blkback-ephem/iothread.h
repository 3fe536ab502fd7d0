/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iothread: one I/O thread of a guest: a loop, an aio context, an arena, a mailbox.  Whatever works
 * on it (lanes, ring doors, NBD connections) is touched by this thread only; other threads reach it
 * by iothread_post.
 *
 * A turn: ready descriptors and timers -> posted work -> arena waiters -> hooks -> submit; and when nothing
 * is left to do -> look for a while -> rest -> sleep.
 */
#ifndef EPHEM_IOTHREAD_H
#define EPHEM_IOTHREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mailbox.h"
#include "util.h"

struct iothread;
struct aio;
struct arena;
struct loop;

/* What a hook sees of what no descriptor tells of. */
enum iothread_sight {
    IOTHREAD_BLIND,   /* there is nothing worth looking at: sleep */
    IOTHREAD_NOTHING, /* not yet */
    IOTHREAD_WORK,    /* its next flush will do it */
};

/* `flush` runs at the end of each turn, in order of addition; true asks for another turn at once.  The
 * others may be NULL. */
struct iothread_hook {
    struct list link;
    bool (*flush)(struct iothread_hook *hook);
    /* Cheap, without a system call; adds to *looks how many places it looked at. */
    enum iothread_sight (*look)(struct iothread_hook *hook, uint32_t *looks);
    /* Before a sleep: there is nothing to look at any more.  True: there is work after all. */
    bool (*rest)(struct iothread_hook *hook);
};

/* Acquires everything but the thread itself.  0 or negative errno. */
int iothread_open(struct iothread **out, uint32_t index, size_t arena_bytes);

/* Starts the thread: small stack, all signals blocked.  0 or negative errno. */
int iothread_start(struct iothread *thread);

/*
 * Before it starts: how long it may look, at most, when nothing is left to do and some hook sees something
 * worth it, before it sleeps; in microseconds; 0, the default: not at all.  It learns
 * from its sleeps: it looks only where what it waited for has lately come within that time.
 */
void iothread_polls(struct iothread *thread, uint32_t us);

/* Ends it after the turn it is in; from another thread. */
void iothread_stop(struct iothread *thread);
void iothread_close(struct iothread *thread);

/* Any thread.  The work item is the poster's until it runs. */
void iothread_post(struct iothread *thread, struct work *work);

/* Runs fn(arg) in the thread and waits for it.  Not from an I/O thread. */
void iothread_call(struct iothread *thread, void (*fn)(void *arg), void *arg);

/* Only for users on the thread itself, or before it starts. */
void iothread_hook_add(struct iothread *thread, struct iothread_hook *hook);
/* The one that runs after all others. */
void iothread_hook_last(struct iothread *thread, struct iothread_hook *hook);
/* From a hook: the next turn comes in so many microseconds, if nothing happens before. */
void iothread_soon(struct iothread *thread, uint32_t us);
uint32_t iothread_index(const struct iothread *thread);
struct loop *iothread_loop(const struct iothread *thread);
struct aio *iothread_aio(const struct iothread *thread);
struct arena *iothread_arena(const struct iothread *thread);

#endif
