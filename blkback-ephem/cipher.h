/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cipher: AES-256-XTS over 4096-byte data units.  The only user of libcrypto besides key.  Pure
 * apart from that; one cipher a thread, since it carries the library's context.
 *
 * The tweak is pool 16 | slot 48 | generation 64 bits, little endian.  Callers never encrypt
 * different data under one tweak: slots hand out each (slot, generation) once.
 */
#ifndef EPHEM_CIPHER_H
#define EPHEM_CIPHER_H

#include <stdint.h>
#include "key.h"

#define CIPHER_UNIT  4096u
#define CIPHER_TWEAK 16u

struct cipher;

struct cipher_tweak {
    uint16_t pool;
    uint64_t slot; /* below 2^48 */
    uint64_t generation;
};

/*
 * Encrypts and decrypts what the answer is known for: with a published vector, and a whole unit.  0,
 * -EBADMSG: the answer was another one; -ENOMEM, -EIO: as below.  Then nothing may be served.
 */
int cipher_check(void);

/* The key is read during the call only.  0, -ENOMEM, -EIO when libcrypto refuses. */
int cipher_open(struct cipher **out, const struct key *key);
void cipher_close(struct cipher *cipher);

/* As the cipher takes it: generation, slot, pool. */
void cipher_tweak_bytes(const struct cipher_tweak *tweak, uint8_t out[CIPHER_TWEAK]);

/* One unit of `bytes`, CIPHER_UNIT or less and a multiple of 16, from `in` to `out`, which may be the
 * same.  0, or -EIO and `out` is zeroed, so that nothing wrong is used. */
int cipher_encrypt(struct cipher *cipher, const struct cipher_tweak *tweak, const uint8_t *in,
                   uint8_t *out, uint32_t bytes);
int cipher_decrypt(struct cipher *cipher, const struct cipher_tweak *tweak, const uint8_t *in,
                   uint8_t *out, uint32_t bytes);

#endif
