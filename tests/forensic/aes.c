// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aes: a linear relation of three words, four places at a time, chooses the few that are looked at
 * closely.  It is the same in either order of bytes, and for the inverse cipher, whose transformation
 * is linear too.  Tables are made at the first use, by the arithmetic that FIPS 197 gives.
 */
#include "aes.h"

#include <string.h>

#define WINDOW_MOST 64u /* two keys */

typedef uint32_t lanes __attribute__((vector_size(16)));

static uint8_t box[256];

static uint8_t times2(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static uint8_t product(uint8_t a, uint8_t b)
{
    uint8_t sum = 0;

    for (; b; b >>= 1, a = times2(a))
        if (b & 1)
            sum ^= a;
    return sum;
}

static void tables_make(void)
{
    for (unsigned int x = 0; x < 256; x++) {
        uint8_t inverse = 0;
        for (unsigned int y = 1; y < 256 && !inverse; y++)
            if (product((uint8_t)x, (uint8_t)y) == 1)
                inverse = (uint8_t)y;
        uint8_t out = 0x63;
        for (unsigned int turn = 0; turn < 5; turn++)
            out ^= (uint8_t)(inverse << turn | inverse >> (8 - turn));
        box[x] = out;
    }
}

/* One column, by a row of the matrix of (inverse) mix columns. */
static void column(uint8_t *bytes, const uint8_t *row)
{
    uint8_t in[4];

    memcpy(in, bytes, 4);
    for (unsigned int i = 0; i < 4; i++) {
        bytes[i] = 0;
        for (unsigned int j = 0; j < 4; j++)
            bytes[i] ^= product(in[j], row[(j + 4 - i) % 4]);
    }
}
static const uint8_t mix[4] = {2, 3, 1, 1};
static const uint8_t unmix[4] = {14, 11, 13, 9};

/* What word n of a schedule is besides the word a key length before it; nk: a key's words. */
static void step(uint8_t *out, const uint8_t *before, unsigned int n, unsigned int nk, uint8_t rcon)
{
    memcpy(out, before, 4);
    if (n % nk == 0) {
        for (unsigned int i = 0; i < 4; i++)
            out[i] = box[before[(i + 1) % 4]];
        out[0] ^= rcon;
    } else if (nk == 8 && n % nk == 4) {
        for (unsigned int i = 0; i < 4; i++)
            out[i] = box[before[i]];
    }
}

size_t aes_schedule_bytes(unsigned int key_bytes)
{
    return 16u * (key_bytes / 4 + 7);
}

static void invert(uint8_t *schedule, size_t bytes)
{
    uint8_t turned[AES_SCHEDULE_MOST];

    for (size_t at = 0; at < bytes; at += 16)
        memcpy(turned + bytes - 16 - at, schedule + at, 16);
    for (size_t at = 16; at < bytes - 16; at += 4)
        column(turned + at, unmix);
    memcpy(schedule, turned, bytes);
    explicit_bzero(turned, sizeof(turned));
}

void aes_expand(uint8_t *schedule, const uint8_t *key, unsigned int key_bytes, bool inverse)
{
    unsigned int nk = key_bytes / 4;
    size_t bytes = aes_schedule_bytes(key_bytes);
    uint8_t rcon = 1, word[4];

    if (!box[0])
        tables_make();
    memcpy(schedule, key, key_bytes);
    for (unsigned int n = nk; n * 4 < bytes; n++) {
        step(word, schedule + 4 * (n - 1), n, nk, rcon);
        if (n % nk == 0)
            rcon = times2(rcon);
        for (unsigned int i = 0; i < 4; i++)
            schedule[4 * n + i] = schedule[4 * (n - nk) + i] ^ word[i];
    }
    if (inverse)
        invert(schedule, bytes);
}

void aes_swap(uint8_t *schedule, size_t bytes)
{
    for (size_t at = 0; at + 4 <= bytes; at += 4) {
        uint8_t *w = schedule + at, a = w[0], b = w[1];
        w[0] = w[3], w[1] = w[2], w[2] = b, w[3] = a;
    }
}

/* The round constant with which the second key length follows from the first, or 0 if it does not. */
static uint8_t window_rcon(const uint8_t *window, unsigned int nk)
{
    const uint8_t *last = window + 4 * (nk - 1), *next = window + 4 * nk;
    uint8_t rcon = (uint8_t)(next[0] ^ window[0] ^ box[last[1]]), word[4], power = 1;

    while (power && power != rcon)
        power = power == 0x36 ? 0 : times2(power);
    if (!power)
        return 0;
    for (unsigned int n = nk; n < 2 * nk; n++) {
        step(word, window + 4 * (n - 1), n, nk, rcon);
        for (unsigned int i = 0; i < 4; i++)
            if (window[4 * n + i] != (window[4 * (n - nk) + i] ^ word[i]))
                return 0;
    }
    return rcon;
}

/* The key length of a schedule that stands before this one is got by going backwards. */
static void window_back(uint8_t *key, unsigned int nk, uint8_t rcon)
{
    uint8_t word[4];

    for (; rcon != 1; rcon = rcon == 0x1b ? 0x80 : rcon >> 1) {
        for (unsigned int n = nk; n-- > 1;) {
            step(word, key + 4 * (n - 1), n, nk, 0);
            for (unsigned int i = 0; i < 4; i++)
                key[4 * n + i] ^= word[i];
        }
        step(word, key + 4 * (nk - 1), 0, nk, rcon == 0x1b ? 0x80 : rcon >> 1);
        for (unsigned int i = 0; i < 4; i++)
            key[i] ^= word[i];
    }
}

/* How much of the schedule of found's key stands at p, of which left bytes may be read. */
static size_t extent(const uint8_t *p, size_t left, const struct aes_found *found)
{
    uint8_t schedule[AES_SCHEDULE_MOST];
    size_t bytes = aes_schedule_bytes(found->key_bytes), from = 0, n = 0;

    aes_expand(schedule, found->key, found->key_bytes, found->inverse);
    if (found->swapped)
        aes_swap(schedule, bytes);
    while (from + 16 <= bytes && memcmp(schedule + from, p, 16) != 0)
        from += 4;
    while (from + n < bytes && n < left && schedule[from + n] == p[n])
        n++;
    explicit_bzero(schedule, sizeof(schedule)); /* or it would be found, in tests of ourselves */
    return n;
}

/* Spares the arithmetic of most places: what stays the same in each round when it is inverted. */
static bool linear(const uint8_t *p, unsigned int nk)
{
    uint32_t w[WINDOW_MOST / 4], any = 0;

    memcpy(w, p, 8 * nk);
    for (unsigned int i = 0; i < nk; i++) {
        any |= w[i];
        if (i % 4 && (w[i] ^ w[i - 1] ^ w[i + nk]))
            return false;
    }
    return any;
}

static bool fits(const uint8_t *p, size_t left, unsigned int nk, struct aes_found *found)
{
    uint8_t window[WINDOW_MOST];
    size_t bytes = 8 * nk;

    if (left < bytes || (found->inverse && !linear(p, nk)))
        return false;
    for (unsigned int swapped = 0; swapped < 2; swapped++) {
        for (size_t at = 0; at < bytes; at += 16)
            memcpy(window + at, p + (found->inverse ? bytes - 16 - at : at),
                   bytes - at < 16 ? bytes - at : 16);
        if (swapped)
            aes_swap(window, bytes);
        for (size_t at = 0; at < bytes && found->inverse; at += 4)
            column(window + at, mix);
        uint8_t rcon = window_rcon(window, nk);
        if (!rcon)
            continue;
        found->swapped = swapped;
        found->key_bytes = 4 * nk;
        window_back(window, nk, rcon);
        memcpy(found->key, window, 4 * nk);
        found->bytes = extent(p, left, found);
        return found->bytes >= bytes;
    }
    return false;
}

static bool any_zero(lanes a, lanes b, lanes c, lanes d, lanes e)
{
    union {
        lanes all;
        uint64_t half[2];
    } zero = {.all = (lanes)((a == 0) | (b == 0) | (c == 0) | (d == 0) | (e == 0))};

    return zero.half[0] || zero.half[1];
}

static lanes load(const uint8_t *p)
{
    lanes l;

    memcpy(&l, p, sizeof(l));
    return l;
}

/* Whether one of the four places from p on deserves a look.  Reads 64 bytes. */
static bool likely(const uint8_t *p)
{
    lanes w0 = load(p), w1 = load(p + 4), w5 = load(p + 20), w9 = load(p + 36);

    return any_zero(w1 ^ load(p + 16) ^ w5, w1 ^ load(p + 24) ^ load(p + 28),
                    w1 ^ load(p + 32) ^ w9, w0 ^ w1 ^ w5, w0 ^ w1 ^ w9);
}

static bool look(const uint8_t *p, size_t left, struct aes_found *found)
{
    for (unsigned int nk = 4; nk <= 8; nk += 2)
        for (unsigned int inverse = 0; inverse < (nk == 6 ? 1 : 2); inverse++) {
            found->inverse = inverse;
            if (fits(p, left, nk, found))
                return true;
        }
    return false;
}

static bool empty(const uint8_t *p)
{
    static const uint8_t zeros[128];

    return !memcmp(p, zeros, sizeof(zeros));
}

size_t aes_find(const uint8_t *memory, size_t at, size_t limit, size_t end, struct aes_found *found)
{
    if (!box[0])
        tables_make();
    while (at < limit) {
        size_t left = end - at;
        if (left >= 128 && empty(memory + at)) {
            at += 64; /* the rest of what is seen from the last of these is zero too */
            continue;
        }
        if (left >= 64 && !likely(memory + at)) {
            at += 16;
            continue;
        }
        for (unsigned int i = 0; i < 4 && at < limit; i++, at += 4)
            if (look(memory + at, end - at, found))
                return at;
    }
    return limit;
}
