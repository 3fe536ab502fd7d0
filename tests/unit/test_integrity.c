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
#include "tamperkit.h"

static uint8_t saved[BLOCK_SIZE];

/* `bad` is refused, with one line however often this finds it, or was changed unnoticed; all others are as they were. */
static void judge(bool integrity, uint32_t bad)
{
    uint64_t before = tamper_count();

    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        if (b != bad)
            CU_ASSERT_EQUAL(tamper_look(b), 0);
    CU_ASSERT_EQUAL(tamper_count(), before);
    int got = tamper_look(bad);
    if (integrity) {
        CU_ASSERT_EQUAL(got, -EIO);
        CU_ASSERT_EQUAL(tamper_count(), before + 1);
        CU_ASSERT_EQUAL(tamper_lines(bad), 1);
    } else {
        /* Garbage that is no LZ4 data is found out by chance. */
        CU_ASSERT(got == -EILSEQ || (got == -EIO && tamper_medium == TAMPER_PRESSED));
        CU_ASSERT_EQUAL(unit_capture_count(TAMPER_NAMED), 0);
    }
}

static void in_all_media(void (*attack)(bool integrity))
{
    for (tamper_medium = TAMPER_DISK; tamper_medium < TAMPER_MEDIA; tamper_medium++)
        for (int integrity = 0; integrity < 2; integrity++) {
            tamper_begin(integrity);
            attack(integrity);
            tamper_end();
        }
}

/* The first and the last bit of a block; mended, it is read again. */
static void flip(bool integrity)
{
    uint32_t bytes;
    uint8_t *at = tamper_cipher(5, &bytes);

    at[0] ^= 1;
    judge(integrity, 5);
    at[0] ^= 1;
    CU_ASSERT_EQUAL(tamper_look(5), 0);
    at[bytes - 1] ^= 0x80;
    if (tamper_medium != TAMPER_PRESSED || integrity) /* there it is padding */
        judge(integrity, 5);
    at[bytes - 1] ^= 0x80;
    CU_ASSERT_EQUAL(tamper_look(5), 0);
}

static void flips(void)
{
    in_all_media(flip);
}

/* Two blocks change places; one is copied over another. */
static void swap(bool integrity)
{
    uint32_t bytes;
    uint8_t *a = tamper_cipher(3, &bytes), *b = tamper_cipher(17, &bytes);

    memcpy(saved, a, bytes);
    memcpy(a, b, bytes);
    judge(integrity, 3);
    memcpy(b, saved, bytes);
    int got = tamper_look(17);
    CU_ASSERT(integrity ? got == -EIO : got == -EILSEQ || got == -EIO);
    memcpy(b, a, bytes);
    memcpy(a, saved, bytes);
    CU_ASSERT_EQUAL(tamper_look(3), 0);
    CU_ASSERT_EQUAL(tamper_look(17), 0);
}

static void swaps(void)
{
    in_all_media(swap);
}

static void zero(bool integrity)
{
    uint32_t bytes;
    uint8_t *at = tamper_cipher(0, &bytes);

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
        CU_ASSERT_EQUAL_FATAL(tamper_put(block, ++rounds + 1000), 0);
    } while (tamper_slot(block) != slot && rounds < 4000);
    CU_ASSERT_EQUAL_FATAL(tamper_slot(block), slot);
    memcpy(tamper_model + block * BLOCK_SIZE, tamper_data, BLOCK_SIZE);
}

/* What the same slot had for the same block, a generation before. */
static void replay(bool integrity)
{
    uint32_t bytes, slot = tamper_slot(9);

    uint8_t *at = tamper_cipher(9, &bytes);
    memcpy(saved, at, bytes);
    write_until_slot(9, slot);
    at = tamper_cipher(9, &bytes);
    CU_ASSERT_NOT_EQUAL(memcmp(at, saved, bytes), 0);
    memcpy(at, saved, bytes);
    judge(integrity, 9);
}

static void replays(void)
{
    in_all_media(replay);
}

/* The attacker leaves the pool alone, and the tag is missing: it is no better than a wrong one. */
static void missing(bool integrity)
{
    if (!integrity)
        return;
    memset(pool_tag(tamper_rig.pool, tamper_slot(11)), 0, POOL_TAG);
    judge(true, 11);
    CU_ASSERT_EQUAL(tamper_put(11, 12), 0);
    CU_ASSERT_EQUAL(tamper_look(11), 0);
}

static void missing_tags(void)
{
    in_all_media(missing);
}

