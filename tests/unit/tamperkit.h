/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tamperkit: a volume whose blocks were each written by itself, on any medium, with a model of what is in
 * them; and ways to its ciphertext, for attacks on it.  One at a time.
 */
#ifndef EPHEM_TAMPERKIT_H
#define EPHEM_TAMPERKIT_H

#include <stdbool.h>
#include <stdint.h>
#include "pool.h"
#include "rig.h"

#define TAMPER_BLOCKS 24u
#define TAMPER_BYTES  (TAMPER_BLOCKS * BLOCK_SIZE)
#define TAMPER_NAMED  "guest 7: xvda: block "

enum { TAMPER_DISK, TAMPER_FRONT, TAMPER_MEMORY, TAMPER_PACKED, TAMPER_PRESSED, TAMPER_MEDIA };

extern struct rig tamper_rig;
extern uint8_t tamper_model[TAMPER_BYTES], tamper_out[TAMPER_BYTES], tamper_data[BLOCK_SIZE];
extern const struct rig_config tamper_media[TAMPER_MEDIA];
extern int tamper_medium;

/* The medium is tamper_medium's; the log is captured until the end. */
void tamper_begin(bool integrity);
void tamper_end(void);

/* Pseudo-random, or what compresses to one unit of 256 bytes. */
void tamper_fill(uint8_t *block, uint64_t seed);
/* Writes such a block, and leaves it in tamper_data. */
int tamper_put(uint32_t block, uint64_t seed);
/* 0: what the model says; -EIO; -EILSEQ: it is something else. */
int tamper_look(uint32_t block);

/* Of a block's ciphertext: how long it is, and where. */
uint32_t tamper_slot(uint32_t block);
uint8_t *tamper_cipher_at(uint32_t slot, uint32_t *bytes);
uint8_t *tamper_cipher(uint32_t block, uint32_t *bytes);

/* What the pool has counted, and the log's lines about a block. */
uint64_t tamper_count(void);
unsigned int tamper_lines(uint32_t block);

#endif
