// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume_grow: what a volume shows after its base has grown, at even and odd ends; what does not make
 * it grow; growing that fails; and growing under load, with a model.  The base's disk has its final
 * bytes from the start, its file has the size of the moment.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "alloc.h"
#include "fake_aio.h"
#include "index.h"
#include "loop.h"
#include "mailbox.h"
#include "rig.h"
#include "shake.h"

#define ROOM (64u * 4096u)

static struct rig rig;
static struct loop *loop;
static struct mailbox *mailbox;
static uint8_t in[ROOM], out[ROOM];
static uint32_t ended;
static int last_error;

static void grown(void *arg, int error)
{
    (void)arg;
    ended++;
    last_error = error;
}

static void open_sized(uint64_t bytes, uint64_t base, bool grows, bool readonly)
{
    rig_open_growing(&rig, &(struct rig_config){2, bytes, base, 8, bytes},
                     &(struct rig_growth){.grows = grows, .readonly = readonly, .most = ROOM});
    CU_ASSERT_EQUAL_FATAL(loop_open(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(&mailbox, loop), 0);
}

static void close_all(void)
{
    mailbox_close(mailbox);
    loop_close(loop);
    rig_close(&rig);
}

static bool look(void)
{
    struct volume_growth how = {.lane = rig.lanes[1], .mailbox = mailbox, .done = grown};

    return volume_check_base(rig.volume, &how);
}

/* A look, and if the volume begins to grow, until that is over.  1: it has grown; 0: no growth; else
 * the error. */
static int settle(void)
{
    uint32_t before = ended;

    if (!look())
        return 0;
    for (int i = 0; i < 200 && ended == before; i++) {
        CU_ASSERT(!look()); /* one at a time */
        CU_ASSERT_EQUAL(loop_turn(loop, 100), 0);
    }
    CU_ASSERT_EQUAL_FATAL(ended, before + 1);
    return last_error ? last_error : 1;
}

static void base_grows(uint64_t bytes)
{
    CU_ASSERT_EQUAL_FATAL(ftruncate(rig.base_fd, (off_t)bytes), 0);
}

static bool reads_base(uint64_t from, uint64_t to)
{
    if (rig_do(&rig, 0, VIO_READ, from, to - from, out))
        return false;
    for (uint64_t i = from; i < to; i++)
        if (out[i - from] != rig_base_byte(i))
            return false;
    return true;
}

static bool reads(uint64_t from, uint64_t to, uint8_t value)
{
    if (rig_do(&rig, 0, VIO_READ, from, to - from, out))
        return false;
    for (uint64_t i = 0; i < to - from; i++)
        if (out[i] != value)
            return false;
    return true;
}

static void even(void)
{
    open_sized(8 * 4096, 8 * 4096, true, false);
    CU_ASSERT_EQUAL(settle(), 0);
    base_grows(20 * 4096);
    CU_ASSERT_EQUAL(settle(), 1);
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), 20 * 4096);
    CU_ASSERT_EQUAL(volume_base_bytes(rig.volume), 20 * 4096);
    CU_ASSERT_EQUAL(settle(), 0);
    CU_ASSERT(reads_base(0, 20 * 4096));
    CU_ASSERT_EQUAL(rig_pool_used(&rig), 0);
    memset(in, 0x77, 4096);
    CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_WRITE, 18 * 4096 + 512, 1024, in), 0);
    CU_ASSERT(reads_base(17 * 4096, 18 * 4096 + 512));
    CU_ASSERT(reads(18 * 4096 + 512, 18 * 4096 + 1536, 0x77));
    CU_ASSERT(reads_base(18 * 4096 + 1536, 20 * 4096));
    CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_DISCARD, 0, 20 * 4096, NULL), 0);
    CU_ASSERT(reads(0, 20 * 4096, 0));
    close_all();
}

enum last_block { UNTOUCHED, WRITTEN, DISCARDED, ODD_STATES };

/* Ends inside a block, in each state that block can have; grown twice, the first time within it. */
static void odd_one(uint64_t old, uint64_t next, enum last_block state, bool readonly)
{
    uint64_t block = old / 4096 * 4096;

    open_sized(old, old, true, readonly);
    memset(in, 0x55, 512);
    if (state == WRITTEN)
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, block, 512, in), 0);
    if (state == DISCARDED)
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 0, old, NULL), 0);
    for (uint64_t bytes = next; bytes; bytes = bytes == next ? 30 * 4096 + 512 : 0) {
        base_grows(bytes + 100); /* rounded down to sectors */
        CU_ASSERT_EQUAL(settle(), 1);
        CU_ASSERT_EQUAL(volume_bytes(rig.volume), bytes);
        CU_ASSERT(reads_base(old, bytes));
        if (state == WRITTEN)
            CU_ASSERT(reads(block, block + 512, 0x55));
        if (state == DISCARDED)
            CU_ASSERT(reads(0, old, 0));
        if (state == UNTOUCHED)
            CU_ASSERT(reads_base(0, bytes));
    }
    close_all();
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
    open_sized(3 * 4096, 3 * 4096, true, false);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 0, 3 * 4096, NULL), 0);
    base_grows(ROOM);
    CU_ASSERT_EQUAL(settle(), 1);
    CU_ASSERT(reads(0, 3 * 4096, 0));
    CU_ASSERT(reads_base(3 * 4096, ROOM));
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, ROOM - 4096, 4096, in), 0);
    close_all();
}