/* Part of a bad block is not written: the rest would pass for good afterwards.  Whole overwrites and
 * discards make it good again. */
static void launder(bool integrity)
{
    uint32_t bytes;

    tamper_cipher(5, &bytes)[1] ^= 4;
    tamper_cipher(6, &bytes)[1] ^= 4;
    tamper_fill(tamper_data, 99);
    int err = rig_do(&tamper_rig, 0, VIO_WRITE, 5 * BLOCK_SIZE + 512, 512, tamper_data);
    /* Its end lies in a bad block, its begin in a good one. */
    int end_bad = rig_do(&tamper_rig, 1, VIO_WRITE, 4 * BLOCK_SIZE + 512, BLOCK_SIZE, tamper_data);
    if (!integrity) {
        CU_ASSERT(tamper_medium == TAMPER_PRESSED || (!err && !end_bad));
        return;
    }
    CU_ASSERT(err == -EIO && end_bad == -EIO);
    CU_ASSERT_EQUAL(tamper_look(4), 0);
    CU_ASSERT(tamper_look(5) == -EIO && tamper_look(6) == -EIO);
    CU_ASSERT_EQUAL(tamper_put(5, 55), 0);
    memcpy(tamper_model + 5 * BLOCK_SIZE, tamper_data, BLOCK_SIZE);
    CU_ASSERT_EQUAL(rig_do(&tamper_rig, 0, VIO_DISCARD, 6 * BLOCK_SIZE, BLOCK_SIZE, NULL), 0);
    memset(tamper_model + 6 * BLOCK_SIZE, 0, BLOCK_SIZE);
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        CU_ASSERT_EQUAL(tamper_look(b), 0);
    CU_ASSERT_EQUAL(rig_do(&tamper_rig, 0, VIO_WRITE, 5 * BLOCK_SIZE + 512, 512, tamper_data), 0);
}

static void laundering(void)
{
    in_all_media(launder);
}

/* One request over many blocks fails as a whole, and names those that are bad. */
static void in_a_run(void)
{
    uint32_t bytes;

    tamper_medium = TAMPER_DISK;
    tamper_begin(true);
    tamper_cipher(2, &bytes)[100] ^= 1;
    tamper_cipher(20, &bytes)[100] ^= 1;
    CU_ASSERT_EQUAL(rig_do(&tamper_rig, 0, VIO_READ, 0, TAMPER_BYTES, tamper_out), -EIO);
    CU_ASSERT(tamper_lines(2) == 1 && tamper_lines(20) == 1);
    CU_ASSERT_EQUAL(unit_capture_count(TAMPER_NAMED), 2);
    CU_ASSERT_EQUAL(rig_do(&tamper_rig, 0, VIO_READ, 3 * BLOCK_SIZE, 17 * BLOCK_SIZE, tamper_out),
                    0);
    CU_ASSERT_EQUAL(memcmp(tamper_out, tamper_model + 3 * BLOCK_SIZE, 17 * BLOCK_SIZE), 0);
    tamper_end();
}

/* The pool's file is cut off behind the 12th block; then it grows again, as it does when written. */
static void truncated(void)
{
    tamper_medium = TAMPER_DISK;
    for (int integrity = 0; integrity < 2; integrity++) {
        tamper_begin(integrity);
        size_t cut = (size_t)(tamper_slot(12) + 1) * BLOCK_SIZE;
        CU_ASSERT_EQUAL(tamper_slot(13), tamper_slot(12) + 1);
        fake_disk_cut(pool_fd(tamper_rig.pool), cut - 512);
        for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
            CU_ASSERT_EQUAL(tamper_look(b), b < 12 ? 0 : -EIO);
        CU_ASSERT_EQUAL(rig_do(&tamper_rig, 0, VIO_READ, 0, TAMPER_BYTES, tamper_out), -EIO);
        CU_ASSERT(!integrity || tamper_lines(12) > 0);
        CU_ASSERT_EQUAL(tamper_count(), integrity ? 2 * (TAMPER_BLOCKS - 12) : 0);
        fake_disk_cut(pool_fd(tamper_rig.pool), tamper_rig.disk_bytes);
        memset(tamper_rig.disk + cut - 512, 0, tamper_rig.disk_bytes - cut + 512);
        for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
            CU_ASSERT_EQUAL(tamper_look(b), b < 12 ? 0 : integrity ? -EIO : -EILSEQ);
        CU_ASSERT_EQUAL(tamper_put(20, 44), 0);
        memcpy(tamper_model + 20 * BLOCK_SIZE, tamper_data, BLOCK_SIZE);
        CU_ASSERT_EQUAL(tamper_look(20), 0);
        tamper_end();
    }
}

