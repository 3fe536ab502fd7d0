// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * wrong: a libcrypto that is wrong, for the test of a worker that must not serve with it.  Linked in front
 * of it (ld --wrap), it changes one bit of each answer: of what encrypting gives ($WRONG is "cipher"),
 * of each tag ("tag"), or it calls them all the same ("same-tag").  With anything else it is as it was.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#define TAG 16

int __real_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n);
int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n);
int __real_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
int __wrap_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);

static bool wrong_in(const char *what)
{
    const char *wrong = getenv("WRONG");

    return wrong && !strcmp(wrong, what);
}

int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n)
{
    int ok = __real_EVP_CipherUpdate(ctx, out, outl, in, n);

    if (ok == 1 && out && n > 0 && wrong_in("cipher"))
        out[n - 1] ^= 0x80;
    return ok;
}

int __wrap_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    int ok = __real_EVP_CIPHER_CTX_ctrl(ctx, type, arg, ptr);

    if (type == EVP_CTRL_AEAD_GET_TAG && wrong_in("tag"))
        ((uint8_t *)ptr)[TAG - 1] ^= 1;
    if (type == EVP_CTRL_AEAD_GET_TAG && wrong_in("same-tag"))
        memset(ptr, 0, TAG);
    return ok;
}
