// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pump with faults: rings that cannot be opened, ports that go away, events without requests, and
 * requests that come at the wrong moment.
 */
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alloc.h"
#include "fake_hv.h"
#include "iothread.h"
#include "pumpkit.h"

#define SECTORS 2048u
#define CROWD   70u /* rings; more than ports are looked at in one wake */

static struct pumpkit pk;
static struct front front, other, crowd[CROWD];

static void begin(void)
{
    pumpkit_open(&pk, &(struct rig_config){.bytes = SECTORS * 512, .extents = 1, .seed = 1}, NULL);
}

static void close_front(struct front *ring)
{
    front_close(&pk, ring, false);
    CU_ASSERT_FATAL(front_closed(ring));
}

static const struct kit_request flush = {.op = RING_OP_FLUSH};

static void nothing(void *arg)
{
    (void)arg;
}

/* Each allocation refused in turn, and descriptors no loop can wait for: nothing is left behind. */
static void there_handles(void *arg)
{
    struct pump *pump;
    uint32_t before = unit_fds();

    (void)arg;
    alloc_fail_from(1);
    CU_ASSERT_EQUAL(pump_open(&pump, pk.rig.lanes[0], NULL, pk.limit), -ENOMEM);
    CU_ASSERT(alloc_heal());
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID, fake_hv_handle()), -EEXIST);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        int fd = fake_hv_handle();
        alloc_fail_from(nth);
        CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID + 1, fd), -ENOMEM);
        CU_ASSERT(alloc_heal());
    }
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID + 1, memfd_create("file", MFD_CLOEXEC)),
                    -EPERM);
    CU_ASSERT_EQUAL(unit_fds(), before);
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID + 1), 0);
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID + 1, fake_hv_handle()), 0);
    CU_ASSERT_EQUAL(unit_fds(), before + 1);
}

static void handles(void)
{
    if (!alloc_works())
        return;
    uint32_t before = unit_fds();
    begin();
    pumpkit_there(&pk, there_handles, NULL);
    pumpkit_close(&pk); /* with two handles */
    pump_close(NULL);
    CU_ASSERT_EQUAL(unit_fds(), before);
}

/* What cannot be opened leaves no page mapped and no port bound. */
static void there_open_badly(void *arg)
{
    struct queue_config good = front_config(&pk, &front, 3, 0, 1), bad = good;
    struct queue *queue = NULL;

    (void)arg;
    bad.domid = KIT_DOMID + 1;
    CU_ASSERT_EQUAL(queue_open(&queue, pk.pump, &bad), -ENOTCONN);
    alloc_fail_from(1);
    CU_ASSERT_EQUAL(queue_open(&queue, pk.pump, &good), -ENOMEM);
    CU_ASSERT(alloc_heal());
    bad = good;
    bad.refs[0] = FAKE_PAGES;
    CU_ASSERT_EQUAL(queue_open(&queue, pk.pump, &bad), -ENXIO);
    bad = good;
    bad.port = FAKE_PORTS;
    CU_ASSERT_EQUAL(queue_open(&queue, pk.pump, &bad), -ENOENT);
    fake_hv_refuse(-EINVAL);
    CU_ASSERT_EQUAL(queue_open(&queue, pk.pump, &good), -EINVAL);
    fake_hv_refuse(0);
    CU_ASSERT_PTR_NULL(queue);
    CU_ASSERT_EQUAL(fake_hv_mapped(), 0);
    CU_ASSERT(!fake_hv_bound(3));
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID), 0); /* no queue keeps it */
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID, fake_hv_handle()), 0);
}

static void rings_that_cannot_be_opened(void)
{
    if (!alloc_works())
        return;
    begin();
    pumpkit_there(&pk, there_open_badly, NULL);
    front_open(&pk, &front, 3, 0, 1);
    front_put(&front, flush);
    front_ask(&front);
    CU_ASSERT(front_await(&front, 1));
    close_front(&front);
    pumpkit_close(&pk);
}

