// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memscan's two searches: what is planted is found at every place and in every form; random data and
 * sparse structures give nothing; and schedules that libcrypto made for a cipher of ours are found in
 * this process, so that the forensic case's zeros mean something.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../forensic/aes.h"
#include "../forensic/needles.h"
#include "cipher.h"
#include "key.h"

#define ROOM 4096u

static uint8_t room[ROOM];

static void fill(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)random();
}

static void from_hex(uint8_t *bytes, const char *hex)
{
    for (size_t i = 0; hex[2 * i]; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

/* FIPS 197, appendix A: the last round key of each; C.3's inverse is the first again, in reverse. */
static void test_expansion(void)
{
    static const struct {
        unsigned int bytes;
        const char *key, *last;
    } vectors[] = {
        {16, "2b7e151628aed2a6abf7158809cf4f3c", "d014f9a8c9ee2589e13f0cc8b6630ca6"},
        {24, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
         "e98ba06f448c773c8ecc720401002202"},
        {32, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
         "fe4890d1e6188d0b046df344706c631e"},
    };
    uint8_t key[32], last[16], schedule[AES_SCHEDULE_MOST], inverse[AES_SCHEDULE_MOST];

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t bytes = aes_schedule_bytes(vectors[i].bytes);
        from_hex(key, vectors[i].key);
        from_hex(last, vectors[i].last);
        aes_expand(schedule, key, vectors[i].bytes, false);
        CU_ASSERT(!memcmp(schedule + bytes - 16, last, 16));
        aes_expand(inverse, key, vectors[i].bytes, true);
        CU_ASSERT(!memcmp(inverse, last, 16));
        CU_ASSERT(!memcmp(inverse + bytes - 16, key, 16));
    }
}

static size_t count_schedules(const uint8_t *memory, size_t end, struct aes_found *last)
{
    size_t n = 0, at = 0;
    struct aes_found found;

    while ((at = aes_find(memory, at, end, end, &found)) < end) {
        n++;
        *last = found;
        at += found.bytes;
    }
    return n;
}

/* One schedule at a place that is a multiple of 4 among zeros or noise, whole or a part of it. */
static bool finds(const uint8_t *key, unsigned int key_bytes, bool inverse, bool swapped, size_t at,
                  size_t from, size_t bytes, bool noise)
{
    uint8_t schedule[AES_SCHEDULE_MOST];
    struct aes_found found = {0};

    aes_expand(schedule, key, key_bytes, inverse);
    if (swapped)
        aes_swap(schedule, aes_schedule_bytes(key_bytes));
    memset(room, 0, ROOM);
    if (noise)
        fill(room, ROOM);
    memcpy(room + at, schedule + from, bytes);
    return count_schedules(room, ROOM, &found) == 1 && found.key_bytes == key_bytes &&
           found.inverse == inverse && found.swapped == swapped &&
           !memcmp(found.key, key, key_bytes);
}

static void test_planted(void)
{
    uint8_t key[32];

    srandom(1);
    for (unsigned int form = 0; form < 4; form++) {
        bool inverse = form & 1, swapped = form & 2;
        for (unsigned int bytes = 16; bytes <= 32; bytes += 8) {
            size_t whole = aes_schedule_bytes(bytes);
            if (bytes == 24 && inverse)
                continue;
            for (size_t at = 0; at + whole <= ROOM; at += 4) {
                fill(key, bytes);
                CU_ASSERT_FATAL(finds(key, bytes, inverse, swapped, at, 0, whole, at % 8));
            }
        }
    }
}

static void test_part(void)
{
    uint8_t key[32];

    fill(key, sizeof(key));
    for (size_t from = 0; from + 80 <= AES_SCHEDULE_MOST; from += 16) {
        CU_ASSERT(finds(key, 32, false, false, 400, from, 80, true));
        if (from >= 16 && from + 96 <= AES_SCHEDULE_MOST)
            CU_ASSERT(finds(key, 32, true, false, 400, from, 80, true));
    }
    for (size_t from = 0; from + 32 <= 176; from += 16)
        CU_ASSERT(finds(key, 16, false, false, 400, from, 32, true));
    CU_ASSERT(!finds(key, 32, false, false, 400, 0, 63, true));
}

/* Noise, and what much of memory looks like: zeros, repeated words, few set bits, counters. */
static void test_nothing(void)
{
    size_t bytes = (size_t)8 << 20;
    uint8_t *memory = malloc(bytes);
    uint32_t *words = (uint32_t *)(void *)memory;
    struct aes_found found;

    CU_ASSERT_FATAL(memory != NULL);
    fill(memory, bytes);
    CU_ASSERT(count_schedules(memory, bytes, &found) == 0);
    for (unsigned int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < bytes / 4; i++)
            words[i] = kind == 0   ? 0
                       : kind == 1 ? 0x63636363u
                       : kind == 2 ? (random() % 16 ? 0 : 1u << random() % 32)
                                   : (uint32_t)i;
        CU_ASSERT(count_schedules(memory, bytes, &found) == 0);
    }
    free(memory);
}

