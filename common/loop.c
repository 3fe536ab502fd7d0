// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop: epoll_wait, then the ready sources, then the due timers.  A source removed during a turn
 * is blanked out of the events still to be run, so nobody is called after his removal.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include "util.h"

#define LOOP_EVENTS 64

struct loop {
    int epoll;
    int ready;    /* events of the running turn */
    uint32_t ran; /* sources and timers of the last one */
    struct list timers;
    struct epoll_event events[LOOP_EVENTS];
};

uint64_t loop_now(void)
{
    return clock_ns() / 1000000;
}

int loop_open(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        int err = -errno;
        free(loop);
        return err;
    }
    list_init(&loop->timers);
    *out = loop;
    return 0;
}

void loop_close(struct loop *loop)
{
    if (!loop)
        return;
    close(loop->epoll);
    free(loop);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = source};

    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &ev))
        return -errno;
    source->loop = loop;
    return 0;
}

int loop_change(struct loop_source *source, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = source};

    return epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &ev) ? -errno : 0;
}

void loop_remove(struct loop_source *source)
{
    struct loop *loop = source->loop;

    if (!loop)
        return;
    epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    source->loop = NULL;
    for (int i = 0; i < loop->ready; i++)
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (timer->link.next)
        list_remove(&timer->link);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms)
{
    struct list *at = loop->timers.prev;

    if (timer->link.next)
        list_remove(&timer->link);
    else
        list_init(&timer->link);
    timer->due = loop_now() + ms;
    at = loop->timers.prev;
    while (at != &loop->timers && container_of(at, struct loop_timer, link)->due > timer->due)
        at = at->prev;
    list_append(at->next, &timer->link);
}

static int loop_patience(const struct loop *loop, int ms)
{
    if (list_empty(&loop->timers))
        return ms;
    uint64_t now = loop_now();
    uint64_t due = container_of(loop->timers.next, struct loop_timer, link)->due;
    int until = due <= now ? 0 : (int)min_u64(due - now, 3600000);
    return ms < 0 || until < ms ? until : ms;
}

/* What epoll has found. */
static int loop_run(struct loop *loop, int n)
{
    loop->ran = 0;
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    loop->ready = n;
    loop->ran = (uint32_t)n;
    for (int i = 0; i < n; i++) {
        struct loop_source *source = loop->events[i].data.ptr;
        if (source)
            source->ready(source, loop->events[i].events);
    }
    loop->ready = 0;

    uint64_t now = list_empty(&loop->timers) ? 0 : loop_now();
    while (!list_empty(&loop->timers)) {
        struct loop_timer *timer = container_of(loop->timers.next, struct loop_timer, link);
        if (timer->due > now)
            break;
        list_remove(&timer->link);
        loop->ran++;
        timer->fire(timer);
    }
    return 0;
}

uint32_t loop_ran(const struct loop *loop)
{
    return loop->ran;
}

int loop_turn(struct loop *loop, int ms)
{
    return loop_run(loop,
                    epoll_wait(loop->epoll, loop->events, LOOP_EVENTS, loop_patience(loop, ms)));
}

int loop_turn_us(struct loop *loop, uint32_t us)
{
    int ms = loop_patience(loop, -1);
    struct timespec wait = {.tv_nsec = (long)min_u32(us, 999999) * 1000};
    int n = -1;

    if (!ms)
        wait.tv_nsec = 0;
    n = epoll_pwait2(loop->epoll, loop->events, LOOP_EVENTS, &wait, NULL);
    if (n < 0 && errno == ENOSYS)
        return loop_turn(loop, 0);
    return loop_run(loop, n);
}
