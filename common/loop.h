/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop: level-triggered epoll with timers, one per thread, no locking.  Level-triggered on
 * purpose: /dev/xen/evtchn gives no new edge for a second port (see tests/fakexen).
 * Sources and timers are embedded in their owners; the owner removes them before it goes.
 */
#ifndef EPHEM_LOOP_H
#define EPHEM_LOOP_H

#include <stdint.h>
#include "util.h"

struct loop;

/* `ready` runs in the loop's thread with the epoll events; it may remove any source, itself too. */
struct loop_source {
    int fd;
    void (*ready)(struct loop_source *source, uint32_t events);
    struct loop *loop; /* NULL while not in a loop */
};

struct loop_timer {
    struct list link;
    uint64_t due; /* ms, CLOCK_MONOTONIC */
    void (*fire)(struct loop_timer *timer);
};

int loop_open(struct loop **out);
void loop_close(struct loop *loop);

/* Owner keeps the fd; `events` as for epoll.  0 or negative errno. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
int loop_change(struct loop_source *source, uint32_t events);
void loop_remove(struct loop_source *source);

/* One-shot; set again to move it.  A zeroed timer is a valid argument to both. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms);
void loop_timer_stop(struct loop_timer *timer);

/* Waits at most `ms` (-1: for ever) and runs what is ready.  0 or negative errno. */
int loop_turn(struct loop *loop, int ms);

/* The same, but at most `us` microseconds, where the kernel can tell so little time (Linux 5.11). */
int loop_turn_us(struct loop *loop, uint32_t us);

/* How many sources were ready and timers due in the last turn. */
uint32_t loop_ran(const struct loop *loop);

/* Milliseconds, CLOCK_MONOTONIC. */
uint64_t loop_now(void);

#endif