/* With a size of its own a volume keeps it, and the zeros behind the base it began with. */
static void sized(void)
{
    open_sized(20 * 4096, 8 * 4096 + 512, false, false);
    base_grows(16 * 4096);
    CU_ASSERT_EQUAL(settle(), 0);
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), 20 * 4096);
    CU_ASSERT(reads_base(0, 8 * 4096 + 512));
    CU_ASSERT(reads(8 * 4096 + 512, 20 * 4096, 0));
    base_grows(ROOM);
    CU_ASSERT_EQUAL(settle(), 0);
    CU_ASSERT(reads(8 * 4096 + 512, 20 * 4096, 0));
    close_all();
}

static void touch(void)
{
    static const struct timespec past[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    CU_ASSERT_EQUAL_FATAL(futimens(rig.base_fd, past), 0);
}

enum harm { TOUCHED, SHRUNK, OPEN_FOR_WRITING, HARMS };

/* Changed and not just grown: reads of the base fail, the volume stays, one line says it. */
static void changed(void)
{
    for (enum harm harm = 0; harm < HARMS; harm++) {
        char path[] = "/var/tmp/ephem-grow.XXXXXX";
        int writer = -1;

        open_sized(8 * 4096, 8 * 4096, true, false);
        memset(in, 0x11, 4096);
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 0, 4096, in), 0);
        if (harm == TOUCHED)
            touch();
        if (harm == SHRUNK)
            base_grows(7 * 4096);
        if (harm == OPEN_FOR_WRITING) {
            /* A real file in the place of the base's: no lease can be had on a memfd. */
            writer = mkstemp(path);
            CU_ASSERT_FATAL(writer >= 0 && !ftruncate(writer, 8 * 4096));
            close_all();
            int base = open(path, O_RDONLY | O_CLOEXEC);
            unlink(path);
            open_sized(8 * 4096, 0, false, false);
            volume_close(rig.volume);
            struct volume_config config = {
                .bytes = 8 * 4096, .base_bytes = 8 * 4096, .base = base, .grows = true};
            CU_ASSERT_EQUAL_FATAL(volume_open(&rig.volume, rig.pool, &config), 0);
            CU_ASSERT_EQUAL_FATAL(ftruncate(writer, 16 * 4096), 0);
        }
        unit_capture_start();
        CU_ASSERT_EQUAL(settle(), 0);
        CU_ASSERT_EQUAL(settle(), 0);
        CU_ASSERT_EQUAL(unit_capture_count("truncate or lvextend"), 1);
        unit_capture_end();
        CU_ASSERT_EQUAL(volume_bytes(rig.volume), 8 * 4096);
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 4096, 4096, out), -EIO);
        if (harm != OPEN_FOR_WRITING)
            CU_ASSERT(reads(0, 4096, 0x11));
        close_all();
        if (writer >= 0)
            close(writer);
    }
}

static void too_large(void)
{
    open_sized(8 * 4096, 8 * 4096, true, false);
    unit_capture_start();
    base_grows((INDEX_MAX_BLOCKS + 1) * 4096);
    CU_ASSERT_EQUAL(settle(), 0);
    CU_ASSERT_EQUAL(settle(), 0);
    CU_ASSERT_EQUAL(unit_capture_count("at most 16T"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), 8 * 4096);
    CU_ASSERT(reads_base(0, 8 * 4096));
    close_all();
}

/* Each way to fail leaves the old size, says so once, and is got over at the next look. */
static void failures(void)
{
    open_sized(8 * 4096 + 512, 8 * 4096 + 512, true, false);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 0, 8 * 4096 + 512, NULL), 0);
    unit_capture_start();
    base_grows(20 * 4096);
    fake_aio_fail(1, 1, -EIO, false);
    CU_ASSERT_EQUAL(settle(), -EIO);
    rig_extents(0);
    CU_ASSERT_EQUAL(settle(), -ECANCELED);
    fake_aio_fail(1, 1, FAKE_SHORT, false);
    CU_ASSERT(settle() < 0);
    CU_ASSERT_EQUAL(unit_capture_count("its base has grown, the volume cannot"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), 8 * 4096 + 512);
    CU_ASSERT(reads(0, 8 * 4096 + 512, 0));
    rig_extents(8);
    CU_ASSERT_EQUAL(settle(), 1);
    CU_ASSERT(reads(0, 8 * 4096 + 512, 0));
    CU_ASSERT(reads_base(8 * 4096 + 512, 20 * 4096));
    close_all();
}

