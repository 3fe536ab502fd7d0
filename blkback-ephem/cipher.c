// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cipher: two EVP contexts keyed once; per unit only the tweak changes.  What libcrypto keeps, the
 * expanded schedules, lies in secret memory (secret.h); the stack it used while it expanded them is
 * wiped.
 */
#include "cipher.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include "secret.h"

struct cipher {
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt;
};

static EVP_CIPHER_CTX *cipher_context(const EVP_CIPHER *algorithm, const uint8_t *key, int enc)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (ctx && EVP_CipherInit_ex(ctx, algorithm, NULL, key, NULL, enc) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static int cipher_open_with(struct cipher **out, const uint8_t *key)
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
    secret_wipe_stack();
    EVP_CIPHER_free(algorithm);
    if (err) {
        cipher_close(cipher);
        return err;
    }
    *out = cipher;
    return 0;
}

int cipher_open(struct cipher **out, const struct key *key)
{
    return cipher_open_with(out, key_bytes(key));
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

/* NIST CAVP, XTSGenAES256, 256 bits a data unit, COUNT = 1.  The tweak is its bytes in our layout. */
static const uint8_t check_key[KEY_BYTES] = {
    0x1e, 0xa6, 0x61, 0xc5, 0x8d, 0x94, 0x3a, 0x0e, 0x48, 0x01, 0xe4, 0x2f, 0x4b, 0x09, 0x47, 0x14,
    0x9e, 0x7f, 0x9f, 0x8e, 0x3e, 0x68, 0xd0, 0xc7, 0x50, 0x52, 0x10, 0xbd, 0x31, 0x1a, 0x0e, 0x7c,
    0xd6, 0xe1, 0x3f, 0xfd, 0xf2, 0x41, 0x8d, 0x8d, 0x19, 0x11, 0xc0, 0x04, 0xcd, 0xa5, 0x8d, 0xa3,
    0xd6, 0x19, 0xb7, 0xe2, 0xb9, 0x14, 0x1e, 0x58, 0x31, 0x8e, 0xea, 0x39, 0x2c, 0xf4, 0x1b, 0x08};
static const struct cipher_tweak check_tweak = {
    .generation = 0xd24a462726d9f8ad, .slot = 0xf8a9848e42f0, .pool = 0x6475};
static const uint8_t check_plain[32] = {
    0x2e, 0xed, 0xea, 0x52, 0xcd, 0x82, 0x15, 0xe1, 0xac, 0xc6, 0x47, 0xe8, 0x10, 0xbb, 0xc3, 0x64,
    0x2e, 0x87, 0x28, 0x7f, 0x8d, 0x2e, 0x57, 0xe3, 0x6c, 0x0a, 0x24, 0xfb, 0xc1, 0x2a, 0x20, 0x2e};
static const uint8_t check_wanted[32] = {
    0xcb, 0xaa, 0xd0, 0xe2, 0xf6, 0xce, 0xa3, 0xf5, 0x0b, 0x37, 0xf9, 0x34, 0xd4, 0x6a, 0x9b, 0x13,
    0x0b, 0x9d, 0x54, 0xf0, 0x7e, 0x34, 0xf3, 0x6a, 0xf7, 0x93, 0xe8, 0x6f, 0x73, 0xc6, 0xd7, 0xdb};

/* All blocks of the unit 0, 1, ... 255, 0, ... under the same key and tweak, one exclusive-or the other:
 * worked out by the XTS of tests/unit/test_cipher.c.  Long units go other ways through libcrypto. */
static const uint8_t check_sum[16] = {0xff, 0x76, 0xa7, 0xa4, 0x71, 0x0e, 0x01, 0x9b,
                                      0xb6, 0x29, 0xf0, 0xbb, 0xbf, 0x9b, 0x4f, 0x6e};

static bool check_vector(struct cipher *cipher)
{
    uint8_t out[32], back[32];

    return !cipher_encrypt(cipher, &check_tweak, check_plain, out, 32) &&
           !memcmp(out, check_wanted, 32) && !cipher_decrypt(cipher, &check_tweak, out, back, 32) &&
           !memcmp(back, check_plain, 32);
}

static bool check_unit(struct cipher *cipher)
{
    uint8_t unit[CIPHER_UNIT], sum[16] = {0}, wrong = 0;

    for (uint32_t i = 0; i < CIPHER_UNIT; i++)
        unit[i] = (uint8_t)i;
    if (cipher_encrypt(cipher, &check_tweak, unit, unit, CIPHER_UNIT))
        return false;
    for (uint32_t i = 0; i < CIPHER_UNIT; i++)
        sum[i % 16] ^= unit[i];
    if (memcmp(sum, check_sum, sizeof(sum)) ||
        cipher_decrypt(cipher, &check_tweak, unit, unit, CIPHER_UNIT))
        return false;
    for (uint32_t i = 0; i < CIPHER_UNIT; i++)
        wrong |= unit[i] ^ (uint8_t)i;
    return !wrong;
}

int cipher_check(void)
{
    struct cipher *cipher;
    int err = cipher_open_with(&cipher, check_key);

    if (err)
        return err;
    if (!check_vector(cipher) || !check_unit(cipher))
        err = -EBADMSG;
    cipher_close(cipher);
    return err;
}
