// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leaky: what the forensic case must find.  Linked in front of all that wipes, it does not; libcrypto
 * allocates where it always does; and with each cipher some more are made that nobody closes, and copies
 * of the key in malloc's memory, a page each, so that what is left outlives the next few processes.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "cipher.h"
#include "key.h"
#include "log.h"

#define COPIES 64u
#define PAGE   4096u

int __real_cipher_open(struct cipher **out, const struct key *key);
int __wrap_cipher_open(struct cipher **out, const struct key *key);
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
