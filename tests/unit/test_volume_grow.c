// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_grow: what a volume shows after its base has grown, at even and odd ends; what does not make
 * it grow; growing that fails; and growing under load, with a model.  The base's disk has its final
 * bytes from the start, its file has the size of the moment.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alloc.h"
#include "fake_aio.h"
#include "growkit.h"
#include "index.h"

static uint8_t in[GROW_ROOM], out[4096];

static void even(void)
{
    grow_open(8 * 4096, 8 * 4096, true, false);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    grow_base(20 * 4096);
    CU_ASSERT_EQUAL(grow_settle(), 1);
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 20 * 4096);
    CU_ASSERT_EQUAL(volume_base_bytes(grow_rig.volume), 20 * 4096);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    CU_ASSERT(grow_reads_base(0, 20 * 4096));
    CU_ASSERT_EQUAL(rig_pool_used(&grow_rig), 0);
    memset(in, 0x77, 4096);
    CU_ASSERT_EQUAL(rig_do(&grow_rig, 1, VIO_WRITE, 18 * 4096 + 512, 1024, in), 0);
    CU_ASSERT(grow_reads_base(17 * 4096, 18 * 4096 + 512));
    CU_ASSERT(grow_reads(18 * 4096 + 512, 18 * 4096 + 1536, 0x77));
    CU_ASSERT(grow_reads_base(18 * 4096 + 1536, 20 * 4096));
    CU_ASSERT_EQUAL(rig_do(&grow_rig, 1, VIO_DISCARD, 0, 20 * 4096, NULL), 0);
    CU_ASSERT(grow_reads(0, 20 * 4096, 0));
    grow_close();
}

enum last_block { UNTOUCHED, WRITTEN, DISCARDED, ODD_STATES };

/* Ends inside a block, in each state that block can have; grown twice, the first time within it. */
static void odd_one(uint64_t old, uint64_t next, enum last_block state, bool readonly)
{
    uint64_t block = old / 4096 * 4096;

    grow_open(old, old, true, readonly);
    memset(in, 0x55, 512);
    if (state == WRITTEN)
        CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_WRITE, block, 512, in), 0);
    if (state == DISCARDED)
        CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_DISCARD, 0, old, NULL), 0);
    for (uint64_t bytes = next; bytes; bytes = bytes == next ? 30 * 4096 + 512 : 0) {
        grow_base(bytes + 100); /* rounded down to sectors */
        CU_ASSERT_EQUAL(grow_settle(), 1);
        CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), bytes);
        CU_ASSERT(grow_reads_base(old, bytes));
        if (state == WRITTEN)
            CU_ASSERT(grow_reads(block, block + 512, 0x55));
        if (state == DISCARDED)
            CU_ASSERT(grow_reads(0, old, 0));
        if (state == UNTOUCHED)
            CU_ASSERT(grow_reads_base(0, bytes));
    }
    grow_close();
}

static void odd(void)
{
    for (enum last_block state = 0; state < ODD_STATES; state++)
        for (uint64_t sectors = 1; sectors < 8; sectors++) {
            uint64_t old = 5 * 4096 + sectors * 512;
            odd_one(old, old + 512, state, false);
            odd_one(old, 9 * 4096, state, false);
        }
    odd_one(5 * 4096 + 512, 9 * 4096, UNTOUCHED, true);
}

/* A discard to the end covers the region's rest for the index; what grows behind is base all the same.
 * And what is between old and new end of the index can be given back at the end. */
static void discarded_to_the_end(void)
{
    grow_open(3 * 4096, 3 * 4096, true, false);
    CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_DISCARD, 0, 3 * 4096, NULL), 0);
    grow_base(GROW_ROOM);
    CU_ASSERT_EQUAL(grow_settle(), 1);
    CU_ASSERT(grow_reads(0, 3 * 4096, 0));
    CU_ASSERT(grow_reads_base(3 * 4096, GROW_ROOM));
    CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_WRITE, GROW_ROOM - 4096, 4096, in), 0);
    grow_close();
}

/* With a size of its own a volume keeps it, and the zeros behind the base it began with. */
static void sized(void)
{
    grow_open(20 * 4096, 8 * 4096 + 512, false, false);
    grow_base(16 * 4096);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 20 * 4096);
    CU_ASSERT(grow_reads_base(0, 8 * 4096 + 512));
    CU_ASSERT(grow_reads(8 * 4096 + 512, 20 * 4096, 0));
    grow_base(GROW_ROOM);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    CU_ASSERT(grow_reads(8 * 4096 + 512, 20 * 4096, 0));
    grow_close();
}

static void touch(void)
{
    static const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    CU_ASSERT_EQUAL_FATAL(futimens(grow_rig.base_fd, past), 0);
}

enum harm { TOUCHED, SHRUNK, OPEN_FOR_WRITING, HARMS };

