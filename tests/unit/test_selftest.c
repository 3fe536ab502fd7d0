// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * selftest: with a libcrypto that is wrong in one bit, anywhere in what it answers, no life begins.  The
 * linker puts a wrapper in front of EVP_CipherUpdate.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/evp.h>
#include "cipher.h"
#include "engine.h"

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

/* With one line that says so. */
static void no_life_begins(void)
{
    struct engine_config config = {.threads = 1,
                                   .pool = {.kind = POOL_RAM, .fd = -1, .bytes = 64u << 20}};
    char text[ENGINE_TEXT] = "";
    struct engine *engine = NULL;
    unsigned int fds = unit_fds();

    CU_ASSERT_EQUAL_FATAL(engine_open(&engine, &config, text), 0);
    engine_close(engine);
    engine = NULL;
    calls = 0;
    wrong_call = 3;
    wrong_byte = 4095;
    CU_ASSERT_EQUAL(engine_open(&engine, &config, text), -EBADMSG);
    wrong_call = 0;
    CU_ASSERT_PTR_NULL(engine);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "the self-test of AES-256-XTS failed"));
    CU_ASSERT_PTR_NULL(strchr(text, '\n'));
    CU_ASSERT_EQUAL(unit_fds(), fds);
}

int suite_selftest(void)
{
    static const struct unit_case cases[] = {
        {"each answer counts", each_answer_counts},
        {"no life begins", no_life_begins},
    };

    return UNIT_SUITE("selftest", cases);
}
