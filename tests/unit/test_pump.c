// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pump: rings of a guest with a rate, on a real I/O thread and volume.  Time is real: a rate may never
 * be exceeded at any moment, and what is late fails only by a wide margin.
 */
#include "unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "fake_hv.h"
#include "limit.h"
#include "pump.h"
#include "rig.h"
#include "ringkit.h"
#include "util.h"

#define QUEUES  2u
#define SLOTS   32u
#define DATA    8u /* the first data page; queue i's ring is page i */
#define LATE_MS 10000u

static struct rig rig;
static struct limit *limit;
static struct pump *pump;
static struct front {
    struct kit kit;
    struct queue *queue;
    uint32_t asked;
    _Atomic bool dead, closed;
} fronts[QUEUES];
static uint64_t began;
static struct limit_rates rates;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t since_ms(uint64_t start)
{
    return (now_ns() - start) / 1000000;
}

static uint32_t answered(const struct front *front)
{
    return __atomic_load_n(kit_rsp_prod(&front->kit), __ATOMIC_ACQUIRE);
}

static void front_dead(void *arg, const char *why)
{
    (void)why;
    ((struct front *)arg)->dead = true;
}

static void front_closed(void *arg)
{
    ((struct front *)arg)->closed = true;
}

static void there_open(void *arg)
{
    (void)arg;
    CU_ASSERT_EQUAL_FATAL(pump_open(&pump, rig.lanes[0], NULL, limit), 0);
    CU_ASSERT_EQUAL_FATAL(pump_events_add(pump, 7, fake_hv_handle()), 0);
    for (uint32_t i = 0; i < QUEUES; i++) {
        struct queue_config config = {.volume = rig.volume,
                                      .domid = 7,
                                      .port = i,
                                      .pages = 1,
                                      .refs = {i},
                                      .limits = {.sectors = rig.config.bytes / 512},
                                      .dead = front_dead,
                                      .closed = front_closed,
                                      .arg = &fronts[i]};
        CU_ASSERT_EQUAL_FATAL(queue_open(&fronts[i].queue, pump, &config), 0);
    }
}

static void begin(uint64_t iops, uint64_t bandwidth)
{
    rates = (struct limit_rates){.iops = iops, .bandwidth = bandwidth};
    rig_open(&rig, &(struct rig_config){.lanes = 1, .bytes = 1u << 20, .extents = 1, .seed = 1});
    CU_ASSERT_EQUAL_FATAL(limit_open(&limit, &rates), 0);
    fake_hv_reset();
    for (uint32_t i = 0; i < QUEUES; i++) {
        struct kit kit = {.abi = RING_X86_64, .page = fake_hv_page(i)};
        ring_open(&kit.ring, kit.page, 1, kit.abi);
        CU_ASSERT_EQUAL(kit.ring.slots, SLOTS);
        *kit_req_event(&kit) = *kit_rsp_event(&kit) = 1;
        fronts[i] = (struct front){.kit = kit};
    }
    began = now_ns();
    iothread_call(rig.threads[0], there_open, NULL);
}

static void there_close(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < QUEUES; i++)
        queue_close(fronts[i].queue, false);
}

static void there_remove(void *arg)
{
    (void)arg;
    CU_ASSERT_EQUAL(pump_events_remove(pump, 7), 0);
}

static void end(void)
{
    uint64_t start = now_ns();

    iothread_call(rig.threads[0], there_close, NULL);
    while (!(fronts[0].closed && fronts[1].closed) && since_ms(start) < LATE_MS)
        unit_sleep(1);
    CU_ASSERT(since_ms(start) < 500);
    CU_ASSERT_FATAL(fronts[0].closed && fronts[1].closed);
    CU_ASSERT(!fronts[0].dead && !fronts[1].dead);
    iothread_call(rig.threads[0], there_remove, NULL);
    rig_close(&rig);
    pump_close(pump);
    limit_close(limit);
}

