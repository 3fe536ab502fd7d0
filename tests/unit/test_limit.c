// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limit: what is granted in a simulated time, by one thread or four; time passes only when the limit
 * says so, so nothing depends on how fast this machine is.
 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include "limit.h"

#define SECOND  1000000000ull
#define MS      1000000ull
#define THREADS 4
#define LARGEST 65536u

static _Atomic uint64_t clock_ns;
static struct limit *limit;

static uint64_t clock_read(void)
{
    return clock_ns;
}

static void begin(uint64_t iops, uint64_t bandwidth)
{
    const struct limit_rates rates = {.iops = iops, .bandwidth = bandwidth};

    clock_ns = 5 * SECOND;
    CU_ASSERT_EQUAL_FATAL(limit_open_on(&limit, &rates, clock_read), 0);
}

/* Takes as long as there is something to take at this instant. */
static uint32_t take_all(uint32_t most)
{
    uint32_t n = 0;

    while (n < most && !limit_take(limit))
        n++;
    return n;
}

static void burst(void)
{
    begin(500, 0);
    CU_ASSERT_EQUAL(take_all(1000), 50);
    clock_ns += 2 * MS;
    CU_ASSERT_EQUAL(take_all(1000), 1);
    clock_ns += 20 * MS;
    CU_ASSERT_EQUAL(take_all(1000), 10);
    clock_ns += 3600 * SECOND;
    CU_ASSERT_EQUAL(take_all(1000), 50);
    limit_close(limit);
}

static void unlimited(void)
{
    begin(0, 0);
    for (uint32_t i = 0; i < 100000; i++) {
        CU_ASSERT_EQUAL_FATAL(limit_take(limit), 0);
        limit_spend(limit, UINT64_MAX);
        limit_refund(limit, 1);
    }
    CU_ASSERT_EQUAL(limit_throttled(limit), 0);
    limit_close(limit);
}

/* After what it told, the next is granted; each refusal is counted. */
static void waits(void)
{
    static const uint64_t rates[] = {1, 3, 7, 10, 11, 999, 12345, 1000000};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint32_t ms = 0;

        begin(rates[i], 0);
        for (uint32_t n = 0; n < 200; n++) {
            take_all(UINT32_MAX);
            ms = limit_take(limit);
            CU_ASSERT(ms >= 2 && ms <= 1000 / rates[i] + 2);
            clock_ns += (ms - 1) * MS;
            CU_ASSERT_EQUAL(limit_take(limit), 0);
        }
        CU_ASSERT_EQUAL(limit_throttled(limit), 400);
        limit_close(limit);
    }
}

static void one_a_second(void)
{
    begin(1, 0);
    CU_ASSERT_EQUAL(take_all(10), 1);
    clock_ns += SECOND - 1;
    CU_ASSERT_EQUAL(take_all(10), 0);
    clock_ns += 1;
    CU_ASSERT_EQUAL(take_all(10), 1);
    limit_close(limit);
}

/* A third of a second is no whole number of ns. */
static void three_a_second(void)
{
    begin(3, 0);
    CU_ASSERT_EQUAL(take_all(10), 1);
    clock_ns += SECOND / 3;
    CU_ASSERT_EQUAL(take_all(10), 0);
    clock_ns += 1;
    CU_ASSERT_EQUAL(take_all(10), 1);
    limit_close(limit);
}

static void overdrawn_once(void)
{
    begin(0, 1000000);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_spend(limit, 99999);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_spend(limit, 600001); /* 700 ms in all, 100 of which are the burst */
    CU_ASSERT_EQUAL(limit_take(limit), 602);
    clock_ns += 600 * MS;
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    clock_ns += 1;
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    CU_ASSERT_EQUAL(limit_throttled(limit), 2);
    limit_close(limit);
}

static void refunds(void)
{
    begin(0, 1000000);
    limit_spend(limit, 1000000);
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    limit_refund(limit, 950000);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_spend(limit, 60000);
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    limit_close(limit);

    /* What is given back late is not saved up. */
    begin(0, 1000000);
    limit_spend(limit, 1000000);
    clock_ns += 100 * SECOND;
    limit_refund(limit, 1000000);
    limit_spend(limit, 100001);
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    limit_close(limit);
}

static void nothing_without_bytes(void)
{
    begin(0, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(limit_take(limit), 0);
        limit_spend(limit, 0);
    }
    limit_close(limit);
}

static void extremes(void)
{
    begin(UINT64_MAX, 1ull << 63);
    for (uint32_t i = 0; i < 100000; i++) {
        CU_ASSERT_EQUAL_FATAL(limit_take(limit), 0);
        limit_spend(limit, 1u << 20);
    }
    limit_close(limit);

    begin(1, 1);
    clock_ns = 1ull << 61;
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    for (uint32_t i = 0; i < 100; i++) {
        limit_spend(limit, UINT64_MAX);
        CU_ASSERT_EQUAL(limit_take(limit), UINT32_MAX);
    }
    clock_ns += 1ull << 62;
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_close(limit);

    begin(0, UINT64_MAX);
    limit_spend(limit, UINT64_MAX);
    CU_ASSERT_EQUAL(limit_take(limit), 902);
    limit_close(limit);
}

