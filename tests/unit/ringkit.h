/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ringkit: the frontend's side of a ring, written here from the public headers and on its own, to
 * check ring.c's table of offsets against.
 */
#ifndef UNIT_RINGKIT_H
#define UNIT_RINGKIT_H

#include <stdint.h>
#include "ring.h"

struct kit_segment {
    uint32_t ref;
    uint8_t first, last;
};

/* Fields as the guest would set them; which count depends on `op`. */
struct kit_request {
    uint8_t op, nseg, flag, indirect_op;
    uint16_t handle, indirect_nseg;
    uint64_t id, sector, discard_sectors;
    uint32_t indirect_refs[8];
    struct kit_segment segments[11];
};

struct kit {
    struct ring ring;
    enum ring_abi abi;
    uint8_t *page; /* of 16 */
};

void kit_open(struct kit *kit, enum ring_abi abi, uint32_t pages);
void kit_close(struct kit *kit);

/* The place of slot `index`, and of the ring's words. */
uint8_t *kit_slot(const struct kit *kit, uint32_t index);
uint32_t *kit_req_prod(const struct kit *kit);
uint32_t *kit_req_event(const struct kit *kit);
uint32_t *kit_rsp_prod(const struct kit *kit);
uint32_t *kit_rsp_event(const struct kit *kit);

/* Writes a request into slot `index`, rubbish into the padding. */
void kit_encode(const struct kit *kit, uint32_t index, const struct kit_request *request);

/* Encodes at req_prod and publishes. */
void kit_put(struct kit *kit, const struct kit_request *request);

#endif
