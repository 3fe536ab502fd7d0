// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plain: see its header.
 */
#include "plain.h"

#include <openssl/evp.h>
#include "unit.h"

void plain_aes(const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    CU_ASSERT_FATAL(EVP_EncryptInit_ex(ctx, EVP_aes_256_ecb(), NULL, key, NULL) == 1);
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    CU_ASSERT_FATAL(EVP_EncryptUpdate(ctx, out, &n, in, 16) == 1 && n == 16);
    EVP_CIPHER_CTX_free(ctx);
}
