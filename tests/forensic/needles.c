// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * needles: a bit for each hash of four bytes tells where a needle may begin; there the sorted needles are
 * asked.
 */
#include "needles.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aes.h"

#define HASH_BITS  16u
#define TEXT_BYTES (2 * NEEDLE_MARK_BYTES)

struct needle {
    uint8_t bytes[NEEDLE_BYTES];
    const uint8_t *rest; /* what follows these where all of it stands; in texts */
    size_t rest_bytes;
    enum needle_kind whole, piece;
    const char *name;
};

/* Kept as long as needles point to it. */
struct text {
    struct text *next;
    char name[NEEDLE_NAME];
    bool is_key;
    size_t used;
    uint8_t bytes[AES_SCHEDULE_MOST];
};

struct needles {
    struct needle *all;
    size_t count, room;
    bool sorted;
    struct text *texts;
    uint8_t maybe[1u << (HASH_BITS - 3)];
};

static uint32_t hash(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v * 2654435761u >> (32 - HASH_BITS);
}

int needles_open(struct needles **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? 0 : -ENOMEM;
}

void needles_close(struct needles *needles)
{
    while (needles && needles->texts) {
        struct text *text = needles->texts;
        needles->texts = text->next;
        free(text);
    }
    if (needles)
        free(needles->all);
    free(needles);
}

static struct text *text_add(struct needles *needles, const char *name, size_t bytes)
{
    struct text *text = calloc(1, sizeof(*text));

    if (!text)
        return NULL;
    snprintf(text->name, sizeof(text->name), "%s", name);
    text->used = bytes;
    text->next = needles->texts;
    needles->texts = text;
    return text;
}

/* Each place of a text, every step bytes; only its begin counts as the whole, if that counts at all. */
static int needles_add(struct needles *needles, const struct text *text, size_t step_bytes,
                       enum needle_kind whole, enum needle_kind piece)
{
    for (size_t at = 0; at + NEEDLE_BYTES <= text->used; at += step_bytes) {
        if (needles->count == needles->room) {
            size_t room = needles->room ? 2 * needles->room : 256;
            void *moved = realloc(needles->all, room * sizeof(*needles->all));
            if (!moved)
                return -ENOMEM;
            needles->all = moved;
            needles->room = room;
        }
        struct needle *needle = &needles->all[needles->count++];
        *needle = (struct needle){.rest = text->bytes + at + NEEDLE_BYTES,
                                  .rest_bytes = text->used - at - NEEDLE_BYTES,
                                  .whole = at ? piece : whole,
                                  .piece = piece,
                                  .name = text->name};
        memcpy(needle->bytes, text->bytes + at, NEEDLE_BYTES);
        uint32_t h = hash(needle->bytes);
        needles->maybe[h / 8] |= (uint8_t)(1u << h % 8);
    }
    needles->sorted = false;
    return 0;
}

int needles_add_marker(struct needles *needles, const char *name,
                       const uint8_t mark[NEEDLE_MARK_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    struct text *text = text_add(needles, name, TEXT_BYTES);
    struct text *raw = text_add(needles, name, NEEDLE_MARK_BYTES);
    int err;

    if (!text || !raw)
        return -ENOMEM;
    for (size_t i = 0; i < NEEDLE_MARK_BYTES; i++) {
        text->bytes[2 * i] = (uint8_t)digits[mark[i] >> 4];
        text->bytes[2 * i + 1] = (uint8_t)digits[mark[i] & 15];
    }
    memcpy(raw->bytes, mark, NEEDLE_MARK_BYTES);
    err = needles_add(needles, text, 1, NEEDLE_MARKER, NEEDLE_MARKER_PIECE);
    return err ? err : needles_add(needles, raw, 1, NEEDLE_MARKER, NEEDLE_MARKER_PIECE);
}

/* Round keys; those of a schedule that are the key itself are found as such. */
static int needles_add_schedule(struct needles *needles, const char *name, const uint8_t *key,
                                bool inverse, bool swapped)
{
    size_t bytes = aes_schedule_bytes(AES_KEY_MOST);
    struct text *text = text_add(needles, name, bytes);

    if (!text)
        return -ENOMEM;
    aes_expand(text->bytes, key, AES_KEY_MOST, inverse);
    if (swapped)
        aes_swap(text->bytes, bytes);
    return needles_add(needles, text, 16, NEEDLE_KEY_PIECE, NEEDLE_KEY_PIECE);
}

int needles_add_key(struct needles *needles, const char *name, const uint8_t key[NEEDLE_KEY_BYTES])
{
    int err = 0;

    for (size_t at = 0; at < NEEDLE_KEY_BYTES && !err; at += AES_KEY_MOST) {
        struct text *text = text_add(needles, name, AES_KEY_MOST);
        if (!text)
            return -ENOMEM;
        text->is_key = true;
        memcpy(text->bytes, key + at, AES_KEY_MOST);
        err = needles_add(needles, text, 1, NEEDLE_KEY, NEEDLE_KEY_PIECE);
        for (unsigned int form = 0; form < 4 && !err; form++)
            err = needles_add_schedule(needles, name, key + at, form & 1, form & 2);
    }
    return err;
}

const char *needles_key_owner(const struct needles *needles, const uint8_t *key)
{
    for (const struct text *text = needles->texts; text; text = text->next)
        if (text->is_key && !memcmp(text->bytes, key, AES_KEY_MOST))
            return text->name;
    return NULL;
}

/* Of equal ones the one that is a begin comes first. */
static int needle_order(const void *a, const void *b)
{
    const struct needle *x = a, *y = b;
    int by_bytes = memcmp(x->bytes, y->bytes, NEEDLE_BYTES);

    return by_bytes ? by_bytes : (int)x->whole - (int)y->whole;
}

static const struct needle *needle_at(const struct needles *needles, const uint8_t *p)
{
    size_t from = 0, to = needles->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (memcmp(needles->all[middle].bytes, p, NEEDLE_BYTES) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from < needles->count && !memcmp(needles->all[from].bytes, p, NEEDLE_BYTES)
               ? &needles->all[from]
               : NULL;
}

static void judge(const struct needle *needle, const uint8_t *p, size_t left,
                  struct needles_found *found)
{
    size_t n = 0;

    while (n < needle->rest_bytes && NEEDLE_BYTES + n < left &&
           p[NEEDLE_BYTES + n] == needle->rest[n])
        n++;
    found->kind = n == needle->rest_bytes ? needle->whole : needle->piece;
    found->bytes = NEEDLE_BYTES + n;
    found->name = needle->name;
}

size_t needles_find(struct needles *needles, const uint8_t *memory, size_t at, size_t limit,
                    size_t end, struct needles_found *found)
{
    static const uint8_t zeros[64];
    const struct needle *needle;

    if (!needles->sorted && needles->count)
        qsort(needles->all, needles->count, sizeof(*needles->all), needle_order);
    needles->sorted = true;
    for (; at < limit && at + NEEDLE_BYTES <= end; at++) {
        if (at % 64 == 0 && at + 64 <= limit && !memcmp(memory + at, zeros, 64)) {
            at += 63;
            continue;
        }
        uint32_t h = hash(memory + at);
        if (!(needles->maybe[h / 8] >> h % 8 & 1))
            continue;
        needle = needle_at(needles, memory + at);
        if (needle) {
            judge(needle, memory + at, end - at, found);
            return at;
        }
    }
    return limit;
}
