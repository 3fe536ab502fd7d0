// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd_handshake: fixed newstyle.  GO, INFO, LIST, EXPORT_NAME, ABORT and STRUCTURED_REPLY are
 * spoken; everything else is answered with "unsupported", which clients take as a reason to do
 * without.
 * Deliberately absent: TLS (the socket is local and its permissions are the access control), block
 * status (which blocks a guest has written is nobody's business), the oldstyle handshake.
 */
#include "nbd_handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "nbd_wire.h"

#define ROOM_FIXED           256u /* the longest reply but LIST: EXPORT_NAME's 134 bytes */
#define BLOCK_SIZE_PREFERRED 4096u

int nbd_handshake_open(struct nbd_handshake **out, const struct nbd_export *exports,
                       size_t nexports)
{
    size_t room = ROOM_FIXED;

    for (size_t i = 0; i < nexports; i++)
        room += NBD_REP_BYTES + 4 + strlen(exports[i].name);
    struct nbd_handshake *handshake = calloc(1, sizeof(*handshake) + room);
    if (!handshake)
        return -ENOMEM;
    handshake->exports = exports;
    handshake->nexports = nexports;
    uint8_t *at = nbd_put64(handshake->reply, NBD_MAGIC);
    at = nbd_put64(at, NBD_OPTION_MAGIC);
    nbd_put16(at, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    handshake->reply_bytes = NBD_GREETING_BYTES;
    *out = handshake;
    return 0;
}

/* Appends a reply's head; the place behind it, where `length` bytes belong. */
static uint8_t *handshake_reply(struct nbd_handshake *handshake, uint32_t option, uint32_t type,
                                size_t length)
{
    uint8_t *at = handshake->reply + handshake->reply_bytes;

    at = nbd_put64(at, NBD_REP_MAGIC);
    at = nbd_put32(at, option);
    at = nbd_put32(at, type);
    at = nbd_put32(at, (uint32_t)length);
    handshake->reply_bytes += NBD_REP_BYTES + length;
    return at;
}

static const struct nbd_export *handshake_find(const struct nbd_handshake *handshake,
                                               const uint8_t *name, size_t length)
{
    if (!length)
        return handshake->nexports ? &handshake->exports[0] : NULL;
    for (size_t i = 0; i < handshake->nexports; i++) {
        const struct nbd_export *export = &handshake->exports[i];
        if (strlen(export->name) == length && memcmp(export->name, name, length) == 0)
            return export;
    }
    return NULL;
}

static uint32_t handshake_flags(const struct nbd_handshake *handshake,
                                const struct nbd_export *export)
{
    const struct volume_config *config = volume_config(export->volume);
    uint32_t flags = NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_CAN_MULTI_CONN;

    if (config->readonly)
        flags |= NBD_READ_ONLY;
    else
        flags |= NBD_SEND_WRITE_ZEROES | NBD_SEND_FAST_ZERO;
    if (!config->readonly && config->discard)
        flags |= NBD_SEND_TRIM;
    if (handshake->structured)
        flags |= NBD_SEND_DF;
    return flags;
}

static enum nbd_step handshake_export_name(struct nbd_handshake *handshake, const uint8_t *data,
                                           size_t length)
{
    const struct nbd_export *export = handshake_find(handshake, data, length);

    if (!export)
        return NBD_STEP_BREAK;
    uint8_t *at = nbd_put64(handshake->reply, volume_bytes(export->volume));
    at = nbd_put16(at, handshake_flags(handshake, export));
    if (handshake->zeroes) {
        memset(at, 0, NBD_EXPORT_ZEROES);
        at += NBD_EXPORT_ZEROES;
    }
    handshake->reply_bytes = (size_t)(at - handshake->reply);
    handshake->chosen = export;
    return NBD_STEP_SERVE;
}

static enum nbd_step handshake_list(struct nbd_handshake *handshake, size_t length)
{
    if (length) {
        handshake_reply(handshake, NBD_OPT_LIST, NBD_REP_ERR_INVALID, 0);
        return NBD_STEP_NEXT;
    }
    for (size_t i = 0; i < handshake->nexports; i++) {
        const char *name = handshake->exports[i].name;
        size_t n = strlen(name);
        uint8_t *at = handshake_reply(handshake, NBD_OPT_LIST, NBD_REP_SERVER, 4 + n);
        memcpy(nbd_put32(at, (uint32_t)n), name, n);
    }
    handshake_reply(handshake, NBD_OPT_LIST, NBD_REP_ACK, 0);
    return NBD_STEP_NEXT;
}

/* INFO and GO.  Block sizes are always told: requests must be multiples of 512. */
static enum nbd_step handshake_go(struct nbd_handshake *handshake, uint32_t option,
                                  const uint8_t *data, size_t length)
{
    size_t name = length >= 6 ? nbd_get32(data) : SIZE_MAX;

    if (length < 6 || name > length - 6 ||
        length != 6 + name + 2 * (size_t)nbd_get16(data + 4 + name)) {
        handshake_reply(handshake, option, NBD_REP_ERR_INVALID, 0);
        return NBD_STEP_NEXT;
    }
    const struct nbd_export *export = handshake_find(handshake, data + 4, name);
    if (!export) {
        handshake_reply(handshake, option, NBD_REP_ERR_UNKNOWN, 0);
        return NBD_STEP_NEXT;
    }
    uint8_t *at = handshake_reply(handshake, option, NBD_REP_INFO, 12);
    at = nbd_put16(at, NBD_INFO_EXPORT);
    at = nbd_put64(at, volume_bytes(export->volume));
    nbd_put16(at, handshake_flags(handshake, export));
    at = handshake_reply(handshake, option, NBD_REP_INFO, 14);
    at = nbd_put16(at, NBD_INFO_BLOCK_SIZE);
    at = nbd_put32(at, SECTOR_SIZE);
    at = nbd_put32(at, BLOCK_SIZE_PREFERRED);
    nbd_put32(at, VIO_MAX);
    handshake_reply(handshake, option, NBD_REP_ACK, 0);
    if (option == NBD_OPT_INFO)
        return NBD_STEP_NEXT;
    handshake->chosen = export;
    return NBD_STEP_SERVE;
}

static enum nbd_step handshake_structured(struct nbd_handshake *handshake, size_t length)
{
    handshake->structured |= !length;
    handshake_reply(handshake, NBD_OPT_STRUCTURED_REPLY, length ? NBD_REP_ERR_INVALID : NBD_REP_ACK,
                    0);
    return NBD_STEP_NEXT;
}

static enum nbd_step handshake_option(struct nbd_handshake *handshake, uint32_t option,
                                      const uint8_t *data, size_t length)
{
    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        return handshake_export_name(handshake, data, length);
    case NBD_OPT_ABORT:
        handshake_reply(handshake, option, NBD_REP_ACK, 0);
        return NBD_STEP_END;
    case NBD_OPT_LIST:
        return handshake_list(handshake, length);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return handshake_go(handshake, option, data, length);
    case NBD_OPT_STRUCTURED_REPLY:
        return handshake_structured(handshake, length);
    default:
        handshake_reply(handshake, option, NBD_REP_ERR_UNSUP, 0);
        return NBD_STEP_NEXT;
    }
}

enum nbd_step nbd_handshake_feed(struct nbd_handshake *handshake, const uint8_t *in, size_t length,
                                 size_t *used)
{
    *used = 0;
    if (!handshake->greeted) {
        if (length < 4)
            return NBD_STEP_MORE;
        uint32_t flags = nbd_get32(in);
        *used = 4;
        handshake->greeted = true;
        handshake->zeroes = !(flags & NBD_NO_ZEROES);
        return flags & ~(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES) ? NBD_STEP_BREAK : NBD_STEP_NEXT;
    }
    if (length < NBD_OPTION_BYTES)
        return NBD_STEP_MORE;
    uint32_t option = nbd_get32(in + 8), data = nbd_get32(in + 12);
    if (nbd_get64(in) != NBD_OPTION_MAGIC || data > NBD_OPTION_SKIP)
        return NBD_STEP_BREAK;
    if (data > NBD_OPTION_MAX) {
        *used = NBD_OPTION_BYTES;
        if (option == NBD_OPT_EXPORT_NAME)
            return NBD_STEP_BREAK; /* its reply has no head: an error would look like a size */
        handshake->skip = data;
        handshake_reply(handshake, option, NBD_REP_ERR_TOO_BIG, 0);
        return NBD_STEP_NEXT;
    }
    if (length < NBD_OPTION_BYTES + data)
        return NBD_STEP_MORE;
    *used = NBD_OPTION_BYTES + data;
    return handshake_option(handshake, option, in + NBD_OPTION_BYTES, data);
}