static void there_second_domain(void *arg)
{
    struct queue_config config = front_config(&pk, &other, 1, 1, 1);

    (void)arg;
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID + 1, fake_hv_handle()), 0);
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID), -EBUSY);
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID + 1), 0);
    CU_ASSERT_EQUAL(pump_events_add(pk.pump, KIT_DOMID + 1, fake_hv_handle()), 0);
    config.domid = KIT_DOMID + 1;
    CU_ASSERT_EQUAL(queue_open(&other.queue, pk.pump, &config), 0);
    CU_ASSERT_EQUAL(pump_events_remove(pk.pump, KIT_DOMID + 1), -EBUSY);
}

/* Each answered over its own; an event of a port nobody has disturbs neither. */
static void two_handles(void)
{
    begin();
    front_open(&pk, &front, 0, 0, 1);
    pumpkit_there(&pk, there_second_domain, NULL);
    fake_hv_stray(5, 0);
    fake_hv_kick(5);
    for (uint32_t i = 1; i <= 5; i++) {
        front_put(i % 2 ? &front : &other, flush);
        front_ask(i % 2 ? &front : &other);
        CU_ASSERT(front_await(i % 2 ? &front : &other, (i + 1) / 2));
    }
    CU_ASSERT(front_answered(&front) == 3 && front_answered(&other) == 2);
    CU_ASSERT(fake_hv_masked(5)); /* it was reported, and nobody listens to it again */
    close_front(&other);
    close_front(&front);
    pumpkit_close(&pk);
}

static bool probed;

static void there_probe(void *arg)
{
    (void)arg;
    probed = queue_probe(front.queue);
}

/* Gone by what the hypervisor says; without a port the ring is still served, but not heard. */
static void probes(void)
{
    static const struct {
        int error;
        bool there;
    } rows[] = {{-ESRCH, false}, {-EINVAL, false}, {-ENOENT, false},
                {-ENXIO, false}, {-ENOMEM, true},  {-EBUSY, true}};

    begin();
    front_open(&pk, &front, 0, 0, 1);
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, nothing, NULL);
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t notes = fake_hv_notified(0);
        front_put(&front, flush);
        *kit_rsp_event(&front.kit) = i + 1;
        front_publish(&front);
        fake_hv_refuse(rows[i].error);
        pumpkit_there(&pk, there_probe, NULL);
        CU_ASSERT_EQUAL(probed, rows[i].there);
        CU_ASSERT(!fake_hv_bound(0));
        CU_ASSERT(front_await(&front, i + 1));
        pumpkit_there(&pk, nothing, NULL);
        CU_ASSERT_EQUAL(fake_hv_notified(0), notes);
    }
    fake_hv_refuse(0);
    pumpkit_there(&pk, there_probe, NULL);
    CU_ASSERT(probed && fake_hv_bound(0));
    fake_hv_refuse(-ESRCH);
    pumpkit_there(&pk, there_probe, NULL);
    close_front(&front);
    pumpkit_close(&pk);
}

/* Events that mean nothing are listened to less and less; a request is served all the same. */
static void idle_events(void)
{
    bool masked = false;

    begin();
    front_open(&pk, &front, 0, 0, 1);
    for (uint32_t i = 1; i <= 20; i++) {
        fake_hv_kick(0);
        pumpkit_there(&pk, nothing, NULL);
        pumpkit_there(&pk, nothing, NULL);
        CU_ASSERT(i > 8 || !fake_hv_masked(0));
        masked |= fake_hv_masked(0);
        for (uint32_t ms = 0; fake_hv_masked(0) && ms < 1000; ms++)
            unit_sleep(1);
        CU_ASSERT(!fake_hv_masked(0));
    }
    CU_ASSERT(masked);
    fake_hv_kick(0); /* some 64 ms */
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, nothing, NULL);
    CU_ASSERT(fake_hv_masked(0));
    front_put(&front, flush);
    front_ask(&front);
    CU_ASSERT(front_await(&front, 1));
    pumpkit_there(&pk, nothing, NULL);
    CU_ASSERT(!fake_hv_masked(0)); /* a request makes good for all of them */
    for (uint32_t i = 0; i < 9; i++) {
        fake_hv_kick(0);
        pumpkit_there(&pk, nothing, NULL);
        pumpkit_there(&pk, nothing, NULL);
    }
    CU_ASSERT(fake_hv_masked(0));
    fake_hv_refuse(-ENOMEM);
    pumpkit_there(&pk, there_probe, NULL);
    unit_sleep(20); /* the timer has no port to listen to */
    fake_hv_refuse(0);
    pumpkit_there(&pk, there_probe, NULL);
    CU_ASSERT(!fake_hv_masked(0)); /* bound anew, it is heard at once */
    front_put(&front, flush);
    front_ask(&front);
    CU_ASSERT(front_await(&front, 2));
    close_front(&front);
    pumpkit_close(&pk);
}

