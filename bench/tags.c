// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tags: what authenticating a block of 4096 bytes costs with what libcrypto has, beside encrypting it.
 * Keyed once where that is possible, then a nonce and the tag for each block, as the data plane does
 * it.  The least time of many short batches is printed, so that a busy machine does not count; no more
 * is claimed than the ratio between rows.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#define BLOCK   4096
#define BATCH   16
#define BATCHES 8000

struct method {
    const char *name, *algorithm;
    enum { XTS_IN, XTS_OUT, GMAC, MAC } kind;
    size_t key;       /* bytes given for each block; 0: keyed once */
    const char *with; /* OSSL_MAC_PARAM_* */
    const char *what;
};

static const struct method methods[] = {
    {"AES-256-XTS, encrypt", "AES-256-XTS", XTS_OUT, 0, NULL, NULL},
    {"AES-256-XTS, decrypt", "AES-256-XTS", XTS_IN, 0, NULL, NULL},
    {"GMAC, AES-256", "AES-256-GCM", GMAC, 0, NULL, NULL},
    {"GMAC, AES-128", "AES-128-GCM", GMAC, 0, NULL, NULL},
    {"Poly1305", "POLY1305", MAC, 32, NULL, NULL},
    {"SipHash-2-4", "SIPHASH", MAC, 16, NULL, NULL},
    {"HMAC-SHA256", "HMAC", MAC, 0, OSSL_MAC_PARAM_DIGEST, "SHA256"},
    {"CMAC, AES-128", "CMAC", MAC, 0, OSSL_MAC_PARAM_CIPHER, "AES-128-CBC"},
    {"BLAKE2b", "BLAKE2BMAC", MAC, 32, NULL, NULL},
    {"BLAKE2s", "BLAKE2SMAC", MAC, 32, NULL, NULL},
    {"KMAC128", "KMAC128", MAC, 0, NULL, NULL},
};

static uint8_t key[64], block[BLOCK], out[BLOCK], tag[64];

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static EVP_CIPHER_CTX *open_cipher(const struct method *m)
{
    EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, m->algorithm, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (!algorithm || EVP_CipherInit_ex(ctx, algorithm, NULL, key, NULL, m->kind != XTS_IN) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(algorithm);
    return ctx;
}

static EVP_MAC_CTX *open_mac(const struct method *m)
{
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, m->algorithm, NULL);
    EVP_MAC_CTX *ctx = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
    OSSL_PARAM with[2] = {OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
    char what[16] = "";
    size_t bytes = m->key ? m->key : strncmp(m->name, "CMAC", 4) ? 32 : 16;

    if (m->with) {
        memcpy(what, m->what, strlen(m->what) + 1);
        with[0] = OSSL_PARAM_construct_utf8_string(m->with, what, 0);
    }
    if (ctx && EVP_MAC_init(ctx, key, bytes, with) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(algorithm);
    return ctx;
}

static bool once(const struct method *m, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, uint64_t count)
{
    uint8_t nonce[16] = {0};
    size_t taken = 0;
    int n = 0;

    memcpy(nonce, &count, sizeof(count));
    if (m->kind == MAC)
        return EVP_MAC_init(mac, m->key ? key : NULL, m->key, NULL) == 1 &&
               EVP_MAC_update(mac, nonce, sizeof(nonce)) == 1 &&
               EVP_MAC_update(mac, block, BLOCK) == 1 &&
               EVP_MAC_final(mac, tag, &taken, sizeof(tag)) == 1;
    if (EVP_CipherInit_ex(cipher, NULL, NULL, NULL, nonce, -1) != 1)
        return false;
    if (m->kind != GMAC)
        return EVP_CipherUpdate(cipher, out, &n, block, BLOCK) == 1;
    return EVP_CipherUpdate(cipher, NULL, &n, nonce, sizeof(nonce)) == 1 &&
           EVP_CipherUpdate(cipher, NULL, &n, block, BLOCK) == 1 &&
           EVP_CipherFinal_ex(cipher, out, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1;
}

int main(void)
{
    uint64_t count = 0;
    double reference = 0;

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const struct method *m = &methods[i];
        EVP_CIPHER_CTX *cipher = m->kind == MAC ? NULL : open_cipher(m);
        EVP_MAC_CTX *mac = m->kind == MAC ? open_mac(m) : NULL;
        uint64_t least = UINT64_MAX;
        bool works = cipher || mac;

        for (int batch = 0; works && batch < BATCHES; batch++) {
            uint64_t start = now();
            for (int k = 0; works && k < BATCH; k++)
                works = once(m, cipher, mac, count++);
            uint64_t took = now() - start;
            least = took < least ? took : least;
        }
        double ns = (double)least / BATCH;
        if (!i)
            reference = ns;
        if (works)
            printf("%-22s %7.0f ns  %5.2f\n", m->name, ns, ns / reference);
        else
            printf("%-22s not available\n", m->name);
        EVP_CIPHER_CTX_free(cipher);
        EVP_MAC_CTX_free(mac);
    }
    return 0;
}
