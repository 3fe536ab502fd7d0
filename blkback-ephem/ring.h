/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring: the blkif ring seen from the backend (xen/include/public/io/{blkif,ring}.h): copying a
 * request out, judging it, posting a response.  Pure: shared memory in, private structs out.
 *
 * The shared page is hostile.  Each request is copied once, with volatile loads, and everything
 * after that works on the copy (XSA-155); responses are written field by field with zeroed padding
 * (XSA-216).  All sizes are in 512-byte sectors, whatever sector-size says.
 */
#ifndef EPHEM_RING_H
#define EPHEM_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_MAX_SEGMENTS 11u  /* in the request itself */
#define RING_MAX_INDIRECT 256u /* what we publish as feature-max-indirect-segments */
#define RING_MAX_PAGES    16u

enum ring_op {
    RING_OP_READ = 0,
    RING_OP_WRITE = 1,
    RING_OP_BARRIER = 2,
    RING_OP_FLUSH = 3,
    RING_OP_DISCARD = 5,
    RING_OP_INDIRECT = 6,
};

enum ring_status { RING_OKAY = 0, RING_ERROR = -1, RING_UNSUPPORTED = -2 };

enum ring_abi { RING_X86_64 = 0, RING_X86_32 = 1 };

struct ring {
    uint8_t *shared; /* 1 << order contiguous pages */
    uint32_t slots;  /* power of two */
    enum ring_abi abi;
    uint32_t req_cons;
    uint32_t rsp_prod; /* private; published by ring_push */
    uint32_t rsp_pushed;
};

struct ring_segment {
    uint32_t ref;
    uint8_t first, last; /* sectors in the page */
};

/* A private copy of one request, decoded but not judged. */
struct ring_request {
    uint8_t op;          /* as written; RING_OP_INDIRECT stays */
    uint8_t indirect_op; /* of an indirect request */
    uint16_t nseg;
    uint64_t id;
    uint64_t sector;
    uint64_t discard_sectors;
    uint32_t indirect_ref; /* its first descriptor page */
    struct ring_segment segments[RING_MAX_INDIRECT];
};

struct ring_limits {
    uint64_t sectors; /* of the volume */
    bool readonly;
    bool discard;
};

/* `shared`: `pages` contiguous mapped pages; goes on behind the last response. */
void ring_open(struct ring *ring, void *shared, uint32_t pages, enum ring_abi abi);

/* Requests waiting, or -EPROTO: the producer claims more than the ring holds, or takes back what was
 * fetched (kill the ring). */
int ring_waiting(const struct ring *ring);

/* Copies the next request out.  Only after ring_waiting said there is one. */
void ring_fetch(struct ring *ring, struct ring_request *request);

/* Asks for an event on the next request; true when one has come meanwhile. */
bool ring_arm(struct ring *ring);

/*
 * Judges what can be judged before any descriptor page is read: op, segment count, sectors for a
 * discard.  The answer to send at once, or RING_OKAY: go on.
 */
enum ring_status ring_check_header(const struct ring_request *request,
                                   const struct ring_limits *limits);

/* Decodes `nseg` descriptors (8 bytes each) of an indirect request from a private copy. */
void ring_decode_segments(struct ring_request *request, const uint8_t *descriptors);

/* Judges the segments and the span; `sectors` is their sum. */
enum ring_status ring_check_segments(const struct ring_request *request,
                                     const struct ring_limits *limits, uint32_t *sectors);

/* What the request does: for an indirect one its inner op. */
enum ring_op ring_effective_op(const struct ring_request *request);

/* Puts a response; not seen by the frontend before ring_push. */
void ring_respond(struct ring *ring, uint64_t id, uint8_t op, enum ring_status status);

/* Publishes; true when the frontend wants an event. */
bool ring_push(struct ring *ring);

#endif
