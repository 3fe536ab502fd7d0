// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pump: rings of a guest with a rate, on a real I/O thread and volume.  Time is real: a rate may never
 * be exceeded at any moment, and what is late fails only by a wide margin.
 */
#include "unit.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>
#include "fake_hv.h"
#include "pumpkit.h"
#include "util.h"

#define QUEUES  2u
#define SLOTS   32u
#define DATA    8u /* the first data page; queue i's ring is page i */
#define LATE_MS KIT_LATE_MS
#define LONG_US 100000u /* of looking: also where others want the processor */

static struct pumpkit pk;
static struct front fronts[QUEUES];
static uint64_t began;
static struct limit_rates rates;

static uint64_t since_ms(uint64_t start)
{
    return (clock_ns() - start) / 1000000;
}

static void begin(uint64_t iops, uint64_t bandwidth)
{
    rates = (struct limit_rates){.iops = iops, .bandwidth = bandwidth};
    pumpkit_open(&pk, &(struct rig_config){.bytes = 1u << 20, .extents = 1, .seed = 1}, &rates);
    began = clock_ns();
    for (uint32_t i = 0; i < QUEUES; i++) {
        front_open(&pk, &fronts[i], i, i, 1);
        CU_ASSERT_EQUAL(fronts[i].kit.ring.slots, SLOTS);
    }
}

static void there_remove(void *arg)
{
    (void)arg;
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID), 0);
}

static void end(void)
{
    uint64_t start = clock_ns();

    for (uint32_t i = 0; i < QUEUES; i++)
        front_close(&pk, &fronts[i], false);
    CU_ASSERT_FATAL(front_closed(&fronts[0]) && front_closed(&fronts[1]));
    CU_ASSERT(since_ms(start) < 500);
    CU_ASSERT(!fronts[0].deaths && !fronts[1].deaths);
    pumpkit_there(&pk, there_remove, NULL);
    pumpkit_close(&pk);
}

/* `n` reads of so many segments of so many sectors; one event. */
static void ask(struct front *front, uint32_t n, uint8_t segments, uint8_t sectors)
{
    struct kit_request read = {.op = RING_OP_READ, .nseg = segments};

    for (uint32_t i = 0; i < segments; i++)
        read.segments[i] = (struct kit_segment){DATA + i, 0, (uint8_t)(sectors - 1)};
    for (uint32_t i = 0; i < n; i++)
        front_put(front, read);
    front_ask(front);
}

static void check_rate(uint64_t request_bytes)
{
    uint64_t n = front_answered(&fronts[0]) + front_answered(&fronts[1]);
    double elapsed = (double)(clock_ns() - began) / 1e9;

    if (rates.iops)
        CU_ASSERT((double)n <= (elapsed + 0.1) * (double)rates.iops || n == 1);
    if (rates.bandwidth)
        CU_ASSERT((double)((n ? n - 1 : 0) * request_bytes) <=
                  (elapsed + 0.1) * (double)rates.bandwidth);
}

/* Until everything is answered, and never faster than allowed. */
static void await(uint64_t request_bytes)
{
    uint64_t start = clock_ns();

    while (front_answered(&fronts[0]) < fronts[0].asked ||
           front_answered(&fronts[1]) < fronts[1].asked) {
        check_rate(request_bytes);
        unit_sleep(1);
        if (since_ms(start) > LATE_MS) {
            CU_FAIL("requests are left in the ring");
            return;
        }
    }
    check_rate(request_bytes);
}

static void unlimited(void)
{
    begin(0, 0);
    for (uint32_t i = 0; i < 50; i++) {
        ask(&fronts[i % 2], SLOTS, 1, 8);
        await(4096);
    }
    CU_ASSERT_EQUAL(limit_throttled(pk.limit), 0);
    end();
}

/* One event for all: nothing but the timer brings the rest. */
static void all_without_another_event(void)
{
    begin(200, 0);
    ask(&fronts[0], SLOTS, 1, 8);
    await(4096);
    CU_ASSERT(since_ms(began) >= 1000 * (SLOTS - 20) / 200);
    CU_ASSERT(limit_throttled(pk.limit) > 0);
    end();
}

static void shared_by_rings(void)
{
    begin(200, 0);
    ask(&fronts[0], SLOTS, 1, 8);
    ask(&fronts[1], SLOTS, 1, 8);
    await(4096);
    end();
}

static void bytes_limited(void)
{
    begin(0, 4000000);
    ask(&fronts[0], SLOTS, 11, 8);
    await(11 * 4096);
    CU_ASSERT(since_ms(began) >= ((SLOTS - 1) * 11 * 4096 - 400000) / 4000);
    end();
}

/* What is taken is answered, what is not stays with the guest; closing waits for neither. */
static void accepted_is_answered(void)
{
    begin(1, 0);
    ask(&fronts[0], 5, 1, 8);
    while (!front_answered(&fronts[0]) && since_ms(began) < LATE_MS)
        unit_sleep(1);
    CU_ASSERT(since_ms(began) < 900);
    CU_ASSERT_EQUAL(front_answered(&fronts[0]), 1);
    end();
    CU_ASSERT(front_answered(&fronts[0]) < 5);
}

