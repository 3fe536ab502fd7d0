// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seal: one GCM context, keyed once; everything is additional data, nothing is encrypted by it.  The
 * whole tweak goes in front of the data, and what of it fits is the nonce, too.  The known answers are
 * those of a published vector, and of a whole unit under its key and nonce.
 * Why GMAC: docs/performance.md has it beside the others.
 */
#include "seal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "secret.h"

#define NONCE 12u

struct seal {
    EVP_CIPHER_CTX *ctx;
};

static int seal_open_with(struct seal **out, const uint8_t key[KEY_SEAL_BYTES])
{
    int err = 0;
    struct seal *seal = calloc(1, sizeof(*seal));
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

    if (seal)
        seal->ctx = EVP_CIPHER_CTX_new();
    if (!seal || !seal->ctx)
        err = -ENOMEM;
    else if (!algorithm || EVP_CipherInit_ex(seal->ctx, algorithm, NULL, key, NULL, 1) != 1)
        err = -EIO;
    secret_wipe_stack();
    EVP_CIPHER_free(algorithm);
    if (err) {
        seal_close(seal);
        return err;
    }
    *out = seal;
    return 0;
}

int seal_open(struct seal **out, const struct key *key)
{
    return seal_open_with(out, key_seal_bytes(key));
}

void seal_close(struct seal *seal)
{
    if (!seal)
        return;
    EVP_CIPHER_CTX_free(seal->ctx);
    free(seal);
}

/* Over `name`, then the data. */
static int seal_run(struct seal *seal, const uint8_t nonce[NONCE], const uint8_t name[CIPHER_TWEAK],
                    const uint8_t *data, uint32_t bytes, uint8_t tag[SEAL_TAG])
{
    EVP_CIPHER_CTX *ctx = seal->ctx;
    uint8_t none[1];
    int len = 0;

    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
        EVP_CipherUpdate(ctx, NULL, &len, name, CIPHER_TWEAK) == 1 &&
        (!bytes || EVP_CipherUpdate(ctx, NULL, &len, data, (int)bytes) == 1) &&
        EVP_CipherFinal_ex(ctx, none, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, tag) == 1)
        return 0;
    return -EIO;
}

int seal_make(struct seal *seal, const struct cipher_tweak *tweak, const uint8_t *data,
              uint32_t bytes, uint8_t tag[SEAL_TAG])
{
    uint8_t name[CIPHER_TWEAK];

    cipher_tweak_bytes(tweak, name);
    /* The nonce: generation, and the slot's 32 bits. */
    return seal_run(seal, name, name, data, bytes, tag);
}

int seal_check(struct seal *seal, const struct cipher_tweak *tweak, const uint8_t *data,
               uint32_t bytes, const uint8_t tag[SEAL_TAG])
{
    uint8_t is[SEAL_TAG];
    int err = seal_make(seal, tweak, data, bytes, is);

    if (!err && CRYPTO_memcmp(is, tag, SEAL_TAG))
        err = -EBADMSG;
    return err;
}

/* NIST CAVP, gcmEncryptExtIV256: no plaintext, 128 bits of additional data, count 0. */
static const uint8_t try_key[KEY_SEAL_BYTES] = {
    0x78, 0xdc, 0x4e, 0x0a, 0xaf, 0x52, 0xd9, 0x35, 0xc3, 0xc0, 0x1e, 0xea, 0x57, 0x42, 0x8f, 0x00,
    0xca, 0x1f, 0xd4, 0x75, 0xf5, 0xda, 0x86, 0xa4, 0x9c, 0x8d, 0xd7, 0x3d, 0x68, 0xc8, 0xe2, 0x23};
static const uint8_t try_nonce[NONCE] = {0xd7, 0x9c, 0xf2, 0x2d, 0x50, 0x4c,
                                         0xc7, 0x93, 0xc3, 0xfb, 0x6c, 0x8a};
static const uint8_t try_name[CIPHER_TWEAK] = {0xb9, 0x6b, 0xaa, 0x8c, 0x1c, 0x75, 0xa6, 0x71,
                                               0xbf, 0xb2, 0xd0, 0x8d, 0x06, 0xbe, 0x5f, 0x36};
static const uint8_t try_tag[SEAL_TAG] = {0x3e, 0x5d, 0x48, 0x6a, 0xa2, 0xe3, 0x0b, 0x22,
                                          0xe0, 0x40, 0xb8, 0x57, 0x23, 0xa0, 0x6e, 0x76};

/* The tag of the unit 0, 1, ... 255, 0, ... under the same key and a tweak that begins with the nonce:
 * worked out by the GMAC of tests/unit/test_seal.c.  Long units go other ways through libcrypto. */
static const struct cipher_tweak try_tweak = {
    .generation = 0x93c74c502df29cd7, .slot = 0x8a6cfbc3, .pool = 0x6475};
static const uint8_t try_unit_tag[SEAL_TAG] = {0x07, 0xbc, 0x48, 0xe7, 0x91, 0xd9, 0x40, 0xd2,
                                               0x87, 0x51, 0x07, 0x37, 0xae, 0xbf, 0x48, 0x0b};

static bool try_vector(struct seal *seal)
{
    uint8_t tag[SEAL_TAG];

    return !seal_run(seal, try_nonce, try_name, NULL, 0, tag) && !memcmp(tag, try_tag, SEAL_TAG);
}

/* The right tag is taken, and one of what differs in its last bit is not. */
static bool try_unit(struct seal *seal)
{
    uint8_t unit[CIPHER_UNIT];

    for (uint32_t i = 0; i < CIPHER_UNIT; i++)
        unit[i] = (uint8_t)i;
    if (seal_check(seal, &try_tweak, unit, CIPHER_UNIT, try_unit_tag))
        return false;
    unit[CIPHER_UNIT - 1] ^= 0x80;
    return seal_check(seal, &try_tweak, unit, CIPHER_UNIT, try_unit_tag) == -EBADMSG;
}

int seal_try(void)
{
    struct seal *seal;
    int err = seal_open_with(&seal, try_key);

    if (err)
        return err;
    if (!try_vector(seal) || !try_unit(seal))
        err = -EBADMSG;
    seal_close(seal);
    return err;
}