static void real_clock(void)
{
    const struct limit_rates rates = {.iops = 1, .bandwidth = 1};

    CU_ASSERT_EQUAL_FATAL(limit_open(&limit, &rates), 0);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    uint32_t ms = limit_take(limit);
    CU_ASSERT(ms > 1 && ms <= 1001);
    limit_spend(limit, 3600);
    ms = limit_take(limit);
    CU_ASSERT(ms > 3500000 && ms <= 3600000);
    limit_close(limit);
    limit_close(NULL);
}

struct taker {
    pthread_t id;
    uint64_t seed, until, requests, bytes;
};

/* A step is short against the burst, so that nothing is lost by four threads stepping at once. */
static void *taker_run(void *arg)
{
    struct taker *taker = arg;

    while (clock_ns < taker->until) {
        if (limit_take(limit)) {
            clock_ns += MS / 10;
            continue;
        }
        uint32_t bytes = (uint32_t)unit_below(&taker->seed, LARGEST) + 1;
        limit_spend(limit, LARGEST);
        limit_refund(limit, LARGEST - bytes);
        taker->requests++;
        taker->bytes += bytes;
    }
    return NULL;
}

static void run_takers(uint64_t seconds, uint64_t *requests, uint64_t *bytes, double *elapsed)
{
    struct taker takers[THREADS];
    uint64_t start = clock_ns;

    *requests = *bytes = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.seed = i, .until = start + seconds * SECOND};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&takers[i].id, NULL, taker_run, &takers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(takers[i].id, NULL);
        *requests += takers[i].requests;
        *bytes += takers[i].bytes;
    }
    *elapsed = (double)(clock_ns - start) / (double)SECOND;
}

static void four_threads(void)
{
    static const uint64_t rates[] = {100, 500, 20000, 100000};
    uint64_t requests, bytes;
    double elapsed;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        begin(rates[i], 0);
        run_takers(5, &requests, &bytes, &elapsed);
        double worth = (double)rates[i] * elapsed;
        CU_ASSERT((double)requests <= worth + (double)rates[i] / 10 + 0.001);
        CU_ASSERT((double)requests >= worth * 0.99);
        CU_ASSERT(limit_throttled(limit) > 0);
        limit_close(limit);
    }
}

static void four_threads_bytes(void)
{
    static const uint64_t rates[] = {4000000, 20 << 20, 1u << 30};
    uint64_t requests, bytes;
    double elapsed;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        begin(0, rates[i]);
        run_takers(20, &requests, &bytes, &elapsed);
        double worth = (double)rates[i] * elapsed;
        CU_ASSERT((double)bytes <= worth + (double)rates[i] / 10 + THREADS * LARGEST);
        CU_ASSERT((double)bytes >= worth * 0.99);
        limit_close(limit);
    }
}

#define SPENDS 200000u

static void *spender_run(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < SPENDS; i++) {
        limit_spend(limit, 20);
        limit_refund(limit, 5);
    }
    return NULL;
}

/* A byte is a ns: what four threads spend at one instant adds up to the last of them. */
static void nothing_lost(void)
{
    pthread_t ids[THREADS];

    begin(0, SECOND);
    for (uint32_t i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&ids[i], NULL, spender_run, NULL), 0);
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    limit_spend(limit, SECOND / 10 - 1 - THREADS * SPENDS * 15);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_spend(limit, 1);
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    limit_close(limit);
}

/* The stricter of both holds. */
static void both_rates(void)
{
    uint64_t requests, bytes;
    double elapsed;

    begin(1000, 1ull << 40);
    run_takers(5, &requests, &bytes, &elapsed);
    CU_ASSERT((double)requests <= 1000 * elapsed + 100 && (double)requests >= 990 * elapsed);
    limit_close(limit);
    begin(1ull << 40, 10000000);
    run_takers(5, &requests, &bytes, &elapsed);
    CU_ASSERT((double)bytes <= 1e7 * elapsed + 1e6 + THREADS * LARGEST);
    CU_ASSERT((double)bytes >= 0.99e7 * elapsed);
    limit_close(limit);
}

int suite_limit(void)
{
    static const struct unit_case cases[] = {
        {"burst", burst},
        {"unlimited", unlimited},
        {"waits", waits},
        {"one a second", one_a_second},
        {"three a second", three_a_second},
        {"overdrawn by one request", overdrawn_once},
        {"refunds", refunds},
        {"nothing without bytes", nothing_without_bytes},
        {"extreme rates", extremes},
        {"the real clock", real_clock},
        {"four threads", four_threads},
        {"four threads, bytes", four_threads_bytes},
        {"four threads spend", nothing_lost},
        {"both rates", both_rates},
    };

    return UNIT_SUITE("limit", cases);
}
