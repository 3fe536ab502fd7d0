/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iothread: one I/O thread of a guest: a loop, an aio context, an arena, a mailbox.  Whatever works
 * on it (lanes, ring doors, NBD connections) is touched by this thread only; other threads reach it
 * by iothread_post.
 *
 * A turn: ready descriptors and timers -> posted work -> arena waiters -> hooks -> submit.
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

/* Runs at the end of each turn, in order of addition; true asks for another turn at once. */
struct iothread_hook {
    struct list link;
    bool (*flush)(struct iothread_hook *hook);
};

/* Acquires everything but the thread itself.  0 or negative errno. */
int iothread_open(struct iothread **out, uint32_t index, size_t arena_bytes);

/* Starts the thread: small stack, all signals blocked.  0 or negative errno. */
int iothread_start(struct iothread *thread);

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
