/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring_load: a load on the rings of one or more guests, and what came of it.  ring_load.c has the
 * command line and the measuring, ring_queue.c the queues, each on a thread of its own.
 */
#ifndef BENCH_RING_LOAD_H
#define BENCH_RING_LOAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "front.h"

#define LOAD_SLOTS 512u /* requests in flight on a queue */

enum load_op { LOAD_READ, LOAD_WRITE, LOAD_MIXED };
enum load_phase { LOAD_WARM, LOAD_MEASURED, LOAD_OVER };

struct load {
    enum load_op op;
    bool sequential;
    bool once; /* each piece of the span one time, then the end */
    uint64_t bytes, span;
    _Atomic int phase; /* enum load_phase; the main thread's to write */
};

/* Latencies in ns, in so many parts of each power of two: a percentile is at most 3 % too low. */
#define HISTOGRAM_PARTS   32u
#define HISTOGRAM_CLASSES (61u * HISTOGRAM_PARTS)

struct histogram {
    uint64_t count[HISTOGRAM_CLASSES];
};

/* One queue under load; its thread's own but for `done`, which anybody may read. */
struct load_queue {
    struct queue *queue;
    struct load *load;
    uint64_t first, pieces; /* its share of the span */
    uint64_t next, random, taken, flying;
    _Atomic uint64_t done;
    uint64_t began[LOAD_SLOTS]; /* ns, by request */
    struct histogram histogram; /* of the measured phase */
    bool failed;
    pthread_t thread;
};

uint64_t load_now(void); /* ns, monotonic */

/* A thread's main function: keeps the queue's requests in flight until the phase is LOAD_OVER or, of a
 * load that is `once`, its share is done; then waits for what is under way.  Says on stderr what failed. */
void *load_queue_run(void *load_queue);

/* The latency in ns that `per_mille` of them do not exceed; 0 of none. */
uint64_t histogram_at(const struct histogram *histogram, double per_mille);
void histogram_merge(struct histogram *into, const struct histogram *from);

#endif
