// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seal: against a GMAC of our own, built here on single AES blocks and a bitwise GHASH, and itself
 * checked against published vectors; and that each thing a tag is to cover changes it.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plain.h"
#include "seal.h"
#include "util.h"

#define UNIT CIPHER_UNIT

/* SP 800-38D, 6.3: x = x * h. */
static void gf_multiply(uint8_t x[16], const uint8_t h[16])
{
    uint8_t z[16] = {0}, v[16];

    memcpy(v, h, 16);
    for (int i = 0; i < 128; i++) {
        for (int k = 0; k < 16 && x[i / 8] >> (7 - i % 8) & 1; k++)
            z[k] ^= v[k];
        bool low = v[15] & 1;
        for (int k = 15; k > 0; k--)
            v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
        v[0] = (uint8_t)(v[0] >> 1 ^ (low ? 0xe1 : 0));
    }
    memcpy(x, z, 16);
}

/* SP 800-38D, 7.1 without plaintext; `bytes` of whole blocks. */
static void gmac(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *data, size_t bytes,
                 uint8_t tag[16])
{
    uint8_t h[16] = {0}, y[16] = {0}, j[16] = {[15] = 1};

    plain_aes(key, h, h);
    for (size_t at = 0; at < bytes; at += 16) {
        for (size_t k = 0; k < 16; k++)
            y[k] ^= data[at + k];
        gf_multiply(y, h);
    }
    for (int k = 0; k < 8; k++)
        y[7 - k] ^= (uint8_t)((uint64_t)bytes * 8 >> (8 * k));
    gf_multiply(y, h);
    memcpy(j, nonce, 12);
    plain_aes(key, j, tag);
    for (int k = 0; k < 16; k++)
        tag[k] ^= y[k];
}

static void unhex(const char *hex, uint8_t *out)
{
    for (; *hex; hex += 2)
        CU_ASSERT_FATAL(sscanf(hex, "%2hhx", out++) == 1);
}

static const struct {
    const char *key, *nonce, *data, *tag;
} vectors[] = {
    /* The GCM specification's test case 13. */
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "530f8afbc74536b9a963b4f1c4cb738b"},
    /* CAVP, gcmEncryptExtIV256: no plaintext, 128 bits of additional data, count 0. */
    {"78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223", "d79cf22d504cc793c3fb6c8a",
     "b96baa8c1c75a671bfb2d08d06be5f36", "3e5d486aa2e30b22e040b85723a06e76"},
};

static void published(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        uint8_t key[32], nonce[12], data[16], tag[16], is[16];

        unhex(vectors[i].key, key);
        unhex(vectors[i].nonce, nonce);
        unhex(vectors[i].data, data);
        unhex(vectors[i].tag, tag);
        gmac(key, nonce, data, strlen(vectors[i].data) / 2, is);
        CU_ASSERT_EQUAL(memcmp(is, tag, 16), 0);
    }
}

static struct plain_key key;
static uint8_t data[UNIT];
static struct seal *seal;

static void open_seal(uint64_t seed)
{
    for (size_t i = 0; i < sizeof(key); i++)
        ((uint8_t *)&key)[i] = (uint8_t)unit_random(&seed);
    for (size_t i = 0; i < UNIT; i++)
        data[i] = (uint8_t)unit_random(&seed);
    CU_ASSERT_EQUAL_FATAL(seal_open(&seal, (const struct key *)(const void *)&key), 0);
}

/* What stands in front of the data: the tweak, little endian. */
static void ours(const struct cipher_tweak *tweak, uint32_t bytes, uint8_t tag[16])
{
    uint8_t all[16 + UNIT];

    for (int i = 0; i < 8; i++)
        all[i] = (uint8_t)(tweak->generation >> (8 * i));
    for (int i = 0; i < 6; i++)
        all[8 + i] = (uint8_t)(tweak->slot >> (8 * i));
    all[14] = (uint8_t)tweak->pool;
    all[15] = (uint8_t)(tweak->pool >> 8);
    memcpy(all + 16, data, bytes);
    gmac(key.seal, all, all, 16 + bytes, tag);
}

