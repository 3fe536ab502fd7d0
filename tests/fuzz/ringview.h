/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ringview: a blkif ring read a second time, naively and by structs, to hold ring.c against.  x86_64
 * as <xen/io/blkif.h> has it; x86_32 as packed structs of its own, since there it has no padding.
 * The limits are stated from the protocol, with 128-bit arithmetic instead of care.
 */
#ifndef FUZZ_RINGVIEW_H
#define FUZZ_RINGVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ring.h"

enum { VIEW_REQ_PROD, VIEW_REQ_EVENT, VIEW_RSP_PROD, VIEW_RSP_EVENT };

struct view {
    uint8_t *page;
    uint32_t pages;
    bool x86_32;
};

struct view_ask {
    uint8_t op, indirect_op;
    uint16_t nseg;
    uint64_t id, sector, discard;
    uint32_t ref;
    struct {
        uint32_t ref;
        uint8_t first, last;
    } segments[RING_MAX_INDIRECT];
};

uint32_t view_word(const struct view *view, uint32_t which);
void view_put_word(struct view *view, uint32_t which, uint32_t value);
size_t view_slot_bytes(const struct view *view);
uint32_t view_slots(const struct view *view);

/* Requests published and not taken; -1 when the indices cannot be: more claimed than there is room
 * for beside what is not answered, or less than has been taken. */
int64_t view_waiting(const struct view *view, uint32_t cons, uint32_t rsp);

/* The request in slot `index`, with its own segments. */
void view_read(const struct view *view, uint32_t index, struct view_ask *ask);
/* Those of a descriptor page. */
void view_segments(struct view_ask *ask, const uint8_t *bytes);

/* 0, -1 or -2. */
int view_judge_header(const struct view_ask *ask, const struct ring_limits *limits);
int view_judge_segments(const struct view_ask *ask, const struct ring_limits *limits,
                        uint64_t *sectors);

void view_respond(struct view *view, uint32_t index, uint64_t id, uint8_t op, int16_t status);

#endif
