// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limit: each bucket is one number, the time by which all that was taken will have been earned (GCRA's
 * theoretical arrival time).  Taking moves it on by the price; it never lies before now, so what is
 * not used is not saved up beyond the burst, which is how far it may lie ahead.
 *
 * A wait is told a millisecond too long, since a timer that counts whole ones may fire that much early
 * and its owner would have to ask twice.  What that loses is made up from the burst.
 *
 * Prices are whole ns, rounded up: rates above some 10^7 requests or 10^11 bytes a second are kept
 * a little low.  A price is 36 years at most and a debt 73, so that no rate overflows.
 * Deliberately absent: who comes next.  Doors that wait are told the same time and race for it.
 */
#include "limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include "util.h"

#define SECOND     1000000000u
#define BURST      (SECOND / 10)
#define MS         1000000u
#define PRICE_MOST ((uint64_t)1 << 60)
#define DEBT_MOST  ((uint64_t)1 << 61)

struct limit {
    struct limit_rates rates;
    uint64_t price, ahead; /* ns: of one request; requests may lie ahead when one more is taken */
    uint64_t (*now)(void);
    _Atomic uint64_t requests, bytes; /* ns, on now()'s clock */
    _Atomic uint64_t throttled;
};

static uint64_t price_of(uint64_t amount, uint64_t rate, bool up)
{
    unsigned __int128 ns = ((unsigned __int128)amount * SECOND + (up ? rate - 1 : 0)) / rate;

    return ns < PRICE_MOST ? (uint64_t)ns : PRICE_MOST;
}

static uint64_t later(uint64_t earned, uint64_t now, uint64_t price)
{
    return min_u64(earned > now ? earned : now, now + DEBT_MOST - price) + price;
}

int limit_open_on(struct limit **out, const struct limit_rates *rates, uint64_t (*now)(void))
{
    struct limit *limit = calloc(1, sizeof(*limit));

    if (!limit)
        return -ENOMEM;
    limit->rates = *rates;
    limit->now = now;
    limit->price = rates->iops ? price_of(1, rates->iops, true) : 0;
    limit->ahead = limit->price < BURST ? BURST - limit->price : 0;
    *out = limit;
    return 0;
}

int limit_open(struct limit **out, const struct limit_rates *rates)
{
    return limit_open_on(out, rates, clock_ns);
}

void limit_close(struct limit *limit)
{
    free(limit);
}

/* 0, or the ns until the bytes are no more than a burst ahead. */
static uint64_t limit_bytes(const struct limit *limit, uint64_t now)
{
    uint64_t earned = atomic_load_explicit(&limit->bytes, memory_order_relaxed);

    return earned >= now + BURST ? earned - now - BURST + 1 : 0;
}

/* 0: one was taken; or the ns until there is one. */
static uint64_t limit_request(struct limit *limit, uint64_t now)
{
    uint64_t earned = atomic_load_explicit(&limit->requests, memory_order_relaxed);

    do {
        if (earned > now + limit->ahead)
            return earned - now - limit->ahead;
    } while (!atomic_compare_exchange_weak_explicit(&limit->requests, &earned,
                                                    later(earned, now, limit->price),
                                                    memory_order_relaxed, memory_order_relaxed));
    return 0;
}

uint32_t limit_take(struct limit *limit)
{
    uint64_t wait = 0;

    if (!limit->rates.iops && !limit->rates.bandwidth)
        return 0;
    uint64_t now = limit->now();
    if (limit->rates.bandwidth)
        wait = limit_bytes(limit, now);
    if (!wait && limit->rates.iops)
        wait = limit_request(limit, now);
    if (!wait)
        return 0;
    atomic_fetch_add_explicit(&limit->throttled, 1, memory_order_relaxed);
    return (uint32_t)min_u64((wait + MS - 1) / MS + 1, UINT32_MAX);
}

void limit_spend(struct limit *limit, uint64_t bytes)
{
    if (!limit->rates.bandwidth || !bytes)
        return;
    uint64_t now = limit->now();
    uint64_t price = price_of(bytes, limit->rates.bandwidth, true);
    uint64_t earned = atomic_load_explicit(&limit->bytes, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&limit->bytes, &earned, later(earned, now, price),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void limit_refund(struct limit *limit, uint64_t bytes)
{
    if (!limit->rates.bandwidth)
        return;
    uint64_t price = price_of(bytes, limit->rates.bandwidth, false);
    atomic_fetch_sub_explicit(&limit->bytes, price, memory_order_relaxed);
}

uint64_t limit_throttled(const struct limit *limit)
{
    return atomic_load_explicit(&limit->throttled, memory_order_relaxed);
}
