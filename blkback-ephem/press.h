/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * press: a block's plaintext compressed into a unit of 256 to 4096 bytes, and back.  The only user of
 * liblz4.  One thread; its scratch memory is locked, left out of dumps, and wiped after each use.
 *
 * A unit shorter than 4096 bytes is the length of what follows (16 bits, little endian), LZ4 data,
 * and zeroes; one of 4096 bytes is the block as it is.  So a unit's size tells how well its block
 * compresses, to whoever sees the ciphertext: docs/security.md.
 */
#ifndef EPHEM_PRESS_H
#define EPHEM_PRESS_H

#include <stdint.h>

#define PRESS_UNIT   256u
#define PRESS_LOCKED (256u * 1024) /* bytes */

struct arena;
struct press;

/* 0, -ENOMEM, -EPERM: could not be locked. */
int press_open(struct press **out);
void press_close(struct press *press);

/* What is to be encrypted: `*bytes` of it, a multiple of PRESS_UNIT; lies in the scratch memory or is
 * `block` itself.  Valid until press_wipe. */
const uint8_t *press_block(struct press *press, const uint8_t *block, uint32_t *bytes);

/* Where a unit may be decrypted to, 4096 bytes; then press_unfold puts its block at `block`: 0, or
 * -EIO and zeroes. */
uint8_t *press_scratch(struct press *press);
int press_unfold(struct press *press, uint32_t bytes, uint8_t *block);

void press_wipe(struct press *press);

/* What its scratch memory is of. */
struct arena *press_arena(const struct press *press);

#endif
