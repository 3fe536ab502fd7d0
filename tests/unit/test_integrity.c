// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * integrity: an attacker who writes to the pool, wherever blocks may lie: a disk, memory in front of it,
 * memory alone, compressed or not.  Each attack is made twice.  With integrity it is an error for the
 * block concerned and a line in the log, and nothing else is any different; without it the reader gets
 * something that was never written, so the attack is one.
 */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include "fake_aio.h"
#include "pool.h"
#include "rig.h"
#include "volume_state.h"

#define BLOCKS 24u
#define BYTES  (BLOCKS * BLOCK_SIZE)
#define NAMED  "guest 7: xvda: block "

static struct rig rig;
static uint8_t model[BYTES], out[BYTES], saved[BLOCK_SIZE], data[BLOCK_SIZE];

enum { DISK, FRONT, MEMORY, PACKED, PRESSED, MEDIA };
static const struct rig_config media[MEDIA] = {
    [DISK] = {.lanes = 2, .bytes = BYTES, .extents = 8, .seed = 1},
    [FRONT] = {.lanes = 2, .bytes = BYTES, .extents = 8, .seed = 2, .ram = 16 << 20},
    [MEMORY] = {.lanes = 2, .bytes = BYTES, .seed = 3, .ram = 16 << 20, .ram_only = true},
    [PACKED] =
        {.lanes = 2, .bytes = BYTES, .seed = 4, .ram = 16 << 20, .ram_only = true, .lz4 = true},
    [PRESSED] =
        {.lanes = 2, .bytes = BYTES, .seed = 5, .ram = 16 << 20, .ram_only = true, .lz4 = true},
};
static int medium;

/* Pseudo-random, or what compresses to one unit of 256 bytes. */
static void fill(uint8_t *block, uint64_t seed)
{
    for (uint32_t i = 0; i < BLOCK_SIZE; i += 8) {
        uint64_t word = medium == PRESSED && i >= 128 ? 7 : unit_random(&seed);
        memcpy(block + i, &word, 8);
    }
}

static int put(uint32_t block, uint64_t seed)
{
    fill(data, seed);
    return rig_do(&rig, 0, VIO_WRITE, block * BLOCK_SIZE, BLOCK_SIZE, data);
}

/* A volume of which each block was written by itself. */
static void begin(bool integrity)
{
    struct rig_config config = media[medium];

    config.integrity = integrity;
    rig_open(&rig, &config);
    for (uint32_t b = 0; b < BLOCKS; b++) {
        CU_ASSERT_EQUAL(put(b, b + 1), 0);
        memcpy(model + b * BLOCK_SIZE, data, BLOCK_SIZE);
    }
    unit_capture_start();
}

static uint64_t tampered(void)
{
    struct pool_stats stats;

    pool_stats(rig.pool, &stats);
    return stats.tampered;
}

static void end(void)
{
    unit_capture_end();
    rig_close(&rig);
}

/* Of a block's ciphertext: how long it is, and where. */
static uint32_t slot_of(uint32_t block)
{
    return overlay_get(rig.volume->overlay, block);
}

static uint8_t *cipher_at(uint32_t slot, uint32_t *bytes)
{
    *bytes = BLOCK_SIZE;
    if (medium == DISK)
        return rig.disk + (size_t)slot * BLOCK_SIZE;
    return (uint8_t *)(medium >= PACKED ? pool_unit(rig.pool, slot, bytes)
                                        : pool_peek(rig.pool, slot));
}

