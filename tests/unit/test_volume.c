// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * volume: what one request does, alone and beside others on the same block, end to end.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake_aio.h"
#include "rig.h"

#define KIB 1024u

static struct rig rig;
static uint8_t in[VIO_MAX], out[VIO_MAX];

static bool all_are(const uint8_t *bytes, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static bool is_base(const uint8_t *bytes, uint64_t offset, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != rig_base_byte(offset + i))
            return false;
    return true;
}

/* A base that ends within a block and before the volume does. */
static void edges_of_the_base(void)
{
    const uint64_t base = 10 * 4096 + 512;

    rig_open(
        &rig,
        &(struct rig_config){
            .lanes = 1, .bytes = 20 * 4096 + 1536, .base_bytes = base, .extents = 8, .seed = 1});
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, 20 * 4096 + 1536, out), 0);
    CU_ASSERT(is_base(out, 0, base));
    CU_ASSERT(all_are(out + base, 20 * 4096 + 1536 - base, 0));
    memset(in, 0xaa, 512);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, base + 512, 512, in), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 10 * 4096, 4096, out), 0);
    CU_ASSERT(is_base(out, 10 * 4096, 512) && all_are(out + 512, 512, 0));
    CU_ASSERT(all_are(out + 1024, 512, 0xaa) && all_are(out + 1536, 2560, 0));
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 20 * 4096 + 1024, 512, in), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 20 * 4096, 1536, out), 0);
    CU_ASSERT(all_are(out, 1024, 0) && all_are(out + 1024, 512, 0xaa));
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 20 * 4096, 1536, NULL), 0);
    CU_ASSERT_EQUAL(rig_pool_used(&rig), 4096);
    for (uint64_t i = 0; i < base; i++)
        CU_ASSERT_FATAL(rig.base[i] == rig_base_byte(i));
    rig_close(&rig);
}

/* Every start and length within three blocks, over a base. */
static void every_alignment(void)
{
    uint8_t model[3 * 4096];

    rig_open(&rig,
             &(struct rig_config){
                 .lanes = 2, .bytes = 64 * KIB, .base_bytes = 64 * KIB, .extents = 8, .seed = 2});
    for (uint64_t i = 0; i < sizeof(model); i++)
        model[i] = rig_base_byte(i);
    for (uint32_t first = 0; first < 24; first += 1 + first % 2) {
        for (uint32_t sectors = 1; first + sectors <= 24; sectors += 1 + sectors % 3) {
            uint8_t value = (uint8_t)(first * 24 + sectors);
            memset(in, value, sectors * 512);
            memset(model + first * 512, value, sectors * 512);
            CU_ASSERT_EQUAL(rig_do(&rig, sectors % 2, VIO_WRITE, first * 512, sectors * 512, in),
                            0);
            CU_ASSERT_EQUAL(rig_do(&rig, first % 2, VIO_READ, 0, sizeof(model), out), 0);
            CU_ASSERT_EQUAL(memcmp(out, model, sizeof(model)), 0);
            if (sectors % 5)
                continue;
            CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, first * 512, sectors * 512, NULL), 0);
            uint32_t from = (first + 7) / 8 * 4096, to = (first + sectors) / 8 * 4096;
            if (from < to)
                memset(model + from, 0, to - from);
        }
    }
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, sizeof(model), out), 0);
    CU_ASSERT_EQUAL(memcmp(out, model, sizeof(model)), 0);
    rig_close(&rig);
}

/* The largest request, beginning within a block, in a pool of crumbs. */
static void largest(void)
{
    rig_open(&rig,
             &(struct rig_config){
                 .lanes = 2, .bytes = 4 << 20, .base_bytes = 4 << 20, .extents = 8, .seed = 3});
    for (uint64_t block = 0; block < 600; block += 2)
        CU_ASSERT_EQUAL(rig_do(&rig, block / 2 % 2, VIO_WRITE, block * 4096, 4096, in), 0);
    for (size_t i = 0; i < VIO_MAX; i++)
        in[i] = (uint8_t)(i * 13 + i / 512);
    uint8_t *keep = malloc(VIO_MAX);
    memcpy(keep, in, VIO_MAX);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 512, VIO_MAX, in), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, 512, VIO_MAX, out), 0);
    CU_ASSERT_EQUAL(memcmp(out, keep, VIO_MAX), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 1, VIO_READ, 2 << 20, VIO_MAX, out), 0);
    CU_ASSERT(is_base(out + 400 * KIB, (2 << 20) + 400 * KIB, VIO_MAX - 400 * KIB));
    free(keep);
    rig_close(&rig);
}

