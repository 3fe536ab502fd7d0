/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pack: memory in units of 256 to 4096 bytes, one for each slot that has contents, within a fixed
 * bound.  Private to pool*.c; under the pool's lock but for pack_find, which may be called for a slot
 * whose contents are settled: a unit stays where it is.
 */
#ifndef EPHEM_PACK_H
#define EPHEM_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pack;

/* 0 or -ENOMEM. */
int pack_open(struct pack **out, uint64_t bytes);
void pack_close(struct pack *pack);

/* True: there is room for `blocks` blocks, however badly they compress, besides what is promised. */
bool pack_has_room(const struct pack *pack, uint32_t blocks);
/* Of so many that room is kept until it is taken back; then pack_put will not fail for want of it. */
void pack_promise(struct pack *pack, uint32_t blocks);
void pack_unpromise(struct pack *pack, uint32_t blocks);
bool pack_is_promised(const struct pack *pack);

/* A unit of at least `bytes` for a slot that has none, or NULL without memory for its record. */
uint8_t *pack_put(struct pack *pack, uint32_t slot, uint32_t bytes);
/* A slot's unit and its size, or NULL. */
uint8_t *pack_find(const struct pack *pack, uint32_t slot, uint32_t *bytes);
/* A slot's unit is free again, if it has one. */
void pack_drop(struct pack *pack, uint32_t slot);

/* Bytes: taken by units, and of memory for the records. */
uint64_t pack_used(const struct pack *pack);
size_t pack_memory(const struct pack *pack);

#endif
