/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit: how much a guest may ask for a second, over all its disks and doors.  Two token buckets,
 * requests and bytes, each as large as a tenth of a second's worth.  Any thread; no lock.
 *
 * A door asks limit_wait before it takes a request on, and says limit_spend once it knows its
 * length.  A bucket may be overdrawn by one request, which the next pays for.
 */
#ifndef EPHEM_LIMIT_H
#define EPHEM_LIMIT_H

#include <stdint.h>

struct limit;

/* 0: no limit. */
struct limit_rates {
    uint64_t iops;      /* requests a second */
    uint64_t bandwidth; /* bytes a second */
};

/* 0 or -ENOMEM. */
int limit_open(struct limit **out, const struct limit_rates *rates);
void limit_close(struct limit *limit);

/* Milliseconds to wait before the next request; 0: it may come now. */
uint32_t limit_wait(struct limit *limit);

/* One request of so many bytes was taken on. */
void limit_spend(struct limit *limit, uint64_t bytes);

/* How often somebody had to wait. */
uint64_t limit_throttled(const struct limit *limit);

#endif