/* Eight partial writes to one block at once, over two lanes. */
static void no_part_is_lost(void)
{
    static struct rig_io io[8];
    static uint8_t data[8][512];

    rig_open(&rig,
             &(struct rig_config){
                 .lanes = 2, .bytes = 64 * KIB, .base_bytes = 64 * KIB, .extents = 8, .seed = 4});
    for (uint32_t round = 0; round < 60; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            memset(data[i], (int)(round * 8 + i + 1) & 0xff, 512);
            rig_start(&io[i], &rig, (i + round) % 2, VIO_WRITE, 4096 + i * 512, 512, data[i]);
        }
        for (uint32_t i = 0; i < 8; i++)
            CU_ASSERT_EQUAL(rig_wait(&io[i]), 0);
        CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 4096, 4096, out), 0);
        for (uint32_t i = 0; i < 8; i++)
            CU_ASSERT(all_are(out + i * 512, 512, (uint8_t)(round * 8 + i + 1)));
    }
    rig_close(&rig);
}

/* A read that has begun keeps its data while the block is overwritten and its slot reused. */
static void grace(void)
{
    struct rig_io read, write[4];
    static uint8_t data[4][256 * KIB];

    rig_open(&rig, &(struct rig_config){
                       .lanes = 2, .bytes = 1 << 20, .base_bytes = 0, .extents = 3, .seed = 5});
    memset(in, 0x11, 256 * KIB);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 0, 256 * KIB, in), 0);
    fake_aio_hold(true, -1);
    rig_start(&read, &rig, 0, VIO_READ, 0, 256 * KIB, out);
    CU_ASSERT_EQUAL(rig_wait_ms(&read, 50), -ETIMEDOUT);
    for (uint32_t i = 0; i < 4; i++) {
        memset(data[i], 0x22 + (int)i, sizeof(data[i]));
        rig_start(&write[i], &rig, 1, i == 1 ? VIO_DISCARD : VIO_WRITE, 0, sizeof(data[i]),
                  data[i]);
    }
    CU_ASSERT_EQUAL(rig_wait_ms(&write[0], 50), -ETIMEDOUT);
    fake_aio_hold(false, -1);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(rig_wait(&write[i]), 0);
    CU_ASSERT_EQUAL(rig_wait(&read), 0);
    CU_ASSERT(all_are(out, 256 * KIB, 0x11));
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, 256 * KIB, out), 0);
    CU_ASSERT(all_are(out, 256 * KIB, 0x25));
    rig_close(&rig);
}

/* What lies in the pool is ciphertext, and no two blocks of it are alike. */
static void only_ciphertext(void)
{
    static const char marker[] = "the plain form of this marker is nowhere in the pool";

    rig_open(&rig, &(struct rig_config){
                       .lanes = 2, .bytes = 4 << 20, .base_bytes = 0, .extents = 8, .seed = 6});
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i + 64 <= 64 * KIB; i += 64)
            memcpy(in + i, marker, sizeof(marker));
        uint32_t odd = round % 3 * 512;
        CU_ASSERT_EQUAL(rig_do(&rig, round % 2, VIO_WRITE, round * 64 * KIB + odd, 64 * KIB, in),
                        0);
    }
    CU_ASSERT_PTR_NULL(memmem(rig.disk, 16 << 20, marker, 24));
    uint32_t alike = 0, used = 0;
    for (uint8_t *a = rig.disk; a < rig.disk + (1 << 20); a += 4096) {
        if (all_are(a, 4096, 0))
            continue;
        used++;
        for (uint8_t *b = a + 4096; b < rig.disk + (1 << 20); b += 4096)
            alike += memcmp(a, b, 4096) == 0;
    }
    CU_ASSERT_EQUAL(alike, 0);
    CU_ASSERT(used >= 128);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 64 * KIB + 512, 4096, out), 0);
    CU_ASSERT_PTR_NOT_NULL(memmem(out, 4096, marker, 24));
    rig_close(&rig);
}

static void statistics(void)
{
    struct volume_stats stats;

    rig_open(&rig, &(struct rig_config){
                       .lanes = 1, .bytes = 1 << 20, .base_bytes = 0, .extents = 8, .seed = 7});
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_WRITE, 512, 8192, in), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_READ, 0, 4096, out), 0);
    CU_ASSERT_EQUAL(rig_do(&rig, 0, VIO_DISCARD, 0, 8192, NULL), 0);
    volume_stats(rig.volume, &stats);
    CU_ASSERT(stats.writes == 1 && stats.reads == 1 && stats.discards == 1 && stats.errors == 0);
    CU_ASSERT(stats.bytes_written == 8192 && stats.bytes_read == 4096);
    CU_ASSERT_EQUAL(stats.blocks, 1);
    rig_close(&rig);
}

int suite_volume(void)
{
    static const struct unit_case cases[] = {
        {"edges of the base", edges_of_the_base},
        {"every alignment", every_alignment},
        {"the largest request", largest},
        {"no part of a block is lost", no_part_is_lost},
        {"a read keeps its data", grace},
        {"only ciphertext", only_ciphertext},
        {"statistics", statistics},
    };

    return UNIT_SUITE("volume", cases);
}
