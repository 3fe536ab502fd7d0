/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * front: one frontend of the life-cycle target: its ring and pages, the requests it has under way, and
 * what it must and must not get for them.
 *
 * It watches the production queue from beside: before each turn it notes what the ring says, after it
 * what was fetched and answered.  Requests are told apart by their ids, which it makes unique in the
 * ring just before a turn, whoever wrote them.  A ring that was written over ends the oracle (`wild`),
 * not the run.
 */
#ifndef FUZZ_FRONT_H
#define FUZZ_FRONT_H

#include "pump.h"
#include "request.h"
#include "ringview.h"
#include "world.h"

#define FRONT_PLACES 4u
#define FRONT_PAGES  64u /* of fake_hv, each: ring, places, descriptors, sinks */
#define FRONT_DATA   8u  /* pages of a place, behind one for descriptors */
#define FRONT_PLACE  2u
#define FRONT_LISTS  (FRONT_PLACE + FRONT_PLACES * (FRONT_DATA + 1))
#define FRONT_SINKS  (FRONT_LISTS + 2u)
#define FRONT_SLOTS  64u /* of the largest ring */

struct front_ask {
    uint64_t id;   /* 0: none */
    bool accepted; /* it is to be carried out; else `verdict` is the answer */
    bool risky;    /* a page of it may not be there: either is right */
    bool honest;   /* of a place: its pages are its own, and nobody else's */
    bool begun;    /* in the model */
    int verdict;
    uint32_t first, count; /* sectors it may touch */
    uint64_t mark;
    uint64_t hash[FRONT_DATA * 8];
    struct view_ask ask;
};

struct front {
    struct world *world;
    struct pump *pump;
    struct queue *queue; /* NULL: closed */
    struct view view;
    uint32_t port, page; /* the first of FRONT_PAGES */
    uint32_t cons, rsp;  /* seen fetched, seen answered */
    uint64_t last_id;
    uint32_t busy; /* places, as bits */
    bool lied;     /* about indices */
    bool wild;     /* the oracle is off */
    bool revoked;  /* some page, at some time */
    bool dead, closed, closing;
    uint32_t npending;
    struct front_ask pending[FRONT_SLOTS]; /* from `cons` on, as they stood before the turn */
    struct front_ask flying[FRONT_SLOTS];
};

/* `front` is zeroed, or was closed. */
void front_open(struct front *front, struct world *world, struct pump *pump, uint32_t index,
                uint8_t shape);
void front_close(struct front *front, bool force);
/* Around a turn; then, when all fronts' new requests are known, the answers. */
void front_before(struct front *front);
void front_after(struct front *front);
void front_hear(struct front *front);
/* Whether everything asked has been answered, or never will be. */
bool front_rests(const struct front *front);

/* front_step.c: one step of the guest's. */
void front_step(struct front *front, struct fuzz_input *in);
void front_kick(struct front *front);

#endif
