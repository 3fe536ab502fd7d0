/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * needles: what is looked for byte by byte: the markers of guests, as text and as the bytes that it
 * spells, and their keys.  Every 16 bytes of them that follow each other are a needle, since that is what
 * a register holds: a whole marker, a whole AES key is one find, and so is a piece of 16 bytes or
 * more of it that stands alone, also of the schedules that the key expands to.
 */
#ifndef FORENSIC_NEEDLES_H
#define FORENSIC_NEEDLES_H

#include <stddef.h>
#include <stdint.h>

#define NEEDLE_BYTES      16u
#define NEEDLE_NAME       64u
#define NEEDLE_KEY_BYTES  96u /* three AES keys: both of XTS, and the seal's */
#define NEEDLE_MARK_BYTES 32u

enum needle_kind { NEEDLE_MARKER, NEEDLE_MARKER_PIECE, NEEDLE_KEY, NEEDLE_KEY_PIECE };

struct needles;

struct needles_found {
    enum needle_kind kind;
    size_t bytes; /* that stand there; the search goes on behind */
    const char *name;
};

/* 0 or -ENOMEM.  A name of less than NEEDLE_NAME bytes. */
int needles_open(struct needles **out);
void needles_close(struct needles *needles);
int needles_add_marker(struct needles *needles, const char *name,
                       const uint8_t mark[NEEDLE_MARK_BYTES]);
int needles_add_key(struct needles *needles, const char *name, const uint8_t key[NEEDLE_KEY_BYTES]);

/* Whose an AES key of 32 bytes is, or NULL. */
const char *needles_key_owner(const struct needles *needles, const uint8_t *key);

/* The first place from at on, and before limit, where something stands; else limit.  Bytes before end
 * may be read. */
size_t needles_find(struct needles *needles, const uint8_t *memory, size_t at, size_t limit,
                    size_t end, struct needles_found *found);

#endif
