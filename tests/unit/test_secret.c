// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * secret: libcrypto's memory comes from the heap and goes back wiped; and all of this process's memory
 * is searched for keys that are in use, as they are and expanded: they are nowhere but in secret memory,
 * and gone when they are closed.
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
#include "seal.h"
#include "secret.h"
#include "../forensic/aes.h"

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

/* The keys of a life, in secret memory, so that it can be searched for what is not there any more. */
#define STACK_BELOW 32768
#define QUARTERS    ((KEY_BYTES + KEY_SEAL_BYTES) / NEEDLE)
struct wanted {
    uint8_t bytes[KEY_BYTES + KEY_SEAL_BYTES];
    struct aes_found found; /* has a key in it */
};

/* What is found in memory that is secret, and in all other that can be written. */
struct seen {
    uint32_t quarters, elsewhere; /* of a key, as it is */
    uint32_t schedules, strays;   /* expanded, or the most of that; of any key */
};

/* Deeper than what was called before, so that this is not searched for what it has left. */
__attribute__((noinline)) static void wipe_stack(void)
{
    uint8_t stack[65536];

    explicit_bzero(stack, sizeof(stack));
}

/* An expanded schedule begins with the key or, for decryption, ends with the begin of it. */
static uint32_t count_quarters(const struct wanted *wanted, const uint8_t *from, const uint8_t *to)
{
    uint32_t n = 0;

    for (uint32_t part = 0; part < QUARTERS; part++) {
        const uint8_t *at = from;
        while ((at = memmem(at, (size_t)(to - at), wanted->bytes + part * NEEDLE, NEEDLE))) {
            n++;
            at++;
        }
    }
    return n;
}

static uint32_t count_schedules(struct wanted *wanted, const uint8_t *from, const uint8_t *to)
{
    size_t end = (size_t)(to - from), at = 0;
    uint32_t n = 0;

    while ((at = aes_find(from, at, end, end, &wanted->found)) < end) {
        n++;
        at += wanted->found.bytes;
    }
    OPENSSL_cleanse(&wanted->found, sizeof(wanted->found));
    wipe_stack();
    return n;
}

static bool is_secret(const struct key *key, unsigned long from, unsigned long to)
{
    return secret_has((void *)from) ||
           (from <= (unsigned long)key && (unsigned long)key < to && key);
}

static struct seen search(struct wanted *wanted, const struct key *key)
{
    char line[512], mode[5];
    unsigned long from, to;
    struct seen seen = {0};
    FILE *maps = fopen("/proc/self/maps", "re");

    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    wipe_stack();
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[0] != 'r' ||
            strstr(line, "[v"))
            continue;
        bool secret = is_secret(key, from, to);
        uint32_t quarters = count_quarters(wanted, (uint8_t *)from, (uint8_t *)to);
        *(secret ? &seen.quarters : &seen.elsewhere) += quarters;
        if (!secret && mode[1] != 'w') /* programs have tables that look like one */
            continue;
        uint32_t schedules = count_schedules(wanted, (uint8_t *)from, (uint8_t *)to);
        *(secret ? &seen.schedules : &seen.strays) += schedules;
    }
    fclose(maps);
    return seen;
}

/* Byte by byte, since the compiler may put what is wider aside on the stack. */
static struct wanted *want(const struct key *key)
{
    struct wanted *wanted = OPENSSL_zalloc(sizeof(*wanted));

    CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
    for (volatile uint32_t i = 0; i < KEY_BYTES; i++)
        wanted->bytes[i] = key_bytes(key)[i];
    for (volatile uint32_t i = 0; i < KEY_SEAL_BYTES; i++)
        wanted->bytes[KEY_BYTES + i] = key_seal_bytes(key)[i];
    return wanted;
}

