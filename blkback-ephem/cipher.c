// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cipher: two EVP contexts keyed once; per unit only the tweak changes.
 */
#include "cipher.h"

#include <errno.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

struct cipher {
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt;
};

static EVP_CIPHER_CTX *cipher_context(const EVP_CIPHER *algorithm, const struct key *key, int enc)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx && EVP_CipherInit_ex(ctx, algorithm, NULL, key_bytes(key), NULL, enc) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

int cipher_open(struct cipher **out, const struct key *key)
{
    int err = 0;
    struct cipher *cipher = calloc(1, sizeof(*cipher));
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, "AES-256-XTS", NULL);

    if (!cipher || !algorithm) {
        err = cipher ? -EIO : -ENOMEM;
        goto out;
    }
    cipher->encrypt = cipher_context(algorithm, key, 1);
    cipher->decrypt = cipher_context(algorithm, key, 0);
    if (!cipher->encrypt || !cipher->decrypt)
        err = -EIO;
out:
    EVP_CIPHER_free(algorithm);
    if (err) {
        cipher_close(cipher);
        return err;
    }
    *out = cipher;
    return 0;
}

void cipher_close(struct cipher *cipher)
{
    if (!cipher)
        return;
    EVP_CIPHER_CTX_free(cipher->encrypt);
    EVP_CIPHER_CTX_free(cipher->decrypt);
    free(cipher);
}

static void store_le(uint8_t *at, uint64_t value, unsigned int bytes)
{
    for (unsigned int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

void cipher_tweak_bytes(const struct cipher_tweak *tweak, uint8_t out[CIPHER_TWEAK])
{
    store_le(out, tweak->generation, 8);
    store_le(out + 8, tweak->slot, 6);
    store_le(out + 14, tweak->pool, 2);
}

static int cipher_run(EVP_CIPHER_CTX *ctx, const struct cipher_tweak *tweak, const uint8_t *in,
                      uint8_t *out, uint32_t bytes)
{
    uint8_t iv[CIPHER_TWEAK];
    int len = 0;

    cipher_tweak_bytes(tweak, iv);
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) == 1 &&
        EVP_CipherUpdate(ctx, out, &len, in, (int)bytes) == 1 && len == (int)bytes)
        return 0;
    OPENSSL_cleanse(out, bytes);
    return -EIO;
}

int cipher_encrypt(struct cipher *cipher, const struct cipher_tweak *tweak, const uint8_t *in,
                   uint8_t *out, uint32_t bytes)
{
    return cipher_run(cipher->encrypt, tweak, in, out, bytes);
}

int cipher_decrypt(struct cipher *cipher, const struct cipher_tweak *tweak, const uint8_t *in,
                   uint8_t *out, uint32_t bytes)
{
    return cipher_run(cipher->decrypt, tweak, in, out, bytes);
}