static void there_probe(void *arg)
{
    (void)arg;
    CU_ASSERT(queue_probe(fronts[0].queue));
}

/* Events at a throttled ring are not even asked about, and its port is not masked for ever. */
static void events_meanwhile(void)
{
    begin(20, 0);
    ask(&fronts[0], 8, 1, 8);
    uint64_t start = clock_ns();
    while (front_answered(&fronts[0]) < 8 && since_ms(start) < LATE_MS) {
        pumpkit_there(&pk, there_probe, NULL); /* which unmasks it */
        fake_hv_kick(0);
        usleep(200);
    }
    CU_ASSERT_EQUAL(front_answered(&fronts[0]), 8);
    CU_ASSERT(limit_throttled(pk.limit) <= 12);
    start = clock_ns();
    while (fake_hv_masked(0) && since_ms(start) < LATE_MS)
        unit_sleep(1);
    CU_ASSERT(!fake_hv_masked(0));
    ask(&fronts[0], 1, 1, 8);
    await(4096);
    end();
}

/* Only what is moved is paid for, also when the header allowed for more. */
static void indirect_is_refunded(void)
{
    struct kit_request read = {.op = RING_OP_INDIRECT, .indirect_nseg = 16, .indirect_refs = {4}};
    struct kit_segment *segments = (struct kit_segment *)(void *)fake_hv_page(
        read.indirect_refs[0]);

    begin(0, 100000);
    for (uint32_t i = 0; i < 16; i++) /* one sector of each page */
        segments[i] = (struct kit_segment){DATA, 0, 0};
    front_put(&fronts[0], read);
    front_ask(&fronts[0]);
    await(16 * 512);
    CU_ASSERT_EQUAL(limit_take(pk.limit), 0);
    limit_spend(pk.limit, 100000);
    CU_ASSERT_NOT_EQUAL(limit_take(pk.limit), 0);
    end();
}

/* Refused requests and flushes count, but have no bytes. */
static void without_bytes(void)
{
    struct kit_request flush = {.op = RING_OP_FLUSH};

    begin(0, 1);
    for (uint32_t i = 0; i < SLOTS; i++)
        front_put(&fronts[0], flush);
    ask(&fronts[0], 0, 0, 0);
    ask(&fronts[1], SLOTS, 11, 9); /* nine sectors a page */
    await(0);
    CU_ASSERT_EQUAL(limit_throttled(pk.limit), 0);
    end();
}

/* What RING_PUSH_REQUESTS_AND_CHECK_NOTIFY of ring.h tells a frontend, after one request. */
static bool event_wanted(struct front *front)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return front->asked - __atomic_load_n(kit_req_event(&front->kit), __ATOMIC_RELAXED) < 1;
}

/* One request, 50 us after the last answer, as a guest would; true: it was seen without an event. */
static bool seen_without_event(struct front *front)
{
    uint64_t start = clock_ns();

    while (clock_ns() - start < 50000)
        ;
    front_put(front,
              (struct kit_request){.op = RING_OP_READ, .nseg = 1, .segments = {{DATA, 0, 7}}});
    front_publish(front);
    bool wanted = event_wanted(front);
    if (wanted)
        front_ask(front);
    start = clock_ns();
    while (front_answered(front) < front->asked && since_ms(start) < LATE_MS)
        sched_yield();
    CU_ASSERT_EQUAL_FATAL(front_answered(front), front->asked);
    return !wanted;
}

/* A ring whose thread may look at it needs no events of a guest that asks soon again; else it does. */
static void one_at_a_time(void)
{
    for (uint32_t poll = 0; poll <= LONG_US; poll += LONG_US) {
        uint32_t rounds = 0, without = 0;

        rates = (struct limit_rates){.iops = 0};
        pumpkit_open(&pk,
                     &(struct rig_config){.bytes = 1u << 20, .extents = 1, .seed = 1, .poll = poll},
                     NULL);
        for (uint32_t i = 0; i < QUEUES; i++)
            front_open(&pk, &fronts[i], i, i, 1);
        uint64_t start = clock_ns();
        while (poll ? without < 20 && since_ms(start) < LATE_MS : rounds < 200) {
            without += seen_without_event(&fronts[0]);
            rounds++;
        }
        CU_ASSERT(poll ? without == 20 : without < 100);
        end();
    }
}

int suite_pump(void)
{
    static const struct unit_case cases[] = {
        {"unlimited", unlimited},
        {"one at a time", one_at_a_time},
        {"a rate, without another event", all_without_another_event},
        {"two rings share it", shared_by_rings},
        {"bytes", bytes_limited},
        {"accepted is answered, closing is prompt", accepted_is_answered},
        {"events meanwhile", events_meanwhile},
        {"indirect requests are refunded", indirect_is_refunded},
        {"requests without bytes", without_bytes},
    };

    return UNIT_SUITE("pump", cases);
}
