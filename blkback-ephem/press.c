// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * press: LZ4's fastest mode, with its table in our memory rather than on a stack.
 */
#include "press.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "util.h"

#define PRESS_MOST (15u * PRESS_UNIT) /* what does not get below is kept as it is */

struct press {
    struct arena *arena;
    uint32_t pages; /* of the table */
    uint8_t *table;
    uint8_t *scratch;
};

int press_open(struct press **out)
{
    struct press *press = calloc(1, sizeof(*press));
    int err = press ? arena_open(&press->arena, PRESS_LOCKED) : -ENOMEM;

    if (err) {
        free(press);
        return err;
    }
    press->pages = ((uint32_t)LZ4_sizeofState() + ARENA_PAGE - 1) / ARENA_PAGE;
    press->table = arena_get(press->arena, press->pages);
    press->scratch = arena_get(press->arena, 1);
    *out = press;
    return 0;
}

void press_close(struct press *press)
{
    if (!press)
        return;
    arena_put(press->arena, press->table, press->pages);
    arena_put(press->arena, press->scratch, 1);
    arena_close(press->arena);
    free(press);
}

const uint8_t *press_block(struct press *press, const uint8_t *block, uint32_t *bytes)
{
    int n = LZ4_compress_fast_extState(press->table, (const char *)block,
                                       (char *)press->scratch + 2, BLOCK_SIZE, PRESS_MOST - 2, 1);

    if (n <= 0) {
        *bytes = BLOCK_SIZE;
        return block;
    }
    press->scratch[0] = (uint8_t)n;
    press->scratch[1] = (uint8_t)(n >> 8);
    *bytes = ((uint32_t)n + 2 + PRESS_UNIT - 1) / PRESS_UNIT * PRESS_UNIT;
    memset(press->scratch + 2 + n, 0, *bytes - 2 - (uint32_t)n);
    return press->scratch;
}

uint8_t *press_scratch(struct press *press)
{
    return press->scratch;
}

int press_unfold(struct press *press, uint32_t bytes, uint8_t *block)
{
    uint32_t n = press->scratch[0] | (uint32_t)press->scratch[1] << 8;

    if (n + 2 <= bytes && LZ4_decompress_safe((const char *)press->scratch + 2, (char *)block,
                                              (int)n, BLOCK_SIZE) == (int)BLOCK_SIZE)
        return 0;
    memset(block, 0, BLOCK_SIZE);
    return -EIO;
}

void press_wipe(struct press *press)
{
    explicit_bzero(press->scratch, BLOCK_SIZE);
}

struct arena *press_arena(const struct press *press)
{
    return press->arena;
}