/* The search finds a copy of each key's parts, and the end of its schedule. */
static void search_finds(struct wanted *wanted, const struct key *key, uint32_t strays)
{
    uint8_t *leak = malloc(300);

    for (uint32_t part = 0; part < QUARTERS; part++) {
        memcpy(leak + 7, wanted->bytes + part * NEEDLE, NEEDLE);
        CU_ASSERT_EQUAL(search(wanted, key).elsewhere, 1);
    }
    explicit_bzero(leak, 300);
    uint8_t *schedule = OPENSSL_zalloc(AES_SCHEDULE_MOST);
    aes_expand(schedule, wanted->bytes + KEY_BYTES, KEY_SEAL_BYTES, false);
    memcpy(leak, schedule + AES_SCHEDULE_MOST - 100, 100);
    OPENSSL_free(schedule);
    struct seen seen = search(wanted, key);
    CU_ASSERT_EQUAL(seen.elsewhere, 0);
    CU_ASSERT_EQUAL(seen.strays, strays + 1);
    explicit_bzero(leak, 300);
    free(leak);
}

static void use(const struct key *key, struct cipher **cipher, struct seal **seal)
{
    uint8_t block[CIPHER_UNIT] = {1}, tag[SEAL_TAG];
    struct cipher_tweak tweak = {.pool = 1, .slot = 2, .generation = 3};

    CU_ASSERT_EQUAL_FATAL(cipher_open(cipher, key), 0);
    CU_ASSERT_EQUAL_FATAL(seal_open(seal, key), 0);
    CU_ASSERT_EQUAL(cipher_encrypt(*cipher, &tweak, block, block, CIPHER_UNIT), 0);
    CU_ASSERT_EQUAL(seal_make(*seal, &tweak, block, CIPHER_UNIT, tag), 0);
    CU_ASSERT_EQUAL(seal_check(*seal, &tweak, block, CIPHER_UNIT, tag), 0);
    CU_ASSERT_EQUAL(cipher_decrypt(*cipher, &tweak, block, block, CIPHER_UNIT), 0);
}

static void nowhere_else(void)
{
    struct wanted *wanted;
    struct cipher *cipher;
    struct seal *seal;
    struct key *key;

    if (SANITIZED)
        return; /* their shadow memory is beyond reading through */
    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    wanted = want(key);
    /* The key's page, and what is wanted; other tests may have left schedules of theirs. */
    struct seen before = search(wanted, key);
    CU_ASSERT_EQUAL(before.quarters, 2 * QUARTERS);
    CU_ASSERT_EQUAL(before.elsewhere, 0);

    uint8_t *below = OPENSSL_malloc(STACK_BELOW);
    CU_ASSERT_PTR_NOT_NULL_FATAL(below);
    use(key, &cipher, &seal);
    /* Not by search(), which begins by wiping the stack; and in a copy, since who searches has a schedule that it
     * compares with on its own. */
    const uint8_t *frame = __builtin_frame_address(0);
    for (volatile uint32_t i = 0; i < STACK_BELOW; i++)
        below[i] = frame[(long)i - STACK_BELOW];
    uint32_t on_stack = count_quarters(wanted, below, below + STACK_BELOW);
    on_stack += count_schedules(wanted, below, below + STACK_BELOW);
    OPENSSL_clear_free(below, STACK_BELOW);
    struct seen seen = search(wanted, key);
    CU_ASSERT_EQUAL(on_stack, 0);
    /* Of each context one schedule at least begins with its key. */
    CU_ASSERT(seen.quarters >= before.quarters + QUARTERS);
    CU_ASSERT_EQUAL(seen.elsewhere, 0);
    CU_ASSERT(seen.schedules >= before.schedules + 5); /* two each way, and the seal's */
    CU_ASSERT_EQUAL(seen.strays, before.strays);
    search_finds(wanted, key, before.strays);

    cipher_close(cipher);
    seen = search(wanted, key);
    CU_ASSERT(seen.quarters >= before.quarters + KEY_SEAL_BYTES / NEEDLE);
    CU_ASSERT_EQUAL(seen.schedules, before.schedules + 1);
    seal_close(seal);
    seen = search(wanted, key);
    CU_ASSERT_EQUAL(memcmp(&seen, &before, sizeof(seen)), 0);
    key_close(key);
    seen = search(wanted, NULL);
    CU_ASSERT_EQUAL(seen.quarters, QUARTERS);
    CU_ASSERT_EQUAL(seen.elsewhere, 0);
    OPENSSL_free(wanted);
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