/* A block that was spilled from memory has the tag it had there. */
static void spilled(void)
{
    uint32_t low = 0;

    tamper_medium = TAMPER_FRONT;
    for (int integrity = 0; integrity < 2; integrity++) {
        struct rig_config config = tamper_media[TAMPER_DISK];
        config.ram = 4 << 20;
        config.bytes = 24 << 20;
        config.integrity = integrity;
        rig_open(&tamper_rig, &config);
        unit_capture_start();
        for (uint32_t b = 0; b < config.bytes / BLOCK_SIZE; b++)
            CU_ASSERT_EQUAL(tamper_put(b, b + 1), 0);
        pool_read_lock(tamper_rig.pool);
        while (pool_peek(tamper_rig.pool, tamper_slot(low)))
            low++;
        pool_read_unlock(tamper_rig.pool);
        CU_ASSERT_FATAL(low + 1 < config.bytes / BLOCK_SIZE);
        CU_ASSERT_EQUAL(rig_do(&tamper_rig, 1, VIO_READ, low * BLOCK_SIZE, BLOCK_SIZE, tamper_out),
                        0);
        tamper_fill(tamper_data, low + 1);
        CU_ASSERT_EQUAL(memcmp(tamper_out, tamper_data, BLOCK_SIZE), 0);
        tamper_rig.disk[pool_offset(tamper_rig.pool, tamper_slot(low)) + 77] ^= 2;
        int err = rig_do(&tamper_rig, 1, VIO_READ, low * BLOCK_SIZE, BLOCK_SIZE, tamper_out);
        CU_ASSERT_EQUAL(err, integrity ? -EIO : 0);
        CU_ASSERT(integrity || memcmp(tamper_out, tamper_data, BLOCK_SIZE));
        CU_ASSERT_EQUAL(tamper_lines(low), (unsigned int)integrity);
        tamper_end();
    }
}

/* Whoever reads a bad block again and again neither fills the log nor keeps another out of it; and what
 * was overwritten and is bad again is told again. */
static void lines_are_few(void)
{
    uint32_t bytes;

    tamper_medium = TAMPER_DISK;
    tamper_begin(true);
    tamper_cipher(5, &bytes)[0] ^= 1;
    for (int i = 0; i < 300; i++)
        CU_ASSERT_EQUAL(tamper_look(5), -EIO);
    CU_ASSERT_EQUAL(tamper_count(), 300);
    CU_ASSERT_EQUAL(tamper_lines(5), 1);
    tamper_cipher(6, &bytes)[0] ^= 1;
    CU_ASSERT_EQUAL(tamper_look(6), -EIO);
    CU_ASSERT_EQUAL(tamper_lines(6), 1);
    CU_ASSERT_EQUAL(tamper_put(5, 55), 0);
    tamper_cipher(5, &bytes)[0] ^= 1;
    CU_ASSERT_EQUAL(tamper_look(5), -EIO);
    CU_ASSERT_EQUAL(tamper_lines(5), 2);
    tamper_end();
}

/* Of many that are bad a few are told at once, the others later: one a second. */
static void lines_of_many(void)
{
    uint32_t bytes;

    tamper_medium = TAMPER_DISK;
    tamper_begin(true);
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        tamper_cipher(b, &bytes)[0] ^= 1;
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        CU_ASSERT_EQUAL(tamper_look(b), -EIO);
    unsigned int told = unit_capture_count(TAMPER_NAMED);
    CU_ASSERT(told >= 5 && told < TAMPER_BLOCKS / 2);
    unit_sleep(1100);
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        CU_ASSERT_EQUAL(tamper_look(b), -EIO);
    CU_ASSERT(unit_capture_count(TAMPER_NAMED) > told &&
              unit_capture_count(TAMPER_NAMED) < TAMPER_BLOCKS / 2);
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++)
        CU_ASSERT(tamper_lines(b) <= 1);
    tamper_end();
}

int suite_integrity(void)
{
    static const struct unit_case cases[] = {
        {"a bit is changed", flips},          {"blocks change places", swaps},
        {"blocks are zeroed", zeroes},        {"an earlier state comes back", replays},
        {"a tag is missing", missing_tags},   {"a part of a bad block is written", laundering},
        {"several in one request", in_a_run}, {"the pool is cut off", truncated},
        {"what was spilled", spilled},        {"lines are few", lines_are_few},
        {"lines of many", lines_of_many},
    };

    return UNIT_SUITE("integrity", cases);
}
