// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop: timers fire in the order of their time, and nobody is called after his removal, even when
 * another removes him in the same turn.
 */
#include "unit.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "loop.h"

static struct loop *loop;
static char order[16];

struct mark {
    struct loop_timer timer;
    char name;
    struct loop_timer *stops;
};

static void mark_fire(struct loop_timer *timer)
{
    struct mark *mark = container_of(timer, struct mark, timer);

    order[strlen(order)] = mark->name;
    if (mark->stops)
        loop_timer_stop(mark->stops);
}

static void order_of_timers(void)
{
    struct mark a = {.timer.fire = mark_fire, .name = 'a'}, b = a, c = a, d = a;

    b.name = 'b';
    c.name = 'c';
    d.name = 'd';
    memset(order, 0, sizeof(order));
    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    loop_timer_stop(&a.timer);
    loop_timer_set(loop, &a.timer, 30);
    loop_timer_set(loop, &b.timer, 10);
    loop_timer_set(loop, &c.timer, 20);
    loop_timer_set(loop, &d.timer, 500000);
    loop_timer_set(loop, &d.timer, 20);
    CU_ASSERT_EQUAL(loop_turn(loop, 0), 0);
    uint64_t begin = loop_now();
    while (strlen(order) < 4 && loop_now() < begin + 3000)
        CU_ASSERT_EQUAL(loop_turn(loop, -1), 0);
    CU_ASSERT_STRING_EQUAL(order, "bcda");
    loop_timer_stop(&a.timer);
    loop_timer_stop(&a.timer);
    loop_close(loop);
}

static void timer_stops_another(void)
{
    struct mark a = {.timer.fire = mark_fire, .name = 'a'}, b = a, c = a;

    b.name = 'b';
    c.name = 'c';
    a.stops = &b.timer;
    memset(order, 0, sizeof(order));
    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    loop_timer_set(loop, &a.timer, 1);
    loop_timer_set(loop, &b.timer, 1);
    loop_timer_set(loop, &c.timer, 1);
    unit_sleep(5);
    CU_ASSERT_EQUAL(loop_turn(loop, 0), 0);
    CU_ASSERT_STRING_EQUAL(order, "ac");
    loop_close(loop);
}

struct bell {
    struct loop_source source;
    struct bell *removes;
    unsigned int rung;
};

static void bell_ready(struct loop_source *source, uint32_t events)
{
    struct bell *bell = container_of(source, struct bell, source);

    CU_ASSERT(events & EPOLLIN);
    bell->rung++;
    if (bell->removes)
        loop_remove(&bell->removes->source);
}

static void bell_open(struct bell *bell, struct bell *removes)
{
    memset(bell, 0, sizeof(*bell));
    bell->source.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    bell->source.ready = bell_ready;
    bell->removes = removes;
    CU_ASSERT_EQUAL(loop_add(loop, &bell->source, EPOLLIN), 0);
}

static void removal_in_turn(void)
{
    struct bell a, b, self;

    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    bell_open(&a, &b);
    bell_open(&b, &a);
    bell_open(&self, &self);
    CU_ASSERT_EQUAL(loop_turn(loop, 0), 0);
    CU_ASSERT_EQUAL(a.rung + b.rung, 1);
    CU_ASSERT_EQUAL(self.rung, 1);
    CU_ASSERT_EQUAL(loop_turn(loop, 0), 0);
    CU_ASSERT_EQUAL(a.rung + b.rung, 2); /* level-triggered: the other goes on */
    CU_ASSERT_EQUAL(self.rung, 1);
    loop_remove(&a.source);
    loop_remove(&b.source);
    loop_remove(&self.source);
    close(a.source.fd);
    close(b.source.fd);
    close(self.source.fd);
    loop_close(loop);
}

static void bad_source(void)
{
    struct loop_source source = {.fd = -1};

    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    CU_ASSERT(loop_add(loop, &source, EPOLLIN) < 0);
    CU_ASSERT_PTR_NULL(source.loop);
    loop_remove(&source);
    loop_close(loop);
}

int suite_loop(void)
{
    static const struct unit_case cases[] = {
        {"order of timers", order_of_timers},
        {"a timer stops another", timer_stops_another},
        {"removal during a turn", removal_in_turn},
        {"bad descriptor", bad_source},
    };

    return UNIT_SUITE("loop", cases);
}
