/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal: tags that tell whether a unit of ciphertext is the one that was written last to its slot.
 * One seal a thread, since it carries the library's context.  Pure apart from that.
 *
 * A tag is GMAC under AES-256, with a key of its own, over pool, slot, generation and the ciphertext.
 * (slot, generation) is the nonce: slots hand out each pair once.  Tags never leave memory, so nobody
 * can try a forgery but by writing to the pool and having the guest read it: one try in 2^119 passes.
 */
#ifndef EPHEM_SEAL_H
#define EPHEM_SEAL_H

#include <stdint.h>
#include "cipher.h"
#include "key.h"

#define SEAL_TAG 16u

struct seal;

/* Makes and checks tags that are known: of a published vector, and of a whole unit.  0, -EBADMSG: they
 * are others; -ENOMEM, -EIO: as below.  Then nothing may be served. */
int seal_try(void);

/* The key is read during the call only.  0, -ENOMEM, -EIO when libcrypto refuses. */
int seal_open(struct seal **out, const struct key *key);
void seal_close(struct seal *seal);

/* The tag of `bytes` of ciphertext, a multiple of 16, encrypted under `tweak`, whose slot is below 2^32.
 * 0, or -EIO. */
int seal_make(struct seal *seal, const struct cipher_tweak *tweak, const uint8_t *data,
              uint32_t bytes, uint8_t tag[SEAL_TAG]);

/* Whether it has this tag: 0; -EBADMSG: it was changed, moved or is an earlier one; -EIO. */
int seal_check(struct seal *seal, const struct cipher_tweak *tweak, const uint8_t *data,
               uint32_t bytes, const uint8_t tag[SEAL_TAG]);

#endif