/* Changed and not just grown: reads of the base fail, the volume stays, one line says it. */
static void changed(void)
{
    for (enum harm harm = 0; harm < HARMS; harm++) {
        char path[] = "/var/tmp/ephem-grow.XXXXXX";
        int writer = -1;

        grow_open(8 * 4096, 8 * 4096, true, false);
        memset(in, 0x11, 4096);
        CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_WRITE, 0, 4096, in), 0);
        if (harm == TOUCHED)
            touch();
        if (harm == SHRUNK)
            grow_base(7 * 4096);
        if (harm == OPEN_FOR_WRITING) {
            /* A real file in the place of the base's: no lease can be had on a memfd. */
            writer = mkstemp(path);
            CU_ASSERT_FATAL(writer >= 0 && !ftruncate(writer, 8 * 4096));
            grow_close();
            int base = open(path, O_RDONLY | O_CLOEXEC);
            unlink(path);
            grow_open(8 * 4096, 0, false, false);
            volume_close(grow_rig.volume);
            struct volume_config config = {
                .bytes = 8 * 4096, .base_bytes = 8 * 4096, .base = base, .grows = true};
            CU_ASSERT_EQUAL_FATAL(volume_open(&grow_rig.volume, grow_rig.pool, &config), 0);
            CU_ASSERT_EQUAL_FATAL(ftruncate(writer, 16 * 4096), 0);
        }
        unit_capture_start();
        CU_ASSERT_EQUAL(grow_settle(), 0);
        CU_ASSERT_EQUAL(grow_settle(), 0);
        CU_ASSERT_EQUAL(unit_capture_count("truncate or lvextend"), 1);
        unit_capture_end();
        CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 8 * 4096);
        CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_READ, 4096, 4096, out), -EIO);
        if (harm != OPEN_FOR_WRITING)
            CU_ASSERT(grow_reads(0, 4096, 0x11));
        grow_close();
        if (writer >= 0)
            close(writer);
    }
}

static void too_large(void)
{
    grow_open(8 * 4096, 8 * 4096, true, false);
    unit_capture_start();
    grow_base((INDEX_MAX_BLOCKS + 1) * 4096);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    CU_ASSERT_EQUAL(grow_settle(), 0);
    CU_ASSERT_EQUAL(unit_capture_count("at most 16T"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 8 * 4096);
    CU_ASSERT(grow_reads_base(0, 8 * 4096));
    grow_close();
}

/* Each way to fail leaves the old size, says so once, and is got over at the next look. */
static void failures(void)
{
    grow_open(8 * 4096 + 512, 8 * 4096 + 512, true, false);
    CU_ASSERT_EQUAL(rig_do(&grow_rig, 0, VIO_DISCARD, 0, 8 * 4096 + 512, NULL), 0);
    unit_capture_start();
    grow_base(20 * 4096);
    fake_aio_fail(1, 1, -EIO, false);
    CU_ASSERT_EQUAL(grow_settle(), -EIO);
    rig_extents(0);
    CU_ASSERT_EQUAL(grow_settle(), -ECANCELED);
    fake_aio_fail(1, 1, FAKE_SHORT, false);
    CU_ASSERT(grow_settle() < 0);
    CU_ASSERT_EQUAL(unit_capture_count("its base has grown, the volume cannot"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 8 * 4096 + 512);
    CU_ASSERT(grow_reads(0, 8 * 4096 + 512, 0));
    rig_extents(8);
    int settled = grow_settle();
    for (int i = 0; i < 100 && settled == -ECANCELED; i++) { /* the pool is tried now and then */
        unit_sleep(20);
        settled = grow_settle();
    }
    CU_ASSERT_EQUAL(settled, 1);
    CU_ASSERT(grow_reads(0, 8 * 4096 + 512, 0));
    CU_ASSERT(grow_reads_base(8 * 4096 + 512, 20 * 4096));
    grow_close();
}

static void no_memory(void)
{
    if (!alloc_works())
        return;
    grow_open(8 * 4096, 8 * 4096, true, false);
    grow_base((uint64_t)INDEX_REGION_BLOCKS * 4096 * 3);
    unit_capture_start();
    for (int i = 0; i < 2; i++) {
        alloc_fail_from(1);
        bool began = grow_look();
        CU_ASSERT(alloc_heal());
        CU_ASSERT(!began);
    }
    CU_ASSERT_EQUAL(unit_capture_count("Cannot allocate memory"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), 8 * 4096);
    CU_ASSERT(grow_reads_base(0, 8 * 4096));
    CU_ASSERT_EQUAL(grow_settle(), 1);
    CU_ASSERT_EQUAL(volume_bytes(grow_rig.volume), (uint64_t)INDEX_REGION_BLOCKS * 4096 * 3);
    grow_close();
}

int suite_volume_grow(void)
{
    static const struct unit_case cases[] = {
        {"an even end", even},
        {"odd ends", odd},
        {"after a discard to the end", discarded_to_the_end},
        {"a size of its own", sized},
        {"a base that changed", changed},
        {"above 16 TiB", too_large},
        {"failures are got over", failures},
        {"no memory", no_memory},
    };

    return UNIT_SUITE("volume_grow", cases);
}