static void no_memory(void)
{
    if (!alloc_works())
        return;
    open_sized(8 * 4096, 8 * 4096, true, false);
    base_grows((uint64_t)INDEX_REGION_BLOCKS * 4096 * 3);
    unit_capture_start();
    for (int i = 0; i < 2; i++) {
        alloc_fail_from(1);
        bool began = look();
        CU_ASSERT(alloc_heal());
        CU_ASSERT(!began);
    }
    CU_ASSERT_EQUAL(unit_capture_count("Cannot allocate memory"), 1);
    unit_capture_end();
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), 8 * 4096);
    CU_ASSERT(reads_base(0, 8 * 4096));
    CU_ASSERT_EQUAL(settle(), 1);
    CU_ASSERT_EQUAL(volume_bytes(rig.volume), (uint64_t)INDEX_REGION_BLOCKS * 4096 * 3);
    close_all();
}

/*
 * Load around the end while it moves on by odd steps: each client has a sector of every block for
 * itself, so it always knows what must be there, and all of them share the last block.
 */
#define CLIENTS 4u
#ifdef __SANITIZE_THREAD__
#define STEPS 60u
#else
#define STEPS 200u
#endif

static _Atomic uint32_t wrong;
static _Atomic bool over;

static void *client(void *arg)
{
    uint64_t seed = *(uint64_t *)arg, me = seed % CLIENTS;
    uint8_t written[64] = {0}, buf[512], want[512];

    while (!over) {
        uint64_t sectors = volume_bytes(rig.volume) / 512, last = (sectors - 1) / 8;
        uint64_t block = last - unit_below(&seed, last < 3 ? last + 1 : 3);
        uint64_t sector = block * 8 + me + 4 * unit_below(&seed, 2);
        if (sector >= sectors || sector % 8 != me)
            continue;
        uint64_t at = sector * 512;
        bool write = unit_below(&seed, 2);
        if (write) {
            written[block] = (uint8_t)(1 + unit_below(&seed, 255));
            memset(buf, written[block], 512);
        }
        wrong += rig_do(&rig, (uint32_t)me % 2, write ? VIO_WRITE : VIO_READ, at, 512, buf) != 0;
        for (uint32_t i = 0; i < 512; i++)
            want[i] = written[block] ? written[block] : rig_base_byte(at + i);
        wrong += !write && memcmp(buf, want, 512);
    }
    return NULL;
}

static void under_load(void)
{
    for (uint64_t round = 1; round <= STEPS / 10; round++) {
        pthread_t threads[CLIENTS];
        uint64_t seeds[CLIENTS], random = round, bytes = 512 * (1 + unit_below(&random, 20));

        wrong = 0;
        over = false;
        open_sized(bytes, bytes, true, false);
        shake(true);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            seeds[i] = round * 1000 * CLIENTS + i;
            pthread_create(&threads[i], NULL, client, &seeds[i]);
        }
        while (bytes < ROOM - 12 * 512) {
            bytes += 512 * (1 + unit_below(&random, 12));
            base_grows(bytes);
            CU_ASSERT_EQUAL(settle(), 1);
            CU_ASSERT_EQUAL(volume_bytes(rig.volume), bytes);
        }
        over = true;
        for (uint32_t i = 0; i < CLIENTS; i++)
            pthread_join(threads[i], NULL);
        shake(false);
        CU_ASSERT_EQUAL(wrong, 0);
        close_all();
    }
}

/* Discards up to the end race with its moving on: what is behind the old end is base in any case. */
static void *discarder(void *arg)
{
    (void)arg;
    while (!over) {
        uint64_t bytes = volume_bytes(rig.volume);
        uint64_t from = bytes / 4096 * 4096;
        wrong += bytes > from && rig_do(&rig, 0, VIO_DISCARD, from, bytes - from, NULL);
    }
    return NULL;
}

static void against_discards(void)
{
    for (uint64_t round = 1; round <= STEPS / 10; round++) {
        pthread_t thread;
        uint64_t random = round, bytes = 512 * (1 + unit_below(&random, 20));

        wrong = 0;
        over = false;
        open_sized(bytes, bytes, true, false);
        shake(true);
        pthread_create(&thread, NULL, discarder, NULL);
        while (bytes < ROOM - 12 * 512) {
            uint64_t old = bytes;
            bytes += 512 * (1 + unit_below(&random, 12));
            base_grows(bytes);
            CU_ASSERT_EQUAL(settle(), 1);
            /* Behind the old end, as far as no discard of the new end reaches. */
            uint64_t to = bytes / 4096 * 4096;
            CU_ASSERT(old >= to || reads_base(old, to));
        }
        over = true;
        pthread_join(thread, NULL);
        shake(false);
        CU_ASSERT_EQUAL(wrong, 0);
        close_all();
    }
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
        {"under load", under_load},
        {"against discards", against_discards},
    };

    return UNIT_SUITE("volume_grow", cases);
}
