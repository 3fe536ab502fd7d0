/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pump: the ring work of one I/O thread: its event-channel handles, the queues (rings) bound to
 * them, and the batches in which grant copies go out.  One pump a lane; everything on the lane's
 * thread but pump_open and pump_close.
 */
#ifndef EPHEM_PUMP_H
#define EPHEM_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include "hv.h"
#include "limit.h"
#include "ring.h"
#include "util.h"
#include "volume.h"

struct pump;
struct queue;
struct request;

/* One ring of one door.  Owner: its pump, from queue_open to closed(). */
struct queue_config {
    struct volume *volume;
    uint32_t domid;
    uint32_t port; /* the frontend's */
    uint32_t pages;
    uint32_t refs[RING_MAX_PAGES];
    enum ring_abi abi;
    struct ring_limits limits;
    /* On the pump's thread, at most once each: the ring was broken; nothing of it is left. */
    void (*dead)(void *arg, const char *why);
    void (*closed)(void *arg);
    void *arg;
};

/* `limit` is asked before each request is taken from its ring.  0 or -ENOMEM. */
int pump_open(struct pump **out, struct lane *lane, struct hv *hv, struct limit *limit);
void pump_close(struct pump *pump);

/* A restricted handle's descriptor, the pump's in any case.  -EEXIST, -ENOMEM, errno. */
int pump_events_add(struct pump *pump, uint32_t domid, int fd);
/* -EBUSY while a queue of the domain is bound. */
int pump_events_remove(struct pump *pump, uint32_t domid);

/*
 * Maps the ring, binds the port and starts serving.  0; -ENOTCONN without a handle for the domain;
 * -ENXIO when the ring cannot be mapped; else the bind's errno.  Nothing stays behind on failure.
 */
int queue_open(struct queue **out, struct pump *pump, const struct queue_config *config);

/*
 * Stops fetching, drops what is held, waits for what is in flight, unmaps and unbinds; then calls
 * closed() and the queue is gone.  `force`: the guest's pages are let go of at once, even if the
 * disk hangs.
 */
void queue_close(struct queue *queue, bool force);

/*
 * For a worker without a daemon: false when the domain is gone.  Unbinds and binds the port anew,
 * which only a living frontend's port allows, and looks at the ring in case an event got lost.
 */
bool queue_probe(struct queue *queue);

#endif
