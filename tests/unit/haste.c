// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * haste: a wrapper the linker puts in front of loop_timer_set.  Long timers, which guard against
 * stalls, are left as they are.
 */
#include "haste.h"

#include <stdatomic.h>
#include "loop.h"

#define SHORT_MS 500u

extern void __real_loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms)
    __attribute__((weak));
void __wrap_loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms);

static _Atomic bool hasty;

void __wrap_loop_timer_set(struct loop *loop, struct loop_timer *timer, uint32_t ms)
{
    __real_loop_timer_set(loop, timer, hasty && ms <= SHORT_MS ? 1 : ms);
}

void haste(bool on)
{
    hasty = on;
}
