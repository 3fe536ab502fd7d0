/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd_wire: the numbers of the NBD protocol (fixed newstyle, structured replies) that the door
 * speaks, and big-endian access to its bytes.  Pure.
 */
#ifndef EPHEM_NBD_WIRE_H
#define EPHEM_NBD_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* Negotiation */
#define NBD_MAGIC          0x4e42444d41474943ull
#define NBD_OPTION_MAGIC   0x49484156454f5054ull
#define NBD_REP_MAGIC      0x0003e889045565a9ull
#define NBD_FIXED_NEWSTYLE 1u
#define NBD_NO_ZEROES      2u
#define NBD_GREETING_BYTES 18u
#define NBD_OPTION_BYTES   16u
#define NBD_REP_BYTES      20u
#define NBD_EXPORT_ZEROES  124u

enum nbd_option {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
};

#define NBD_REP_ACK         1u
#define NBD_REP_SERVER      2u
#define NBD_REP_INFO        3u
#define NBD_REP_ERR_UNSUP   0x80000001u
#define NBD_REP_ERR_INVALID 0x80000003u
#define NBD_REP_ERR_UNKNOWN 0x80000006u
#define NBD_REP_ERR_TOO_BIG 0x80000009u

#define NBD_INFO_EXPORT     0u
#define NBD_INFO_BLOCK_SIZE 3u

/* Transmission flags */
#define NBD_HAS_FLAGS         (1u << 0)
#define NBD_READ_ONLY         (1u << 1)
#define NBD_SEND_FLUSH        (1u << 2)
#define NBD_SEND_FUA          (1u << 3)
#define NBD_SEND_TRIM         (1u << 5)
#define NBD_SEND_WRITE_ZEROES (1u << 6)
#define NBD_SEND_DF           (1u << 7)
#define NBD_CAN_MULTI_CONN    (1u << 8)
#define NBD_SEND_FAST_ZERO    (1u << 11)

/* Requests and replies */
#define NBD_REQUEST_MAGIC    0x25609513u
#define NBD_SIMPLE_MAGIC     0x67446698u
#define NBD_STRUCTURED_MAGIC 0x668e33efu
#define NBD_REQUEST_BYTES    28u
#define NBD_PAYLOAD_MAX      (32u << 20)

enum nbd_command {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_WRITE_ZEROES = 6,
};

#define NBD_FLAG_FUA       (1u << 0)
#define NBD_FLAG_NO_HOLE   (1u << 1)
#define NBD_FLAG_DF        (1u << 2)
#define NBD_FLAG_FAST_ZERO (1u << 4)

#define NBD_REPLY_DONE        (1u << 0)
#define NBD_REPLY_OFFSET_DATA 1u
#define NBD_REPLY_ERROR       0x8001u

#define NBD_EPERM     1u
#define NBD_EIO       5u
#define NBD_ENOMEM    12u
#define NBD_EINVAL    22u
#define NBD_ENOSPC    28u
#define NBD_EOVERFLOW 75u
#define NBD_ENOTSUP   95u

static inline uint16_t nbd_get16(const uint8_t *at)
{
    uint16_t v;

    memcpy(&v, at, sizeof(v));
    return be16toh(v);
}

static inline uint32_t nbd_get32(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof(v));
    return be32toh(v);
}

static inline uint64_t nbd_get64(const uint8_t *at)
{
    uint64_t v;

    memcpy(&v, at, sizeof(v));
    return be64toh(v);
}

/* Each returns the place behind. */
static inline uint8_t *nbd_put16(uint8_t *at, uint32_t value)
{
    uint16_t v = htobe16((uint16_t)value);

    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

static inline uint8_t *nbd_put32(uint8_t *at, uint32_t value)
{
    uint32_t v = htobe32(value);

    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

static inline uint8_t *nbd_put64(uint8_t *at, uint64_t value)
{
    uint64_t v = htobe64(value);

    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

#endif