/* A copy of all that this process can write; the system call reads it, so that no sanitizer minds. */
static size_t own_memory(uint8_t **out)
{
    int fd = memfd_create("own", MFD_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from, to;
    char line[512], may[8];
    size_t bytes = 0;

    CU_ASSERT_FATAL(fd >= 0 && maps != NULL);
    while (fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %7s", &from, &to, may) == 3 && may[1] == 'w' &&
            to - from <= (size_t)64 << 20) {
            long n = syscall(SYS_write, fd, from, to - from);
            bytes += n > 0 ? (size_t)n : 0;
        }
    fclose(maps);
    *out = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(*out != MAP_FAILED);
    close(fd);
    return bytes;
}

/* How many schedules of the key's halves are here, for either direction. */
static void own_schedules(const uint8_t *key, unsigned int counts[2][2])
{
    uint8_t *memory;
    size_t bytes = own_memory(&memory), at = 0;
    struct aes_found found;

    memset(counts, 0, 4 * sizeof(counts[0][0]));
    while ((at = aes_find(memory, at, bytes, bytes, &found)) < bytes) {
        for (unsigned int half = 0; half < 2; half++)
            if (found.key_bytes == 32 && !memcmp(found.key, key + 32 * half, 32))
                counts[half][found.inverse]++;
        at += found.bytes;
    }
    munmap(memory, bytes);
}

static void test_libcrypto(void)
{
    struct key *key;
    struct cipher *cipher;
    uint8_t copy[KEY_BYTES];
    unsigned int counts[2][2];

    CU_ASSERT_FATAL(key_open(&key) == 0);
    memcpy(copy, key_bytes(key), KEY_BYTES);
    CU_ASSERT_FATAL(cipher_open(&cipher, key) == 0);
    own_schedules(copy, counts);
    CU_ASSERT(counts[0][0] >= 1); /* data, to encrypt */
    CU_ASSERT(counts[0][1] >= 1); /* and to decrypt */
    CU_ASSERT(counts[1][0] >= 2); /* the tweak, for both */
    cipher_close(cipher);
    key_close(key);
}

static bool found_is(struct needles *needles, size_t at, enum needle_kind kind, size_t bytes,
                     const char *name)
{
    struct needles_found found;

    if (needles_find(needles, room, 0, ROOM, ROOM, &found) != at || found.kind != kind ||
        found.bytes != bytes || strcmp(found.name, name) != 0)
        return false;
    return needles_find(needles, room, at + bytes, ROOM, ROOM, &found) == ROOM;
}

static void test_needles(void)
{
    static const char text[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    uint8_t mark[NEEDLE_MARK_BYTES], key[NEEDLE_KEY_BYTES], schedule[AES_SCHEDULE_MOST];
    struct needles *needles;

    from_hex(mark, text);
    fill(key, sizeof(key));
    CU_ASSERT_FATAL(needles_open(&needles) == 0);
    CU_ASSERT_FATAL(needles_add_marker(needles, "guest", mark) == 0);
    CU_ASSERT_FATAL(needles_add_key(needles, "other", key) == 0);
    for (size_t at = 0; at + 64 <= ROOM; at += at < 200 || at > ROOM - 200 ? 1 : 97) {
        memset(room, 0, ROOM);
        memcpy(room + at, text, 64);
        CU_ASSERT(found_is(needles, at, NEEDLE_MARKER, 64, "guest"));
        memcpy(room + at, key + 1, 64 - 1); /* the begin is missing: a piece, then the other half */
        struct needles_found found;
        CU_ASSERT(needles_find(needles, room, 0, ROOM, ROOM, &found) == at);
        CU_ASSERT(found.kind == NEEDLE_KEY_PIECE && found.bytes == 31);
        CU_ASSERT(needles_find(needles, room, at + 31, ROOM, ROOM, &found) == at + 31);
        CU_ASSERT(found.kind == NEEDLE_KEY && found.bytes == 32);
    }
    fill(room, ROOM);
    memcpy(room + 1001, text + 7, 20);
    CU_ASSERT(found_is(needles, 1001, NEEDLE_MARKER_PIECE, 20, "guest"));
    fill(room, ROOM);
    memcpy(room + 999, mark, sizeof(mark));
    CU_ASSERT(found_is(needles, 999, NEEDLE_MARKER, 32, "guest"));
    fill(room, ROOM);
    memcpy(room + 500, mark + 5, 16);
    CU_ASSERT(found_is(needles, 500, NEEDLE_MARKER_PIECE, 16, "guest"));
    aes_expand(schedule, key + 32, 32, true);
    for (size_t round = 0; round < 13; round++) { /* the last two are the key itself */
        fill(room, ROOM);
        memcpy(room + 77, schedule + 16 * round, 16);
        CU_ASSERT(found_is(needles, 77, NEEDLE_KEY_PIECE, 16, "other"));
    }
    CU_ASSERT(!strcmp(needles_key_owner(needles, key + 32), "other"));
    CU_ASSERT(!strcmp(needles_key_owner(needles, key + 64), "other"));
    CU_ASSERT(needles_key_owner(needles, mark) == NULL);
    needles_close(needles);
}

int suite_memscan(void)
{
    static const struct unit_case cases[] = {
        {"expansion", test_expansion}, {"planted", test_planted},     {"part", test_part},
        {"nothing", test_nothing},     {"libcrypto", test_libcrypto}, {"needles", test_needles},
    };

    return UNIT_SUITE("memscan", cases);
}