static void as_specified(void)
{
    static const struct cipher_tweak tweaks[] = {
        {0, 0, 0},
        {3, 7, 1},
        {0xffff, 0xfffffffd, 0xffffffffffffff},
    };
    static const uint32_t sizes[] = {256, 1024, 3840, 4096};
    uint8_t tag[16], is[16];

    open_seal(1);
    for (size_t i = 0; i < ARRAY_SIZE(tweaks) * ARRAY_SIZE(sizes); i++) {
        const struct cipher_tweak *tweak = &tweaks[i % 3];
        ours(tweak, sizes[i / 3], tag);
        CU_ASSERT_EQUAL(seal_make(seal, tweak, data, sizes[i / 3], is), 0);
        CU_ASSERT_EQUAL(memcmp(is, tag, 16), 0);
        CU_ASSERT_EQUAL(seal_check(seal, tweak, data, sizes[i / 3], tag), 0);
    }
    seal_close(seal);
}

/* All that a tag covers: whatever of it is another, in one bit, the tag is refused. */
static void every_bit(void)
{
    const struct cipher_tweak tweak = {.pool = 2, .slot = 9, .generation = 5};
    struct cipher_tweak other;
    uint8_t tag[16];
    uint32_t missed = 0;

    open_seal(2);
    CU_ASSERT_EQUAL(seal_make(seal, &tweak, data, UNIT, tag), 0);
    for (uint32_t bit = 0; bit < UNIT * 8; bit += bit % 7 + 1) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        missed += seal_check(seal, &tweak, data, UNIT, tag) != -EBADMSG;
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int bit = 0; bit < 128; bit++) {
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        missed += seal_check(seal, &tweak, data, UNIT, tag) != -EBADMSG;
        tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int bit = 0; bit < 56 + 32 + 16; bit++) {
        other = tweak;
        if (bit < 56)
            other.generation ^= 1ull << bit;
        else if (bit < 88)
            other.slot ^= 1ull << (bit - 56);
        else
            other.pool = (uint16_t)(other.pool ^ 1u << (bit - 88));
        missed += seal_check(seal, &other, data, UNIT, tag) != -EBADMSG;
    }
    CU_ASSERT_EQUAL(missed, 0);
    memset(data + 256, 0, UNIT - 256);
    CU_ASSERT_EQUAL(seal_make(seal, &tweak, data, UNIT, tag), 0);
    CU_ASSERT_EQUAL(seal_check(seal, &tweak, data, 256, tag), -EBADMSG);
    CU_ASSERT_EQUAL(seal_check(seal, &tweak, data, UNIT, tag), 0);
    seal_close(seal);
    seal_close(NULL);
}

/* What no seal ever made is no tag, either: a place for one that nothing was written to. */
static void no_tag(void)
{
    const struct cipher_tweak tweak = {.pool = 2, .slot = 9, .generation = 5};
    uint8_t tag[16];

    open_seal(4);
    for (int byte = 0; byte < 256; byte++) {
        memset(tag, byte, sizeof(tag));
        CU_ASSERT_EQUAL(seal_check(seal, &tweak, data, UNIT, tag), -EBADMSG);
    }
    seal_close(seal);
}

/* The cipher's key has nothing to do with it, and another seal's key does. */
static void keys_apart(void)
{
    const struct cipher_tweak tweak = {.pool = 2, .slot = 9, .generation = 5};
    struct seal *same;
    uint8_t tag[16];

    open_seal(3);
    CU_ASSERT_EQUAL(seal_make(seal, &tweak, data, UNIT, tag), 0);
    key.bytes[0] ^= 1;
    key.bytes[63] ^= 1;
    CU_ASSERT_EQUAL_FATAL(seal_open(&same, (const struct key *)(const void *)&key), 0);
    CU_ASSERT_EQUAL(seal_check(same, &tweak, data, UNIT, tag), 0);
    seal_close(same);
    for (int i = 0; i < 2; i++) {
        key.seal[i * 31] ^= 1;
        CU_ASSERT_EQUAL_FATAL(seal_open(&same, (const struct key *)(const void *)&key), 0);
        CU_ASSERT_EQUAL(seal_check(same, &tweak, data, UNIT, tag), -EBADMSG);
        seal_close(same);
        key.seal[i * 31] ^= 1;
    }
    seal_close(seal);
}

int suite_seal(void)
{
    static const struct unit_case cases[] = {
        {"published vectors", published}, {"as specified", as_specified},
        {"every bit counts", every_bit},  {"no tag", no_tag},
        {"keys apart", keys_apart},
    };

    return UNIT_SUITE("seal", cases);
}
