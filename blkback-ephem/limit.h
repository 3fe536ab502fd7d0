/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit: how much a guest may ask for a second, over all its disks and doors.  Two token buckets,
 * requests and bytes, each as large as a tenth of a second's worth.  Any thread; no lock.
 *
 * A door takes each request from the limit before it takes it from its client (limit_take), and
 * pays for its bytes as soon as it knows a bound for them (limit_spend, limit_refund).  Requests are
 * never exceeded, whoever asks at the same time.  Bytes may be overdrawn by one request of each
 * thread, which the next ones wait for.  Discards, flushes and refused requests have no bytes.
 */
#ifndef EPHEM_LIMIT_H
#define EPHEM_LIMIT_H

#include <stdint.h>

struct limit;

/* 0: no limit. */
struct limit_rates {
    uint64_t iops;      /* requests a second */
    uint64_t bandwidth; /* bytes a second, read and written */
};

/* 0 or -ENOMEM. */
int limit_open(struct limit **out, const struct limit_rates *rates);
void limit_close(struct limit *limit);

/* With a clock of the caller's, in ns, which never goes back: for tests. */
int limit_open_on(struct limit **out, const struct limit_rates *rates, uint64_t (*now)(void));

/* Takes one request: 0.  Else nothing is taken: the milliseconds after which to ask again. */
uint32_t limit_take(struct limit *limit);

/* A request that was taken moves at most so many bytes. */
void limit_spend(struct limit *limit, uint64_t bytes);

/* It moves so many fewer than was spent for it. */
void limit_refund(struct limit *limit, uint64_t bytes);

/* How often limit_take told somebody to wait. */
uint64_t limit_throttled(const struct limit *limit);

#endif
