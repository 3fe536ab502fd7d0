/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz: what all targets share.  A target is one file with LLVMFuzzerTestOneInput; it takes its
 * decisions byte by byte from the input, so that the fuzzer can change one without the others, and
 * says by FUZZ_CHECK what must be so.  Bytes that are not there are zeroes.
 * A target keeps nothing from one input to the next: every finding repeats from its file alone.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding: the line is printed, and libFuzzer keeps the input. */
#define FUZZ_CHECK(what)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* Copies the next `bytes`, zeroes behind the end. */
static inline void fuzz_take(struct fuzz_input *in, void *out, size_t bytes)
{
    size_t some = in->left < bytes ? in->left : bytes;

    memset(out, 0, bytes);
    if (some)
        memcpy(out, in->at, some);
    in->at += some;
    in->left -= some;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
    uint8_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
    uint16_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
    uint32_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
    uint64_t value;

    fuzz_take(in, &value, sizeof(value));
    return value;
}

#endif
