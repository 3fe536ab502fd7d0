/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * caller: a client of one door, with several requests in flight: the frontend of a ring
 * (caller_ring.c) or an NBD client (caller_nbd.c).  Everything of one caller is done by one thread.
 */
#ifndef UNIT_CALLER_H
#define UNIT_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ring.h"

#define CALLER_DEPTH   12u
#define CALLER_WAIT_MS 90000u

enum ask_op { ASK_READ, ASK_WRITE, ASK_DISCARD, ASK_FLUSH, ASK_ZERO };

/* One request; alive until it is reaped. */
struct ask {
    enum ask_op op;
    uint32_t first, count; /* sectors */
    uint8_t *data;         /* of a write: what; of a read: where to */
    int error;             /* the answer */
    bool lost;             /* there was none, and there will be none; it has ended */
    uint32_t choice;       /* random: how it is asked */
    uint32_t known;        /* sectors the volume was known to have when it was sent */
};

struct caller;

struct caller_ops {
    /* False: there is no room for one like this now. */
    bool (*send)(struct caller *caller, struct ask *ask);
    /* Waits for the next that has ended; there must be one in flight. */
    struct ask *(*reap)(struct caller *caller);
    /* Goes away and comes back; what is in flight is reaped all the same.  May be NULL. */
    void (*leave)(struct caller *caller, uint32_t choice);
    void (*close)(struct caller *caller);
};

struct caller {
    const struct caller_ops *ops;
    uint32_t most;     /* sectors of its largest request */
    uint32_t in_parts; /* a request of more sectors may be carried out in parts */
    bool zeroes;       /* knows ASK_ZERO */
    bool breakable;    /* its connection may break when a request fails */
    uint32_t flying;
    uint32_t wrong; /* answers that break the protocol */
    uint32_t losses;
    uint32_t meetings; /* how often it was told a size when it connected */
    uint64_t bytes;    /* the last it was told */
};

struct caller_ring_config {
    uint32_t port, first_page, pages; /* of the ring; its data pages follow */
    enum ring_abi abi;
};

/* How many pages of fake_hv one takes. */
uint32_t caller_ring_pages(uint32_t ring_pages);
/* Before the queue is opened: empties the ring. */
struct caller *caller_ring_open(const struct caller_ring_config *config);

/* `address`: of a unix socket, with its length.  Connects and negotiates. */
struct caller *caller_nbd_open(const void *address, uint32_t length, bool structured);

#endif