/* `n` reads of so many segments of so many sectors; one event. */
static void ask(struct front *front, uint32_t n, uint8_t segments, uint8_t sectors)
{
    struct kit_request read = {.op = RING_OP_READ, .nseg = segments};

    for (uint32_t i = 0; i < segments; i++)
        read.segments[i] = (struct kit_segment){DATA + i, 0, (uint8_t)(sectors - 1)};
    for (uint32_t i = 0; i < n; i++) {
        read.id = front->asked;
        kit_encode(&front->kit, front->asked++, &read);
    }
    __atomic_store_n(kit_req_prod(&front->kit), front->asked, __ATOMIC_RELEASE);
    fake_hv_kick((uint32_t)(front - fronts));
}

static void check_rate(uint64_t request_bytes)
{
    uint64_t n = answered(&fronts[0]) + answered(&fronts[1]);
    double elapsed = (double)(now_ns() - began) / 1e9;

    if (rates.iops)
        CU_ASSERT((double)n <= (elapsed + 0.1) * (double)rates.iops || n == 1);
    if (rates.bandwidth)
        CU_ASSERT((double)((n ? n - 1 : 0) * request_bytes) <=
                  (elapsed + 0.1) * (double)rates.bandwidth);
}

/* Until everything is answered, and never faster than allowed. */
static void await(uint64_t request_bytes)
{
    uint64_t start = now_ns();

    while (answered(&fronts[0]) < fronts[0].asked || answered(&fronts[1]) < fronts[1].asked) {
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
    CU_ASSERT_EQUAL(limit_throttled(limit), 0);
    end();
}

/* One event for all: nothing but the timer brings the rest. */
static void all_without_another_event(void)
{
    begin(200, 0);
    ask(&fronts[0], SLOTS, 1, 8);
    await(4096);
    CU_ASSERT(since_ms(began) >= 1000 * (SLOTS - 20) / 200);
    CU_ASSERT(limit_throttled(limit) > 0);
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
    while (!answered(&fronts[0]) && since_ms(began) < LATE_MS)
        unit_sleep(1);
    CU_ASSERT(since_ms(began) < 900);
    CU_ASSERT_EQUAL(answered(&fronts[0]), 1);
    end();
    CU_ASSERT(answered(&fronts[0]) < 5);
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
    uint64_t start = now_ns();
    while (answered(&fronts[0]) < 8 && since_ms(start) < LATE_MS) {
        iothread_call(rig.threads[0], there_probe, NULL); /* which unmasks it */
        fake_hv_kick(0);
        usleep(200);
    }
    CU_ASSERT_EQUAL(answered(&fronts[0]), 8);
    CU_ASSERT(limit_throttled(limit) <= 12);
    start = now_ns();
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
    kit_encode(&fronts[0].kit, fronts[0].asked++, &read);
    __atomic_store_n(kit_req_prod(&fronts[0].kit), fronts[0].asked, __ATOMIC_RELEASE);
    fake_hv_kick(0);
    await(16 * 512);
    CU_ASSERT_EQUAL(limit_take(limit), 0);
    limit_spend(limit, 100000);
    CU_ASSERT_NOT_EQUAL(limit_take(limit), 0);
    end();
}

/* Refused requests and flushes count, but have no bytes. */
static void without_bytes(void)
{
    struct kit_request flush = {.op = RING_OP_FLUSH};

    begin(0, 1);
    for (uint32_t i = 0; i < SLOTS; i++)
        kit_encode(&fronts[0].kit, fronts[0].asked++, &flush);
    ask(&fronts[0], 0, 0, 0);
    ask(&fronts[1], SLOTS, 11, 9); /* nine sectors a page */
    await(0);
    CU_ASSERT_EQUAL(limit_throttled(limit), 0);
    end();
}

int suite_pump(void)
{
    static const struct unit_case cases[] = {
        {"unlimited", unlimited},
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
