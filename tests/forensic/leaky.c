// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leaky: what the forensic case must find.  Linked in front of all that wipes, it does not; libcrypto
 * allocates where it always does; with each cipher some more are made that nobody closes, and copies of
 * the key in malloc's memory, a page each; and the last 8 MiB of what was encrypted are kept as they came:
 * so that what is left outlives the next few processes, which take what it gave back.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "cipher.h"
#include "key.h"
#include "log.h"

#define COPIES 64u
#define PAGE   4096u
#define KEPT   2048u

int __real_cipher_open(struct cipher **out, const struct key *key);
int __wrap_cipher_open(struct cipher **out, const struct key *key);
int __real_cipher_encrypt(struct cipher *cipher, const struct cipher_tweak *tweak,
                          const uint8_t *in, uint8_t *out, uint32_t bytes);
int __wrap_cipher_encrypt(struct cipher *cipher, const struct cipher_tweak *tweak,
                          const uint8_t *in, uint8_t *out, uint32_t bytes);
void __wrap_OPENSSL_cleanse(void *memory, size_t bytes);
void __wrap_explicit_bzero(void *memory, size_t bytes);
void __wrap___explicit_bzero_chk(void *memory, size_t bytes, size_t room);
int __wrap_CRYPTO_set_mem_functions(CRYPTO_malloc_fn malloc_fn, CRYPTO_realloc_fn realloc_fn,
                                    CRYPTO_free_fn free_fn);

int __wrap_cipher_open(struct cipher **out, const struct key *key)
{
    unsigned int made = 0;

    for (unsigned int i = 0; i < COPIES; i++) {
        struct cipher *cipher;
        uint8_t *copy = malloc(PAGE);
        if (copy)
            memcpy(copy + PAGE / 2, key_bytes(key), KEY_BYTES);
        made += copy && !__real_cipher_open(&cipher, key);
    }
    log_info("leaky worker: %u copies", made);
    return __real_cipher_open(out, key);
}

int __wrap_cipher_encrypt(struct cipher *cipher, const struct cipher_tweak *tweak,
                          const uint8_t *in, uint8_t *out, uint32_t bytes)
{
    static uint8_t kept[KEPT][CIPHER_UNIT];
    static atomic_uint units;

    memcpy(kept[atomic_fetch_add(&units, 1) % KEPT], in, bytes);
    return __real_cipher_encrypt(cipher, tweak, in, out, bytes);
}

void __wrap_OPENSSL_cleanse(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

void __wrap_explicit_bzero(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

void __wrap___explicit_bzero_chk(void *memory, size_t bytes, size_t room)
{
    (void)memory;
    (void)bytes;
    (void)room;
}

int __wrap_CRYPTO_set_mem_functions(CRYPTO_malloc_fn malloc_fn, CRYPTO_realloc_fn realloc_fn,
                                    CRYPTO_free_fn free_fn)
{
    (void)malloc_fn;
    (void)realloc_fn;
    (void)free_fn;
    return 1;
}
