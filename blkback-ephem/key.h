/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * key: the secret of one guest life: 64 bytes for AES-256-XTS and 32 for the seal, from
 * getrandom, in secret memory (secret.h), which a forked child has not.  There is deliberately no
 * function that imports, prints or exports it; only cipher and seal read it.
 */
#ifndef EPHEM_KEY_H
#define EPHEM_KEY_H

#include <stdint.h>

#define KEY_BYTES      64u
#define KEY_SEAL_BYTES 32u
#define KEY_PAGE       4096u /* bytes it locks */

struct key;

/* Makes a new key.  0, or negative errno: as secret_state(), which is asked first. */
int key_open(struct key **out);

/* Wipes it. */
void key_close(struct key *key);

const uint8_t *key_bytes(const struct key *key);
const uint8_t *key_seal_bytes(const struct key *key);

#endif
