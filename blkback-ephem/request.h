/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request: one blkif request from ring to response, and the parts of pump and queue it works on.
 * Private to pump.c (who decides when) and request.c (who does it); all on the pump's thread.
 */
#ifndef EPHEM_REQUEST_H
#define EPHEM_REQUEST_H

#include "arena.h"
#include "loop.h"
#include "pump.h"

#define PUMP_COPIES   512u /* grant copies a batch */
#define PUMP_REQUESTS 512u /* requests a thread */

struct request {
    struct list link;   /* pump: idle, fresh or done */
    struct list flight; /* queue: in flight, from fetch to response */
    struct queue *queue;
    struct vio io;
    uint32_t pages; /* of io.buf */
    bool copied;    /* every grant copy so far succeeded */
    enum ring_status status;
    struct ring_request ask;
    uint8_t descriptors[RING_MAX_INDIRECT * 8];
};

enum queue_state { QUEUE_LIVE, QUEUE_DEAD, QUEUE_CLOSING };

struct queue {
    struct list link;  /* pump: all queues */
    struct list ready; /* pump: to be served, or starving */
    struct queue_config config;
    struct pump *pump;
    struct hv_events *events;
    enum queue_state state;
    void *map; /* NULL: taken away, responses are dropped */
    struct ring ring;
    int port;
    bool owes_unmask;
    bool answered;  /* responses to push */
    bool found;     /* a request, since the last rest */
    bool granted;   /* by the limit: a request not yet taken */
    bool throttled; /* left alone until `resume` */
    uint32_t idle_wakes;
    struct loop_timer unmask, resume;
    struct request *parked; /* waits for a buffer */
    struct arena_waiter room;
    struct list flight;
};

struct pump {
    struct lane *lane;
    struct hv *hv;
    struct limit *limit;
    struct iothread_hook hook;
    struct list events, queues, ready, starving;
    struct list idle, fresh, done; /* requests */
    uint32_t requests;
    uint32_t ncopies;
    struct hv_copy copies[PUMP_COPIES];
    struct request *owners[PUMP_COPIES]; /* of each copy */
};

/* A blank request of the queue, in flight, or NULL: PUMP_REQUESTS are busy or no memory. */
struct request *request_new(struct queue *queue);

/* Forgets it without a response. */
void request_drop(struct request *request);

/*
 * After ring_fetch: judges the header and gets a buffer.  False: no room now; to be called again.
 * True: it is in pump->fresh, and the limit is paid for it.
 */
bool request_begin(struct request *request);

/* Takes all fresh requests on: descriptors, segments, data of writes, submission. */
void request_start_all(struct pump *pump);

/* Answers all done requests: data of reads, responses.  True when there were any. */
bool request_finish_all(struct pump *pump);

#endif
