// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * selftest: with a libcrypto that is wrong in one bit, anywhere in what it answers, no life begins.  The
 * linker puts wrappers in front of EVP_CipherUpdate and of what tags are asked from.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>
#include "cipher.h"
#include "engine.h"
#include "seal.h"

int __real_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n);
int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n);

static _Thread_local uint32_t calls, wrong_call, wrong_byte; /* wrong_call 0: none */
static _Thread_local bool refuse;
static _Thread_local bool
    consistent; /* the next call is wrong, too, in such a way that it undoes this */

static void flip(uint8_t *bytes, int n)
{
    bytes[wrong_byte % (uint32_t)n] ^= (uint8_t)(1u << wrong_byte % 8);
}

int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, uint8_t *out, int *outl, const uint8_t *in, int n)
{
    uint8_t righted[CIPHER_UNIT];

    calls++;
    if (consistent && wrong_call && calls == wrong_call + 1) {
        memcpy(righted, in, (size_t)n);
        flip(righted, n);
        in = righted;
    }
    int ok = __real_EVP_CipherUpdate(ctx, out, outl, in, n);
    if (calls != wrong_call)
        return ok;
    flip(out, n);
    return refuse ? 0 : ok;
}

int __real_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
int __wrap_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);

static _Thread_local uint32_t tags, wrong_tag; /* 0: none */
static _Thread_local uint32_t wrong_bit;
static _Thread_local bool stuck; /* the wrong tag is the one before */
static _Thread_local uint8_t last_tag[SEAL_TAG];

int __wrap_EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    int ok = __real_EVP_CIPHER_CTX_ctrl(ctx, type, arg, ptr);

    if (type != EVP_CTRL_AEAD_GET_TAG)
        return ok;
    if (++tags == wrong_tag && stuck)
        memcpy(ptr, last_tag, SEAL_TAG);
    else if (tags == wrong_tag)
        ((uint8_t *)ptr)[wrong_bit / 8] ^= (uint8_t)(1u << wrong_bit % 8);
    memcpy(last_tag, ptr, SEAL_TAG);
    return tags == wrong_tag && refuse ? 0 : ok;
}

static int try_with(uint32_t tag, uint32_t bit)
{
    tags = 0;
    wrong_tag = tag;
    wrong_bit = bit;
    int err = seal_try();
    wrong_tag = 0;
    return err;
}

static int check_with(uint32_t call, uint32_t byte)
{
    calls = 0;
    wrong_call = call;
    wrong_byte = byte;
    int err = cipher_check();
    wrong_call = 0;
    return err;
}

/* Both ways, short and long: four answers, and each byte of each counts. */
static void each_answer_counts(void)
{
    CU_ASSERT_EQUAL(cipher_check(), 0);
    CU_ASSERT_EQUAL(check_with(0, 0), 0);
    CU_ASSERT_EQUAL(calls, 4);
    for (uint32_t call = 1; call <= 4; call++)
        for (uint32_t byte = 0; byte < (call <= 2 ? 32 : CIPHER_UNIT); byte++)
            if (check_with(call, byte) != -EBADMSG)
                CU_FAIL_FATAL("a wrong answer was taken");
    /* What decrypts its own wrong answers is found by the answers. */
    consistent = true;
    for (uint32_t byte = 0; byte < CIPHER_UNIT; byte++)
        if (check_with(1, byte) != -EBADMSG || check_with(3, byte) != -EBADMSG)
            CU_FAIL_FATAL("a consistently wrong answer was taken");
    consistent = false;
    refuse = true;
    for (uint32_t call = 1; call <= 4; call++)
        CU_ASSERT_EQUAL(check_with(call, 0), -EBADMSG);
    refuse = false;
}

/* A vector's, a unit's, and that of a unit that differs, which must be another. */
static void each_tag_counts(void)
{
    CU_ASSERT_EQUAL(try_with(0, 0), 0);
    CU_ASSERT_EQUAL(tags, 3);
    for (uint32_t tag = 1; tag <= 2; tag++)
        for (uint32_t bit = 0; bit < SEAL_TAG * 8; bit++)
            if (try_with(tag, bit) != -EBADMSG)
                CU_FAIL_FATAL("a wrong tag was taken");
    stuck = true;
    CU_ASSERT_EQUAL(try_with(3, 0), -EBADMSG);
    stuck = false;
    refuse = true;
    for (uint32_t tag = 1; tag <= 3; tag++)
        CU_ASSERT_EQUAL(try_with(tag, 0), -EBADMSG);
    refuse = false;
}

static int open_engine(struct engine **engine, bool integrity, char text[ENGINE_TEXT])
{
    struct engine_config config = {
        .threads = 1,
        .pool = {.kind = POOL_RAM, .fd = -1, .bytes = 64u << 20, .integrity = integrity}};

    calls = tags = 0;
    return engine_open(engine, &config, text);
}

/* With one line that says so. */
static void refused(bool integrity, const char *what)
{
    char text[ENGINE_TEXT] = "", wanted[ENGINE_TEXT];
    struct engine *engine = NULL;
    unsigned int fds = unit_fds();

    snprintf(wanted, sizeof(wanted), "the self-test of %s failed: wrong answers: ", what);
    CU_ASSERT_EQUAL(open_engine(&engine, integrity, text), -EBADMSG);
    CU_ASSERT_PTR_NULL(engine);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
    CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    CU_ASSERT_EQUAL(unit_fds(), fds);
    wrong_call = wrong_tag = 0;
}

/* Whether its tags are used or not. */
static void no_life_begins(void)
{
    char text[ENGINE_TEXT] = "";
    struct engine *engine = NULL;

    for (int integrity = 0; integrity < 2; integrity++) {
        CU_ASSERT_EQUAL_FATAL(open_engine(&engine, integrity, text), 0);
        engine_close(engine);
        wrong_call = 3;
        wrong_byte = 4095;
        refused(integrity, "AES-256-XTS");
        wrong_tag = 2;
        wrong_bit = 127;
        refused(integrity, "GMAC");
    }
}

int suite_selftest(void)
{
    static const struct unit_case cases[] = {
        {"each answer counts", each_answer_counts},
        {"each tag counts", each_tag_counts},
        {"no life begins", no_life_begins},
    };

    return UNIT_SUITE("selftest", cases);
}
