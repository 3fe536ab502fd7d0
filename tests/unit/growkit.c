// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * growkit: a rig, a main loop with its mailbox, and a base that can grow.
 */
#include "growkit.h"

#include <unistd.h>
#include "loop.h"
#include "mailbox.h"
#include "unit.h"

struct rig grow_rig;
static struct loop *loop;
static struct mailbox *mailbox;
static uint8_t out[GROW_ROOM];
static uint32_t ended;
static int last_error;

static void grown(void *arg, int error)
{
    (void)arg;
    ended++;
    last_error = error;
}

void grow_open(uint64_t bytes, uint64_t base, bool grows, bool readonly)
{
    rig_open_growing(
        &grow_rig,
        &(struct rig_config){
            .lanes = 2, .bytes = bytes, .base_bytes = base, .extents = 8, .seed = bytes},
        &(struct rig_growth){.grows = grows, .readonly = readonly, .most = GROW_ROOM});
    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(&mailbox, loop), 0);
}

void grow_close(void)
{
    mailbox_close(mailbox);
    loop_close(loop);
    rig_close(&grow_rig);
}

bool grow_look(void)
{
    struct volume_growth how = {.lane = grow_rig.lanes[1], .mailbox = mailbox, .done = grown};

    return volume_check_base(grow_rig.volume, &how);
}

int grow_settle(void)
{
    uint32_t before = ended;

    if (!grow_look())
        return 0;
    for (int i = 0; i < 200 && ended == before; i++) {
        CU_ASSERT(!grow_look()); /* one at a time */
        CU_ASSERT_EQUAL(loop_turn(loop, 100), 0);
    }
    CU_ASSERT_EQUAL_FATAL(ended, before + 1);
    return last_error ? last_error : 1;
}

void grow_base(uint64_t bytes)
{
    CU_ASSERT_EQUAL_FATAL(ftruncate(grow_rig.base_fd, (off_t)bytes), 0);
}

bool grow_reads_base(uint64_t from, uint64_t to)
{
    if (rig_do(&grow_rig, 0, VIO_READ, from, to - from, out))
        return false;
    for (uint64_t i = from; i < to; i++)
        if (out[i - from] != rig_base_byte(i))
            return false;
    return true;
}

bool grow_reads(uint64_t from, uint64_t to, uint8_t value)
{
    if (rig_do(&grow_rig, 0, VIO_READ, from, to - from, out))
        return false;
    for (uint64_t i = 0; i < to - from; i++)
        if (out[i] != value)
            return false;
    return true;
}