/* On the pump's thread, after the ring was found empty and before it asks for events. */
static void one_more(void *arg)
{
    (void)arg;
    front_put(&front, flush);
    front_publish(&front);
}

static void a_thousand_more(void *arg)
{
    (void)arg;
    front.asked += 1000;
    front_publish(&front);
}

static void asked_while_arming(void)
{
    begin();
    front_open(&pk, &front, 0, 0, 1);
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_before_arm(one_more, NULL);
    front_put(&front, flush);
    front_ask(&front);
    CU_ASSERT(front_await(&front, 2));
    CU_ASSERT_EQUAL(front.deaths, 0);
    pumpkit_before_arm(a_thousand_more, NULL);
    fake_hv_kick(0);
    for (uint32_t ms = 0; !front.deaths && ms < KIT_LATE_MS; ms++)
        unit_sleep(1);
    fake_hv_kick(0);
    pumpkit_there(&pk, nothing, NULL);
    CU_ASSERT_EQUAL(front.deaths, 1);
    close_front(&front);
    CU_ASSERT_EQUAL(front_answered(&front), 2);
    pumpkit_close(&pk);
}

static struct work look;
static uint32_t batch;

static void count_batch(struct work *work)
{
    batch = front_answered(&front);
    if (!front_answered(&other))
        iothread_post(pk.rig.threads[0], work);
}

static void there_ask_both(void *arg)
{
    (void)arg;
    front_ask(&front);
    front_ask(&other);
    look.run = count_batch;
    iothread_post(pk.rig.threads[0], &look);
}

/* A ring with much to do leaves its turn to the next after so many requests. */
static void batches(void)
{
    begin();
    front_open(&pk, &front, 0, 0, 16);
    front_open(&pk, &other, 1, 16, 1);
    for (uint32_t i = 0; i < 200; i++)
        front_put(&front, flush);
    front_put(&other, flush);
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, there_ask_both, NULL);
    CU_ASSERT(front_await(&front, 200));
    CU_ASSERT(front_await(&other, 1));
    CU_ASSERT_EQUAL(batch, 32);
    close_front(&other);
    close_front(&front);
    pumpkit_close(&pk);
}

static _Atomic uint32_t first_served;

/* Turn after turn, until some have been. */
static void count_served(struct work *work)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < CROWD; i++)
        n += front_answered(&crowd[i]);
    first_served = n;
    if (!n)
        iothread_post(pk.rig.threads[0], work);
}

static void there_ask_all(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < CROWD; i++)
        front_ask(&crowd[i]);
    look.run = count_served;
    iothread_post(pk.rig.threads[0], &look);
}

/* A wake looks at so many ports and no more; the others have the next one. */
static void many_ports(void)
{
    begin();
    for (uint32_t i = 0; i < CROWD; i++) {
        front_open(&pk, &crowd[i], i, i, 1);
        front_put(&crowd[i], flush);
    }
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, nothing, NULL);
    pumpkit_there(&pk, there_ask_all, NULL);
    for (uint32_t i = 0; i < CROWD; i++)
        CU_ASSERT(front_await(&crowd[i], 1));
    CU_ASSERT_EQUAL(first_served, 64);
    for (uint32_t i = 0; i < CROWD; i++)
        close_front(&crowd[i]);
    pumpkit_close(&pk);
}

int suite_pump_faults(void)
{
    static const struct unit_case cases[] = {
        {"handles", handles},         {"rings that cannot be opened", rings_that_cannot_be_opened},
        {"two handles", two_handles}, {"probes", probes},
        {"idle events", idle_events}, {"asked while arming", asked_while_arming},
        {"batches", batches},         {"many ports", many_ports},
    };

    return UNIT_SUITE("pump_faults", cases);
}
