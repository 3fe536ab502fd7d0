// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pumpkit: does what engine.c and door.c do, for one thread, and a wrapper the linker puts in front of
 * ring_arm.
 */
#include "pumpkit.h"

#include <string.h>
#include <time.h>
#include "fake_hv.h"
#include "unit.h"

extern bool __real_ring_arm(struct ring *ring) __attribute__((weak));
bool __wrap_ring_arm(struct ring *ring);

static void (*_Atomic before_arm)(void *arg);
static void *_Atomic before_arm_arg;

bool __wrap_ring_arm(struct ring *ring)
{
    void (*fn)(void *arg) = atomic_exchange(&before_arm, NULL);

    if (fn)
        fn(before_arm_arg);
    return __real_ring_arm(ring);
}

void pumpkit_before_arm(void (*fn)(void *arg), void *arg)
{
    before_arm_arg = arg;
    before_arm = fn;
}

static void there_open(void *arg)
{
    struct pumpkit *pk = arg;

    CU_ASSERT_EQUAL_FATAL(pump_open(&pk->pump, pk->rig.lanes[0], NULL, pk->limit), 0);
    CU_ASSERT_EQUAL_FATAL(pump_events_add(pk->pump, KIT_DOMID, fake_hv_handle()), 0);
}

void pumpkit_open(struct pumpkit *pk, const struct rig_config *config,
                  const struct limit_rates *rates)
{
    struct limit_rates none = {.iops = 0};
    struct rig_config one = *config;

    one.lanes = 1;
    rig_open(&pk->rig, &one);
    CU_ASSERT_EQUAL_FATAL(limit_open(&pk->limit, rates ? rates : &none), 0);
    fake_hv_reset();
    pumpkit_there(pk, there_open, pk);
}

void pumpkit_close(struct pumpkit *pk)
{
    CU_ASSERT_EQUAL(fake_hv_mapped(), 0);
    rig_close(&pk->rig);
    pump_close(pk->pump);
    limit_close(pk->limit);
}

void pumpkit_there(struct pumpkit *pk, void (*fn)(void *arg), void *arg)
{
    iothread_call(pk->rig.threads[0], fn, arg);
}

static void on_dead(void *arg, const char *why)
{
    CU_ASSERT_STRING_EQUAL(why, "more requests claimed than the ring holds");
    ((struct front *)arg)->deaths++;
}

static void on_closed(void *arg)
{
    ((struct front *)arg)->closings++;
}

struct queue_config front_config(struct pumpkit *pk, struct front *front, uint32_t port,
                                 uint32_t page, uint32_t pages)
{
    struct queue_config config = {
        .volume = pk->rig.volume,
        .domid = KIT_DOMID,
        .port = port,
        .pages = pages,
        .limits = {.sectors = pk->rig.config.bytes / 512, .discard = true},
        .dead = on_dead,
        .closed = on_closed,
        .arg = front};
    struct kit kit = {.abi = RING_X86_64, .page = fake_hv_page(page)};

    for (uint32_t i = 0; i < pages; i++)
        config.refs[i] = page + i;
    memset(kit.page, 0, pages * 4096u);
    ring_open(&kit.ring, kit.page, pages, kit.abi);
    *kit_req_event(&kit) = *kit_rsp_event(&kit) = 1;
    front->kit = kit;
    front->port = port;
    front->asked = 0;
    front->deaths = front->closings = 0;
    return config;
}

struct opening {
    struct pumpkit *pk;
    struct front *front;
    struct queue_config config;
    bool force;
};

static void there_open_queue(void *arg)
{
    struct opening *o = arg;

    CU_ASSERT_EQUAL_FATAL(queue_open(&o->front->queue, o->pk->pump, &o->config), 0);
}

void front_open(struct pumpkit *pk, struct front *front, uint32_t port, uint32_t page,
                uint32_t pages)
{
    struct opening o = {.pk = pk, .front = front};

    o.config = front_config(pk, front, port, page, pages);
    pumpkit_there(pk, there_open_queue, &o);
}

static void there_close_queue(void *arg)
{
    struct opening *o = arg;

    queue_close(o->front->queue, o->force);
}

void front_close(struct pumpkit *pk, struct front *front, bool force)
{
    struct opening o = {.front = front, .force = force};

    pumpkit_there(pk, there_close_queue, &o);
}

bool front_closed(const struct front *front)
{
    for (uint32_t ms = 0; !front->closings && ms < KIT_LATE_MS; ms++)
        unit_sleep(1);
    return front->closings == 1;
}

uint32_t front_put(struct front *front, struct kit_request request)
{
    request.id = front->asked;
    kit_encode(&front->kit, front->asked, &request);
    return front->asked++;
}

void front_publish(struct front *front)
{
    __atomic_store_n(kit_req_prod(&front->kit), front->asked, __ATOMIC_RELEASE);
}

void front_ask(struct front *front)
{
    front_publish(front);
    fake_hv_kick(front->port);
}

uint32_t front_answered(const struct front *front)
{
    return __atomic_load_n(kit_rsp_prod(&front->kit), __ATOMIC_ACQUIRE);
}

bool front_await(const struct front *front, uint32_t n)
{
    for (uint32_t ms = 0; front_answered(front) < n && ms < KIT_LATE_MS; ms++)
        unit_sleep(1);
    return front_answered(front) == n;
}

int front_status(const struct front *front, uint64_t id)
{
    uint32_t end = front_answered(front);
    uint32_t begin = end > front->kit.ring.slots ? end - front->kit.ring.slots : 0;
    uint64_t answered;
    int16_t status;

    while (end-- > begin) {
        memcpy(&answered, kit_slot(&front->kit, end), 8);
        memcpy(&status, kit_slot(&front->kit, end) + 10, 2);
        if (answered == id)
            return status;
    }
    return 1;
}
