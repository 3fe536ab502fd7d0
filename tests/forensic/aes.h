/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aes: key schedules as they lie in memory.  A schedule betrays itself: each of its words is a function
 * of two earlier ones, so a window of two key lengths that fits is one, whoever made it.
 *
 * Known are encryption schedules for keys of 128, 192 and 256 bits and, of 128 and 256, those for the
 * equivalent inverse cipher, as AES instructions use them (rounds in reverse, inverse mix columns in all
 * but the outermost); each with words in the order of their bytes, or as 32-bit numbers of this machine.
 * A part of a schedule is enough: 32 bytes for a key of 16, 80 for one of 32.  Not known: bit-sliced and
 * other transformed schedules.
 */
#ifndef FORENSIC_AES_H
#define FORENSIC_AES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AES_KEY_MOST      32u
#define AES_SCHEDULE_MOST 240u

struct aes_found {
    size_t bytes; /* from where it begins: what fits */
    unsigned int key_bytes;
    bool
        inverse; /* for decryption: the outermost round keys, 16 bytes each side, are not counted */
    bool swapped; /* words as little-endian numbers */
    uint8_t key[AES_KEY_MOST];
};

/* The bytes of a schedule. */
size_t aes_schedule_bytes(unsigned int key_bytes);

/* Expands a key of 16, 24 or 32 bytes; inverse: for decryption, not with 24. */
void aes_expand(uint8_t *schedule, const uint8_t *key, unsigned int key_bytes, bool inverse);

/* Turns the words of a schedule to the other order of bytes. */
void aes_swap(uint8_t *schedule, size_t bytes);

/*
 * The first place at or behind at (a multiple of 4), and before limit, where a schedule begins.  Bytes
 * before end may be read.  Returns limit where there is none.
 */
size_t aes_find(const uint8_t *memory, size_t at, size_t limit, size_t end,
                struct aes_found *found);

#endif
