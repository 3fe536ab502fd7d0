/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request: one blkif request from ring to response, and the parts of pump and queue it works on.
 * Private to pump.c and queue.c (who decide when) and request.c (who does it); all on the pump's thread.
 */
#ifndef EPHEM_REQUEST_H
#define EPHEM_REQUEST_H

#include "arena.h"
#include "iothread.h"
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
    struct list quiet; /* pump: found empty, and not armed yet */
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
    uint32_t flying; /* requests in flight */
    uint32_t depth;  /* of them, when the last one was taken */
    struct loop_timer unmask, resume;
    struct request *parked; /* waits for a buffer */
    struct arena_waiter room;
    struct list flight;
};

/* One restricted event-channel handle. */
struct pump_events {
    struct list link;
    struct pump *pump;
    uint32_t domid;
    struct hv_events *events;
    struct loop_source source;
};

struct pump {
    struct lane *lane;
    struct hv *hv;
    struct limit *limit;
    struct iothread_hook hook;
    struct list events, queues, ready, starving, quiet;
    struct list idle, fresh, done; /* requests */
    uint32_t requests;
    uint32_t ncopies;
    struct hv_copy copies[PUMP_COPIES];
    struct request *owners[PUMP_COPIES]; /* of each copy */
};

/* The domain's handle, or NULL. */
struct pump_events *pump_events_find(const struct pump *pump, uint32_t domid);

/* Puts it into pump->ready, if it may be served now. */
void queue_schedule(struct queue *queue);

/* One out of pump->ready: takes a bounded number of requests; one that is empty then goes to pump->quiet. */
void queue_serve(struct queue *queue);

/* One of pump->quiet: is there something in it?  Then it goes to pump->ready. */
enum iothread_sight queue_look(struct queue *queue);

/* The same, before a sleep: it leaves pump->quiet, to be woken by an event, or for pump->ready. */
void queue_rest(struct queue *queue);

/* One that closes, and has nothing in flight any more; it is gone then. */
void queue_finish(struct queue *queue);

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
