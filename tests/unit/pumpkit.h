/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pumpkit: a pump of one real I/O thread over a rig, with rings on fake_hv whose frontends are the test.
 * Unlike doors it checks nothing by itself: each request, page and answer is the test's own.
 */
#ifndef UNIT_PUMPKIT_H
#define UNIT_PUMPKIT_H

#include <stdatomic.h>
#include "limit.h"
#include "pump.h"
#include "rig.h"
#include "ringkit.h"

#define KIT_DOMID   7u
#define KIT_LATE_MS 10000u

struct front {
    struct kit kit;
    uint32_t port;
    struct queue *queue;
    uint32_t asked;
    _Atomic uint32_t deaths, closings; /* how often it was told */
};

struct pumpkit {
    struct rig rig;
    struct limit *limit;
    struct pump *pump;
};

/* One lane; a handle for KIT_DOMID.  `rates`: NULL for none. */
void pumpkit_open(struct pumpkit *pk, const struct rig_config *config,
                  const struct limit_rates *rates);
/* All rings are closed already. */
void pumpkit_close(struct pumpkit *pk);
/* Runs on the pump's thread. */
void pumpkit_there(struct pumpkit *pk, void (*fn)(void *arg), void *arg);

/* What a ring of that port on fake_hv's pages from `page` on is opened with. */
struct queue_config front_config(struct pumpkit *pk, struct front *front, uint32_t port,
                                 uint32_t page, uint32_t pages);
void front_open(struct pumpkit *pk, struct front *front, uint32_t port, uint32_t page,
                uint32_t pages);
/* Only asks for it. */
void front_close(struct pumpkit *pk, struct front *front, bool force);
/* True once the ring is closed, in time. */
bool front_closed(const struct front *front);

/* Encodes a request, whose id becomes how many were before; returns that. */
uint32_t front_put(struct front *front, struct kit_request request);
/* Lets the backend see them; and notifies it. */
void front_publish(struct front *front);
void front_ask(struct front *front);
uint32_t front_answered(const struct front *front);
/* True once there are `n` answers, in time. */
bool front_await(const struct front *front, uint32_t n);
/* What the last answer to `id` says, or 1: there is none. */
int front_status(const struct front *front, uint64_t id);

/* Runs once before the next ring_arm, on the pump's thread: as a guest that asks at that moment.  Works
 * when the binary is linked with -Wl,--wrap=ring_arm. */
void pumpkit_before_arm(void (*fn)(void *arg), void *arg);

#endif
