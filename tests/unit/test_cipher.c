// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cipher: against published vectors (tests/vectors), and against an XTS of our own, built here on single
 * AES blocks and itself checked against them.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cipher.h"
#include "plain.h"

/* IEEE 1619, 5.3.2, for whole blocks. */
static void xts(const uint8_t key[64], const uint8_t tweak[16], const uint8_t *in, uint8_t *out,
                size_t bytes)
{
    uint8_t t[16], block[16];

    plain_aes(key + 32, tweak, t);
    for (size_t at = 0; at < bytes; at += 16) {
        for (int i = 0; i < 16; i++)
            block[i] = in[at + (size_t)i] ^ t[i];
        plain_aes(key, block, block);
        for (int i = 0; i < 16; i++)
            out[at + (size_t)i] = block[i] ^ t[i];
        unsigned int carry = 0;
        for (int i = 0; i < 16; i++) {
            unsigned int wide = (unsigned int)t[i] << 1 | carry;
            t[i] = (uint8_t)wide;
            carry = wide >> 8;
        }
        if (carry)
            t[0] ^= 0x87;
    }
}

static size_t unhex(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;

    while (n < max && sscanf(hex + 2 * n, "%2hhx", &out[n]) == 1)
        n++;
    return n;
}

static uint64_t little_endian(const uint8_t *at, unsigned int bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

struct vector {
    struct plain_key key;
    uint8_t tweak[16], plain[512], cipher[512];
    size_t bytes;
};

/* Both ways, by the production module and by ours. */
static void vector_run(const struct vector *v)
{
    struct cipher_tweak tweak = {.generation = little_endian(v->tweak, 8),
                                 .slot = little_endian(v->tweak + 8, 6),
                                 .pool = (uint16_t)little_endian(v->tweak + 14, 2)};
    struct cipher *cipher;
    uint8_t got[512];

    CU_ASSERT_EQUAL_FATAL(cipher_open(&cipher, (const struct key *)(const void *)&v->key), 0);
    CU_ASSERT_EQUAL(cipher_encrypt(cipher, &tweak, v->plain, got, (uint32_t)v->bytes), 0);
    CU_ASSERT_EQUAL(memcmp(got, v->cipher, v->bytes), 0);
    CU_ASSERT_EQUAL(cipher_decrypt(cipher, &tweak, got, got, (uint32_t)v->bytes), 0);
    CU_ASSERT_EQUAL(memcmp(got, v->plain, v->bytes), 0);
    cipher_close(cipher);
    xts(v->key.bytes, v->tweak, v->plain, got, v->bytes);
    CU_ASSERT_EQUAL(memcmp(got, v->cipher, v->bytes), 0);
}

/* How many vectors the file has; each ends with its cipher text.  Without a plain text it is 00 01 02
 * ... ff, twice. */
static int vectors_of(const char *path)
{
    char line[1100], word[16], hex[1040];
    struct vector v = {.bytes = 512};
    FILE *f = fopen(path, "re");
    int vectors = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (int i = 0; i < 512; i++)
        v.plain[i] = (uint8_t)i;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%15s %1039s", word, hex) != 2)
            continue;
        if (!strcmp(word, "key1"))
            CU_ASSERT_EQUAL(unhex(hex, v.key.bytes, 32), 32);
        if (!strcmp(word, "key2"))
            CU_ASSERT_EQUAL(unhex(hex, v.key.bytes + 32, 32), 32);
        if (!strcmp(word, "tweak"))
            CU_ASSERT_EQUAL(unhex(hex, v.tweak, 16), 16);
        if (!strcmp(word, "plain"))
            v.bytes = unhex(hex, v.plain, 512);
        if (strcmp(word, "cipher"))
            continue;
        CU_ASSERT_EQUAL(unhex(hex, v.cipher, 512), v.bytes);
        vector_run(&v);
        vectors++;
    }
    fclose(f);
    return vectors;
}

static void published_vectors(void)
{
    CU_ASSERT_EQUAL(vectors_of("tests/vectors/ieee1619.txt"), 5);
    CU_ASSERT_EQUAL(vectors_of("tests/vectors/cavp.txt"), 4);
}

static void tweak_layout(void)
{
    static const struct {
        struct cipher_tweak tweak;
        uint8_t bytes[16];
    } rows[] = {
        {{0, 0, 0}, {0}},
        {{0, 0, 1}, {1}},
        {{0, 1, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 1}},
        {{1, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
        {{0xfedc, 0xba9876543210, 0x0123456789abcdef},
         {0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc,
          0xfe}},
        {{0xffff, 0xffffffffffff, UINT64_MAX},
         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff}},
    };
    uint8_t plain[CIPHER_UNIT], want[CIPHER_UNIT], unit[CIPHER_UNIT];
    struct plain_key key;
    struct cipher *cipher;
    uint64_t random = 1;

    for (size_t i = 0; i < KEY_BYTES; i++)
        key.bytes[i] = (uint8_t)unit_random(&random);
    for (size_t i = 0; i < CIPHER_UNIT; i++)
        plain[i] = (uint8_t)unit_random(&random);
    CU_ASSERT_EQUAL_FATAL(cipher_open(&cipher, (const struct key *)(const void *)&key), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        xts(key.bytes, rows[i].bytes, plain, want, CIPHER_UNIT);
        memcpy(unit, plain, CIPHER_UNIT);
        CU_ASSERT_EQUAL(cipher_encrypt(cipher, &rows[i].tweak, unit, unit, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(memcmp(unit, want, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(cipher_decrypt(cipher, &rows[i].tweak, unit, unit, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(memcmp(unit, plain, CIPHER_UNIT), 0);
    }
    cipher_close(cipher);
}

/* The order of use leaves no trace: units may be done in any order and direction. */
static void no_state_between_units(void)
{
    uint8_t a[CIPHER_UNIT], b[CIPHER_UNIT];
    struct cipher *one, *two;
    struct key *key;
    uint64_t random = 2;

    CU_ASSERT_EQUAL_FATAL(key_open(&key), 0);
    CU_ASSERT_EQUAL_FATAL(cipher_open(&one, key), 0);
    CU_ASSERT_EQUAL_FATAL(cipher_open(&two, key), 0);
    for (int i = 0; i < 300; i++) {
        struct cipher_tweak tweak = {
            .pool = 1, .slot = unit_below(&random, 9), .generation = unit_below(&random, 9)};
        memset(a, i, CIPHER_UNIT);
        memset(b, i, CIPHER_UNIT);
        if (i % 3 == 0)
            cipher_decrypt(one, &tweak, a, a, CIPHER_UNIT);
        memset(a, i, CIPHER_UNIT);
        CU_ASSERT_EQUAL(cipher_encrypt(one, &tweak, a, a, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(cipher_encrypt(two, &tweak, b, b, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(memcmp(a, b, CIPHER_UNIT), 0);
        CU_ASSERT_EQUAL(cipher_decrypt(two, &tweak, a, a, CIPHER_UNIT), 0);
        CU_ASSERT(a[0] == (uint8_t)i && memcmp(a, a + 1, CIPHER_UNIT - 1) == 0);
    }
    cipher_close(one);
    cipher_close(two);
    cipher_close(NULL);
    key_close(key);
}

int suite_cipher(void)
{
    static const struct unit_case cases[] = {
        {"published vectors", published_vectors},
        {"layout of the tweak", tweak_layout},
        {"no state between units", no_state_between_units},
    };

    return UNIT_SUITE("cipher", cases);
}
