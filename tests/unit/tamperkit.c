// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tamperkit: see its header.
 */
#include "tamperkit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "unit.h"
#include "volume_state.h"

struct rig tamper_rig;
uint8_t tamper_model[TAMPER_BYTES], tamper_out[TAMPER_BYTES], tamper_data[BLOCK_SIZE];

const struct rig_config tamper_media[TAMPER_MEDIA] = {
    [TAMPER_DISK] = {.lanes = 2, .bytes = TAMPER_BYTES, .extents = 8, .seed = 1},
    [TAMPER_FRONT] = {.lanes = 2, .bytes = TAMPER_BYTES, .extents = 8, .seed = 2, .ram = 16 << 20},
    [TAMPER_MEMORY] =
        {.lanes = 2, .bytes = TAMPER_BYTES, .seed = 3, .ram = 16 << 20, .ram_only = true},
    [TAMPER_PACKED] = {.lanes = 2,
                       .bytes = TAMPER_BYTES,
                       .seed = 4,
                       .ram = 16 << 20,
                       .ram_only = true,
                       .lz4 = true},
    [TAMPER_PRESSED] = {.lanes = 2,
                        .bytes = TAMPER_BYTES,
                        .seed = 5,
                        .ram = 16 << 20,
                        .ram_only = true,
                        .lz4 = true},
};
int tamper_medium;

/* Pseudo-random, or what compresses to one unit of 256 bytes. */
void tamper_fill(uint8_t *block, uint64_t seed)
{
    for (uint32_t i = 0; i < BLOCK_SIZE; i += 8) {
        uint64_t word = tamper_medium == TAMPER_PRESSED && i >= 128 ? 7 : unit_random(&seed);
        memcpy(block + i, &word, 8);
    }
}

int tamper_put(uint32_t block, uint64_t seed)
{
    tamper_fill(tamper_data, seed);
    return rig_do(&tamper_rig, 0, VIO_WRITE, block * BLOCK_SIZE, BLOCK_SIZE, tamper_data);
}

/* A volume of which each block was written by itself. */
void tamper_begin(bool integrity)
{
    struct rig_config config = tamper_media[tamper_medium];

    config.integrity = integrity;
    rig_open(&tamper_rig, &config);
    for (uint32_t b = 0; b < TAMPER_BLOCKS; b++) {
        CU_ASSERT_EQUAL(tamper_put(b, b + 1), 0);
        memcpy(tamper_model + b * BLOCK_SIZE, tamper_data, BLOCK_SIZE);
    }
    unit_capture_start();
}

uint64_t tamper_count(void)
{
    struct pool_stats stats;

    pool_stats(tamper_rig.pool, &stats);
    return stats.tampered;
}

void tamper_end(void)
{
    unit_capture_end();
    rig_close(&tamper_rig);
}

/* Of a block's ciphertext: how long it is, and where. */
uint32_t tamper_slot(uint32_t block)
{
    return overlay_get(tamper_rig.volume->overlay, block);
}

uint8_t *tamper_cipher_at(uint32_t slot, uint32_t *bytes)
{
    *bytes = BLOCK_SIZE;
    if (tamper_medium == TAMPER_DISK)
        return tamper_rig.disk + (size_t)slot * BLOCK_SIZE;
    return (uint8_t *)(tamper_medium >= TAMPER_PACKED ? pool_unit(tamper_rig.pool, slot, bytes)
                                                      : pool_peek(tamper_rig.pool, slot));
}

uint8_t *tamper_cipher(uint32_t block, uint32_t *bytes)
{
    uint8_t *at = tamper_cipher_at(tamper_slot(block), bytes);

    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    CU_ASSERT_EQUAL(*bytes, tamper_medium == TAMPER_PRESSED ? 256 : BLOCK_SIZE);
    return at;
}

/* 0: what the model says; -EIO; -EILSEQ: it is something else. */
int tamper_look(uint32_t block)
{
    int err = rig_do(&tamper_rig, block % 2, VIO_READ, block * BLOCK_SIZE, BLOCK_SIZE, tamper_out);

    if (err)
        return err;
    return memcmp(tamper_out, tamper_model + block * BLOCK_SIZE, BLOCK_SIZE) ? -EILSEQ : 0;
}

unsigned int tamper_lines(uint32_t block)
{
    char text[64];

    snprintf(text, sizeof(text), TAMPER_NAMED "%u: ", block);
    return unit_capture_count(text);
}
