/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rates: what guests did between two status answers, for `ephemctl top`.  Pure.
 */
#ifndef EPHEM_RATES_H
#define EPHEM_RATES_H

#include <jansson.h>

/*
 * An array, the busiest first, one object a guest with a worker: domid, name, life, and per second
 * read_bytes, write_bytes, requests (null when the guest was not in `before`), held, throttled (per
 * second as well), latency and latency_99 (microseconds: the mean of reads and writes, and what 99 of 100 stay
 * below, as exact as the classes of status; 0 without any, null as above; latency_99 also when it is beyond them), ram (resident), pool (taken) and left (null when nobody knows).  `before` may be NULL.
 * A volume that came or went in between counts for what is in both.
 */
json_t *rates_between(const json_t *before, const json_t *now, double seconds);

#endif
