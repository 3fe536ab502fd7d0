// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ringkit: x86_64 through the structs of <xen/io/blkif.h>; x86_32, which that header does not give on
 * this machine, byte by byte: no padding before 64-bit fields, everything in order.
 */
#include "ringkit.h"

#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/io/blkif.h>
#include "unit.h"

#define PAGES 16

void kit_open(struct kit *kit, enum ring_abi abi, uint32_t pages)
{
    kit->abi = abi;
    kit->page = aligned_alloc(4096, PAGES * 4096);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kit->page);
    memset(kit->page, 0, PAGES * 4096);
    *kit_req_event(kit) = *kit_rsp_event(kit) = 1;
    ring_open(&kit->ring, kit->page, pages, abi);
}

void kit_close(struct kit *kit)
{
    free(kit->page);
}

static blkif_sring_t *sring(const struct kit *kit)
{
    return (blkif_sring_t *)(void *)kit->page;
}

uint8_t *kit_slot(const struct kit *kit, uint32_t index)
{
    index %= kit->ring.slots;
    if (kit->abi == RING_X86_64)
        return (uint8_t *)&sring(kit)->ring[index];
    return kit->page + 64 + (size_t)index * 108;
}

uint32_t *kit_req_prod(const struct kit *kit)
{
    return &sring(kit)->req_prod;
}

uint32_t *kit_req_event(const struct kit *kit)
{
    return &sring(kit)->req_event;
}

uint32_t *kit_rsp_prod(const struct kit *kit)
{
    return &sring(kit)->rsp_prod;
}

uint32_t *kit_rsp_event(const struct kit *kit)
{
    return &sring(kit)->rsp_event;
}

static void encode_64(uint8_t *slot, const struct kit_request *r)
{
    if (r->op == BLKIF_OP_DISCARD) {
        blkif_request_discard_t *d = (blkif_request_discard_t *)(void *)slot;
        d->operation = r->op;
        d->flag = r->flag;
        d->handle = r->handle;
        d->id = r->id;
        d->sector_number = r->sector;
        d->nr_sectors = r->discard_sectors;
    } else if (r->op == BLKIF_OP_INDIRECT) {
        blkif_request_indirect_t *i = (blkif_request_indirect_t *)(void *)slot;
        i->operation = r->op;
        i->indirect_op = r->indirect_op;
        i->nr_segments = r->indirect_nseg;
        i->id = r->id;
        i->sector_number = r->sector;
        i->handle = r->handle;
        memcpy(i->indirect_grefs, r->indirect_refs, sizeof(i->indirect_grefs));
    } else {
        blkif_request_t *q = (blkif_request_t *)(void *)slot;
        q->operation = r->op;
        q->nr_segments = r->nseg;
        q->handle = r->handle;
        q->id = r->id;
        q->sector_number = r->sector;
        for (int i = 0; i < 11; i++) {
            q->seg[i].gref = r->segments[i].ref;
            q->seg[i].first_sect = r->segments[i].first;
            q->seg[i].last_sect = r->segments[i].last;
        }
    }
}

static uint8_t *put(uint8_t *at, const void *value, size_t bytes)
{
    memcpy(at, value, bytes);
    return at + bytes;
}

static void encode_32(uint8_t *at, const struct kit_request *r)
{
    at = put(at, &r->op, 1);
    if (r->op == BLKIF_OP_DISCARD) {
        at = put(at, &r->flag, 1);
        at = put(at, &r->handle, 2);
        at = put(at, &r->id, 8);
        at = put(at, &r->sector, 8);
        put(at, &r->discard_sectors, 8);
    } else if (r->op == BLKIF_OP_INDIRECT) {
        at = put(at, &r->indirect_op, 1);
        at = put(at, &r->indirect_nseg, 2);
        at = put(at, &r->id, 8);
        at = put(at, &r->sector, 8);
        at = put(at, &r->handle, 2);
        put(at + 2, r->indirect_refs, 32);
    } else {
        at = put(at, &r->nseg, 1);
        at = put(at, &r->handle, 2);
        at = put(at, &r->id, 8);
        at = put(at, &r->sector, 8);
        for (int i = 0; i < 11; i++, at += 2) {
            at = put(at, &r->segments[i].ref, 4);
            at = put(at, &r->segments[i].first, 1);
            at = put(at, &r->segments[i].last, 1);
        }
    }
}

void kit_encode(const struct kit *kit, uint32_t index, const struct kit_request *request)
{
    uint8_t *slot = kit_slot(kit, index);

    memset(slot, 0xa5, kit->abi == RING_X86_64 ? 112 : 108);
    if (kit->abi == RING_X86_64)
        encode_64(slot, request);
    else
        encode_32(slot, request);
}

void kit_put(struct kit *kit, const struct kit_request *request)
{
    kit_encode(kit, *kit_req_prod(kit), request);
    ++*kit_req_prod(kit);
}
