/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model: what each sector of a volume must hold, as far as anybody can know: what was acknowledged and
 * was not under way together with anything else.  By hashes.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* The base's bytes are rig_base_byte's, zeroes behind. */
void model_open(uint32_t sectors, uint32_t base_sectors);
uint64_t model_hash(const uint8_t *sector);
uint64_t model_zero(void);

/* A write or discard of these is under way; then: it has ended.  `hash` of each sector, or NULL:
 * nobody knows what is there now. */
void model_begin(uint32_t first, uint32_t count);
void model_end(uint32_t first, uint32_t count, const uint64_t *hash);

/* A reader's mark: from now on, until it reads. */
uint64_t model_mark(uint32_t first, uint32_t count);
/* False: this sector cannot be there. */
bool model_may_be(uint32_t first, uint32_t count, uint64_t mark, uint32_t sector,
                  const uint8_t *bytes);

#endif
