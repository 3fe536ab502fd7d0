/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plain: what tests of cipher and seal have in common.
 */
#ifndef EPHEM_PLAIN_H
#define EPHEM_PLAIN_H

#include <stdint.h>
#include "key.h"

/* key.h deliberately has no way in; the tests bring a key of the same shape. */
struct plain_key {
    uint8_t bytes[KEY_BYTES];
    uint8_t seal[KEY_SEAL_BYTES];
};

/* One block of AES-256, of which tests build modes of their own. */
void plain_aes(const uint8_t key[32], const uint8_t in[16], uint8_t out[16]);

#endif
