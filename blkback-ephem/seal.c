// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seal: one GCM context, keyed once; everything is additional data, nothing is encrypted by it.  The
 * whole tweak goes in front of the data, and what of it fits is the nonce, too.
 * Why GMAC: docs/performance.md has it beside the others.
 */
#include "seal.h"

#include <errno.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define NONCE 12u

struct seal {
    EVP_CIPHER_CTX *ctx;
};

int seal_open(struct seal **out, const struct key *key)
{
    int err = 0;
    struct seal *seal = calloc(1, sizeof(*seal));
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);

    if (seal)
        seal->ctx = EVP_CIPHER_CTX_new();
    if (!seal || !seal->ctx)
        err = -ENOMEM;
    else if (!algorithm ||
             EVP_CipherInit_ex(seal->ctx, algorithm, NULL, key_seal_bytes(key), NULL, 1) != 1)
        err = -EIO;
    EVP_CIPHER_free(algorithm);
    if (err) {
        seal_close(seal);
        return err;
    }
    *out = seal;
    return 0;
}

void seal_close(struct seal *seal)
{
    if (!seal)
        return;
    EVP_CIPHER_CTX_free(seal->ctx);
    free(seal);
}

int seal_make(struct seal *seal, const struct cipher_tweak *tweak, const uint8_t *data,
              uint32_t bytes, uint8_t tag[SEAL_TAG])
{
    EVP_CIPHER_CTX *ctx = seal->ctx;
    uint8_t name[CIPHER_TWEAK], nonce[NONCE], none[1];
    int len = 0;

    cipher_tweak_bytes(tweak, name);
    for (uint32_t i = 0; i < NONCE; i++)
        nonce[i] = name[i]; /* generation, and the slot's 32 bits */
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) == 1 &&
        EVP_CipherUpdate(ctx, NULL, &len, name, CIPHER_TWEAK) == 1 &&
        EVP_CipherUpdate(ctx, NULL, &len, data, (int)bytes) == 1 &&
        EVP_CipherFinal_ex(ctx, none, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, tag) == 1)
        return 0;
    return -EIO;
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