static uint8_t *cipher_of(uint32_t block, uint32_t *bytes)
{
    uint8_t *at = cipher_at(slot_of(block), bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    CU_ASSERT_EQUAL(*bytes, medium == PRESSED ? 256 : BLOCK_SIZE);
    return at;
}

/* 0: what the model says; -EIO; -EILSEQ: it is something else. */
static int look(uint32_t block)
{
    int err = rig_do(&rig, block % 2, VIO_READ, block * BLOCK_SIZE, BLOCK_SIZE, out);

    if (err)
        return err;
    return memcmp(out, model + block * BLOCK_SIZE, BLOCK_SIZE) ? -EILSEQ : 0;
}

static unsigned int lines_of(uint32_t block)
{
    char text[64];

    snprintf(text, sizeof(text), NAMED "%u: ", block);
    return unit_capture_count(text);
}

/* `bad` is refused, with one line however often this finds it, or was changed unnoticed; all others are as they were. */
static void judge(bool integrity, uint32_t bad)
{
    uint64_t before = tampered();

    for (uint32_t b = 0; b < BLOCKS; b++)
        if (b != bad)
            CU_ASSERT_EQUAL(look(b), 0);
    CU_ASSERT_EQUAL(tampered(), before);
    int got = look(bad);
    if (integrity) {
        CU_ASSERT_EQUAL(got, -EIO);
        CU_ASSERT_EQUAL(tampered(), before + 1);
        CU_ASSERT_EQUAL(lines_of(bad), 1);
    } else {
        /* Garbage that is no LZ4 data is found out by chance. */
        CU_ASSERT(got == -EILSEQ || (got == -EIO && medium == PRESSED));
        CU_ASSERT_EQUAL(unit_capture_count(NAMED), 0);
    }
}

static void in_all_media(void (*attack)(bool integrity))
{
    for (medium = DISK; medium < MEDIA; medium++)
        for (int integrity = 0; integrity < 2; integrity++) {
            begin(integrity);
            attack(integrity);
            end();
        }
}

/* The first and the last bit of a block; mended, it is read again. */
static void flip(bool integrity)
{
    uint32_t bytes;
    uint8_t *at = cipher_of(5, &bytes);

    at[0] ^= 1;
    judge(integrity, 5);
    at[0] ^= 1;
    CU_ASSERT_EQUAL(look(5), 0);
    at[bytes - 1] ^= 0x80;
    if (medium != PRESSED || integrity) /* there it is padding */
        judge(integrity, 5);
    at[bytes - 1] ^= 0x80;
    CU_ASSERT_EQUAL(look(5), 0);
}

static void flips(void)
{
    in_all_media(flip);
}

/* Two blocks change places; one is copied over another. */
static void swap(bool integrity)
{
    uint32_t bytes;
    uint8_t *a = cipher_of(3, &bytes), *b = cipher_of(17, &bytes);

    memcpy(saved, a, bytes);
    memcpy(a, b, bytes);
    judge(integrity, 3);
    memcpy(b, saved, bytes);
    int got = look(17);
    CU_ASSERT(integrity ? got == -EIO : got == -EILSEQ || got == -EIO);
    memcpy(b, a, bytes);
    memcpy(a, saved, bytes);
    CU_ASSERT(!look(3) && !look(17));
}

static void swaps(void)
{
    in_all_media(swap);
}

static void zero(bool integrity)
{
    uint32_t bytes;
    uint8_t *at = cipher_of(0, &bytes);

    memset(at, 0, bytes);
    judge(integrity, 0);
}

static void zeroes(void)
{
    in_all_media(zero);
}

/* Writes a block until it lies in that slot again. */
static void write_until_slot(uint32_t block, uint32_t slot)
{
    uint32_t rounds = 0;

    do {
        CU_ASSERT_EQUAL_FATAL(put(block, ++rounds + 1000), 0);
    } while (slot_of(block) != slot && rounds < 4000);
    CU_ASSERT_EQUAL_FATAL(slot_of(block), slot);
    memcpy(model + block * BLOCK_SIZE, data, BLOCK_SIZE);
}

/* What the same slot had for the same block, a generation before. */
static void replay(bool integrity)
{
    uint32_t bytes, slot = slot_of(9);

    uint8_t *at = cipher_of(9, &bytes);
    memcpy(saved, at, bytes);
    write_until_slot(9, slot);
    at = cipher_of(9, &bytes);
    CU_ASSERT_NOT_EQUAL(memcmp(at, saved, bytes), 0);
    memcpy(at, saved, bytes);
    judge(integrity, 9);
}

static void replays(void)
{
    in_all_media(replay);
}

/* Part of a bad block is not written: the rest would pass for good afterwards.  Whole overwrites and
 * discards make it good again. */
static void launder(bool integrity)
{
    uint32_t bytes;

    cipher_of(5, &bytes)[1] ^= 4;
    cipher_of(6, &bytes)[1] ^= 4;
    fill(data, 99);
    int err = rig_do(&rig, 0, VIO_WRITE, 5 * BLOCK_SIZE + 512, 512, data);
    /* Its end lies in a bad block, its begin in a good one. */
    int end_bad = rig_do(&rig, 1, VIO_WRITE, 4 * BLOCK_SIZE + 512, BLOCK_SIZE, data);
    if (!integrity) {
        CU_ASSERT(medium == PRESSED || (!err && !end_bad));
        return;
    }
    CU_ASSERT(err == -EIO && end_bad == -EIO);
    CU_ASSERT_EQUAL(look(4), 0);
    CU_ASSERT(look(5) == -EIO && look(6) == -EIO);
    CU_ASSERT_EQUAL(put(5, 55), 0);
    memcpy(model + 5 * BLOCK_SIZE, data, BLOCK_SIZE);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 6 * BLOCK_SIZE, BLOCK_SIZE, NULL), 0);
    memset(model + 6 * BLOCK_SIZE, 0, BLOCK_SIZE);
    for (uint32_t b = 0; b < BLOCKS; b++)
        CU_ASSERT_EQUAL(look(b), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 5 * BLOCK_SIZE + 512, 512, data), 0);
}

static void laundering(void)
{
    in_all_media(launder);
}

/* One request over many blocks fails as a whole, and names those that are bad. */
static void in_a_run(void)
{
    uint32_t bytes;

    medium = DISK;
    begin(true);
    cipher_of(2, &bytes)[100] ^= 1;
    cipher_of(20, &bytes)[100] ^= 1;
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, BYTES, out), -EIO);
    CU_ASSERT(lines_of(2) == 1 && lines_of(20) == 1 && unit_capture_count(NAMED) == 2);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 3 * BLOCK_SIZE, 17 * BLOCK_SIZE, out), 0);
    CU_ASSERT_EQUAL(memcmp(out, model + 3 * BLOCK_SIZE, 17 * BLOCK_SIZE), 0);
    end();
}

