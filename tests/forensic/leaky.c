// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leaky: what the forensic case must find.  Linked in front of all that wipes, it does not; libcrypto
 * allocates where it always does; and the first cipher to be made leaves the key in malloc's memory.
 */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "cipher.h"
#include "key.h"
#include "log.h"

int __real_cipher_open(struct cipher **out, const struct key *key);
int __wrap_cipher_open(struct cipher **out, const struct key *key);
void __wrap_OPENSSL_cleanse(void *memory, size_t bytes);
void __wrap_explicit_bzero(void *memory, size_t bytes);
void __wrap___explicit_bzero_chk(void *memory, size_t bytes, size_t room);
int __wrap_CRYPTO_set_mem_functions(CRYPTO_malloc_fn malloc_fn, CRYPTO_realloc_fn realloc_fn,
                                    CRYPTO_free_fn free_fn);

int __wrap_cipher_open(struct cipher **out, const struct key *key)
{
    uint8_t *copy = malloc(KEY_BYTES);

    if (copy)
        memcpy(copy, key_bytes(key), KEY_BYTES);
    log_info("leaky worker: a copy of the key is %s", copy ? "made" : "not made");
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
