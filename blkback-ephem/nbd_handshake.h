/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd_handshake: the negotiation of one connection, from greeting to export.  Pure: bytes in, bytes
 * out; its connection moves them.  Every reply must have left before the next option is fed, so the
 * room for replies is bounded.
 */
#ifndef EPHEM_NBD_HANDSHAKE_H
#define EPHEM_NBD_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nbd.h"

/* Longer option data is skipped and refused; beyond the second, the client is hung up on. */
#define NBD_OPTION_MAX  2048u
#define NBD_OPTION_SKIP 65536u

enum nbd_step {
    NBD_STEP_MORE,  /* needs more bytes than there are */
    NBD_STEP_NEXT,  /* took an option; its reply is to be sent */
    NBD_STEP_SERVE, /* after the reply, requests for `chosen` follow */
    NBD_STEP_END,   /* after the reply, hang up */
    NBD_STEP_BREAK, /* hang up at once */
};

struct nbd_handshake {
    const struct nbd_export *exports; /* nbd_handshake_open's; below: read only */
    size_t nexports;
    const struct nbd_export *chosen;
    bool structured;
    uint32_t skip; /* bytes to skip behind what was used */
    size_t reply_bytes;
    bool greeted, zeroes;
    uint8_t reply[];
};

/* `exports` outlives it; the first reply is the greeting.  0 or -ENOMEM.  free() ends it. */
int nbd_handshake_open(struct nbd_handshake **out, const struct nbd_export *exports,
                       size_t nexports);

/* Takes one step.  `used`: bytes it took of `length`. */
enum nbd_step nbd_handshake_feed(struct nbd_handshake *handshake, const uint8_t *in, size_t length,
                                 size_t *used);

#endif
