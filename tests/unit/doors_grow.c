// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doors_grow: a base that grows under its volume.  Done by the thread that accepts, as the guest's main
 * thread does it; what failed is tried again at once, not at the next tick.
 */
#include "doors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "truth.h"
#include "unit.h"

#define FAILURES_MOST 20000u

static void there_ended(void *arg, int error)
{
    struct doors *doors = arg;
    struct doors_growth *growth = &doors->growth;

    if (error) {
        if (++growth->failures > FAILURES_MOST) {
            fprintf(stderr, "the volume never grows\n");
            abort();
        }
        unit_sleep(1);
        mailbox_post(doors->mailbox, &growth->work);
        return;
    }
    if (volume_bytes(doors->rig.volume) != truth_soon() * 512ull) {
        fprintf(stderr, "the volume has grown, but to another size\n");
        abort();
    }
    truth_has_grown();
    growth->running = false;
}

static void there_look(struct work *work)
{
    struct doors *doors = container_of(work, struct doors, growth.work);
    uint32_t lane = truth_soon() % doors->rig.config.lanes;
    struct volume_growth how = {.lane = doors->rig.lanes[lane],
                                .mailbox = doors->mailbox,
                                .done = there_ended,
                                .arg = doors};

    if (!volume_check_base(doors->rig.volume, &how))
        there_ended(doors, -EAGAIN);
}

void doors_grow(struct doors *doors, uint32_t sectors)
{
    struct doors_growth *growth = &doors->growth;

    CU_ASSERT_FALSE_FATAL(growth->running);
    growth->running = true;
    growth->work.run = there_look;
    truth_grows(sectors);
    /* Not a whole sector more: those are rounded down. */
    CU_ASSERT_EQUAL_FATAL(ftruncate(doors->rig.base_fd, sectors * 512 + sectors % 512), 0);
    mailbox_post(doors->mailbox, &growth->work);
}

void doors_grow_wait(struct doors *doors)
{
    for (uint32_t ms = 0; doors->growth.running && ms < CALLER_WAIT_MS; ms++)
        unit_sleep(1);
    CU_ASSERT_FALSE_FATAL(doors->growth.running);
}