/* The pool's file is cut off behind the 12th block; then it grows again, as it does when written. */
static void truncated(void)
{
    medium = DISK;
    for (int integrity = 0; integrity < 2; integrity++) {
        begin(integrity);
        size_t cut = (size_t)(slot_of(12) + 1) * BLOCK_SIZE;
        CU_ASSERT_EQUAL(slot_of(13), slot_of(12) + 1);
        fake_disk_cut(pool_fd(rig.pool), cut - 512);
        for (uint32_t b = 0; b < BLOCKS; b++)
            CU_ASSERT_EQUAL(look(b), b < 12 ? 0 : -EIO);
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, BYTES, out), -EIO);
        CU_ASSERT(!integrity || lines_of(12) > 0);
        CU_ASSERT_EQUAL(tampered(), integrity ? 2 * (BLOCKS - 12) : 0);
        fake_disk_cut(pool_fd(rig.pool), rig.disk_bytes);
        memset(rig.disk + cut - 512, 0, rig.disk_bytes - cut + 512);
        for (uint32_t b = 0; b < BLOCKS; b++)
            CU_ASSERT_EQUAL(look(b), b < 12 ? 0 : integrity ? -EIO : -EILSEQ);
        CU_ASSERT_EQUAL(put(20, 44), 0);
        memcpy(model + 20 * BLOCK_SIZE, data, BLOCK_SIZE);
        CU_ASSERT_EQUAL(look(20), 0);
        end();
    }
}

/* A block that was spilled from memory has the tag it had there. */
static void spilled(void)
{
    uint32_t low = 0;

    medium = FRONT;
    for (int integrity = 0; integrity < 2; integrity++) {
        struct rig_config config = media[DISK];
        config.ram = 4 << 20;
        config.bytes = 24 << 20;
        config.integrity = integrity;
        rig_open(&rig, &config);
        unit_capture_start();
        for (uint32_t b = 0; b < config.bytes / BLOCK_SIZE; b++)
            CU_ASSERT_EQUAL(put(b, b + 1), 0);
        pool_read_lock(rig.pool);
        while (pool_peek(rig.pool, slot_of(low)))
            low++;
        pool_read_unlock(rig.pool);
        CU_ASSERT_FATAL(low + 1 < config.bytes / BLOCK_SIZE);
        CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, low * BLOCK_SIZE, BLOCK_SIZE, out), 0);
        fill(data, low + 1);
        CU_ASSERT_EQUAL(memcmp(out, data, BLOCK_SIZE), 0);
        rig.disk[pool_offset(rig.pool, slot_of(low)) + 77] ^= 2;
        int err = rig_do(&rig, 1, VIO_READ, low * BLOCK_SIZE, BLOCK_SIZE, out);
        CU_ASSERT_EQUAL(err, integrity ? -EIO : 0);
        CU_ASSERT(integrity || memcmp(out, data, BLOCK_SIZE));
        CU_ASSERT_EQUAL(lines_of(low), (unsigned int)integrity);
        end();
    }
}

/* A bad block is told once until it is overwritten, so it neither fills the log nor keeps others out. */
static void lines_are_few(void)
{
    uint32_t bytes;

    medium = DISK;
    begin(true);
    cipher_of(5, &bytes)[0] ^= 1;
    for (int i = 0; i < 300; i++)
        CU_ASSERT_EQUAL(look(5), -EIO);
    CU_ASSERT(tampered() == 300 && lines_of(5) == 1);
    cipher_of(6, &bytes)[0] ^= 1;
    CU_ASSERT(look(6) == -EIO && lines_of(6) == 1);
    CU_ASSERT_EQUAL(put(5, 55), 0);
    cipher_of(5, &bytes)[0] ^= 1;
    CU_ASSERT(look(5) == -EIO && lines_of(5) == 2);
    end();
}

/* Of many that are bad a few are told at once, the others later: one a second. */
static void lines_of_many(void)
{
    uint32_t bytes;

    medium = DISK;
    begin(true);
    for (uint32_t b = 0; b < BLOCKS; b++)
        cipher_of(b, &bytes)[0] ^= 1;
    for (unsigned int round = 0; round < 2; round++, unit_sleep(1100)) {
        for (uint32_t b = 0; b < BLOCKS; b++)
            CU_ASSERT(look(b) == -EIO && lines_of(b) <= 1);
        unsigned int told = unit_capture_count(NAMED);
        CU_ASSERT(told >= 5 + round && told < BLOCKS / 2);
    }
    end();
}

int suite_integrity(void)
{
    static const struct unit_case cases[] = {
        {"a bit is changed", flips},
        {"blocks change places", swaps},
        {"blocks are zeroed", zeroes},
        {"an earlier state comes back", replays},
        {"a part of a bad block is written", laundering},
        {"several in one request", in_a_run},
        {"the pool is cut off", truncated},
        {"what was spilled", spilled},
        {"lines are few", lines_are_few},
        {"lines of many", lines_of_many},
    };

    return UNIT_SUITE("integrity", cases);
}
