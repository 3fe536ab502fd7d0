// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * secret: libcrypto's memory comes from the heap and goes back wiped; and all of this process's memory
 * is searched for a key that is in use: it is nowhere but in secret memory.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include "cipher.h"
#include "key.h"
#include "secret.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define NEEDLE 16u

static void ready(void)
{
    CU_ASSERT_EQUAL(secret_state(), 0);
    int here;
    CU_ASSERT_FALSE(secret_has(&here));
}

/* Blocks of all sizes keep what is written to them, lie apart, and come back zeroed. */
static void blocks(void)
{
    struct {
        uint8_t *at;
        size_t bytes;
        uint8_t mark;
    } b[40] = {0};
    uint64_t random = 3;
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t k = (uint32_t)unit_below(&random, 40);
        size_t bytes = 1 + (size_t)unit_below(&random, i % 8 ? 100 : 9000);
        size_t kept = bytes < b[k].bytes ? bytes : b[k].bytes;
        for (size_t at = 0; at < b[k].bytes; at++)
            wrong += b[k].at[at] != b[k].mark;
        if (b[k].at && i % 3) {
            OPENSSL_free(b[k].at);
            for (size_t at = 16; at < b[k].bytes; at++) /* before that is the list's */
                wrong += b[k].at[at] != 0;
            b[k].at = NULL;
            b[k].bytes = 0;
            continue;
        }
        b[k].at = OPENSSL_realloc(b[k].at, bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(b[k].at);
        for (size_t at = 0; at < kept; at++)
            wrong += b[k].at[at] != b[k].mark;
        wrong += !secret_has(b[k].at) || (uintptr_t)b[k].at % 16;
        b[k].bytes = bytes;
        b[k].mark = (uint8_t)(i | 1);
        memset(b[k].at, b[k].mark, bytes);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (uint32_t k = 0; k < 40; k++)
        OPENSSL_free(b[k].at);
}

/* In a child, which has lost the heap and gets another: 0 or what is wrong. */
static int use_up(void)
{
    void *taken[600];
    uint32_t n = 0;

    secret_enter();
    if (secret_state())
        return 1;
    if (OPENSSL_malloc((size_t)1 << 20) || OPENSSL_malloc(SIZE_MAX))
        return 2;
    while (n < 600 && (taken[n] = OPENSSL_malloc(4000)))
        if (!secret_has(taken[n++]))
            return 3;
    if (n < 50 || n > 300)
        return 4;
    while (n--)
        OPENSSL_free(taken[n]);
    return OPENSSL_malloc(4000) ? 0 : 5;
}

/* An end that is told, and from which there is a way back. */
static void used_up(void)
{
    int status = 0;
    pid_t child = fork();

    if (!child)
        _exit(use_up());
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

/* How often a quarter of the key stands between two addresses; an expanded schedule begins with the key
 * or, for decryption, ends with the begin of it. */
static uint32_t count_key(const struct key *key, const uint8_t *from, const uint8_t *to)
{
    uint32_t n = 0;

    for (uint32_t part = 0; part < KEY_BYTES; part += NEEDLE) {
        const uint8_t *at = from;
        while ((at = memmem(at, (size_t)(to - at), key_bytes(key) + part, NEEDLE))) {
            n++;
            at++;
        }
    }
    return n;
}

/* In memory that is secret, and in all other that can be written. */
static void search(const struct key *key, uint32_t *in_secret, uint32_t *elsewhere)
{
    char line[512], mode[5];
    unsigned long from, to;
    FILE *maps = fopen("/proc/self/maps", "re");

    *in_secret = *elsewhere = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    while (fgets(line, sizeof(line), maps)) {
        bool secret = sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 &&
                      (secret_has((void *)from) ||
                       ((const uint8_t *)from <= key_bytes(key) && key_bytes(key) < (uint8_t *)to));
        if (mode[0] != 'r' || strstr(line, "[v"))
            continue;
        *(secret ? in_secret : elsewhere) += count_key(key, (uint8_t *)from, (uint8_t *)to);
    }
    fclose(maps);
}

static void nowhere_else(void)
{
    uint8_t block[CIPHER_UNIT] = {1};
    struct cipher_tweak tweak = {.pool = 1, .slot = 2, .generation = 3};
    uint32_t in_secret, elsewhere;
    struct cipher *cipher;
    struct key *key;

    if (SANITIZED)
        return; /* their shadow memory is beyond reading through */
    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    CU_ASSERT_EQUAL_FATAL(cipher_open(&cipher, key), 0);
    CU_ASSERT_EQUAL(cipher_encrypt(cipher, &tweak, block, block, CIPHER_UNIT), 0);
    CU_ASSERT_EQUAL(cipher_decrypt(cipher, &tweak, block, block, CIPHER_UNIT), 0);
    search(key, &in_secret, &elsewhere);
    /* The key's four quarters; and of two schedules each, two at least in one that encrypts. */
    CU_ASSERT(in_secret >= 8);
    CU_ASSERT_EQUAL(elsewhere, 0);

    uint8_t *leak = malloc(100);
    memcpy(leak + 7, key_bytes(key) + 16, NEEDLE);
    search(key, &in_secret, &elsewhere);
    CU_ASSERT_EQUAL(elsewhere, 1);
    explicit_bzero(leak, 100);
    free(leak);

    cipher_close(cipher);
    search(key, &in_secret, &elsewhere);
    CU_ASSERT_EQUAL(in_secret, 4);
    CU_ASSERT_EQUAL(elsewhere, 0);
    key_close(key);
}

int suite_secret(void)
{
    static const struct unit_case cases[] = {
        {"ready", ready},
        {"blocks", blocks},
        {"used up", used_up},
        {"a key is nowhere else", nowhere_else},
    };

    return UNIT_SUITE("secret", cases);
}
