// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doors: does what engine.c and door.c do for rings, and serve.c for NBD.
 */
#include "doors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "fake_hv.h"
#include "iothread.h"
#include "limit.h"
#include "loop.h"
#include "mailbox.h"
#include "nbd.h"
#include "pump.h"
#include "unit.h"

#define DOMID 7u

static void ring_dead(void *arg, const char *why)
{
    (void)why;
    ((struct doors_ring *)arg)->dead = true;
}

static void ring_closed(void *arg)
{
    ((struct doors_ring *)arg)->closed = true;
}

static void there_open_ring(void *arg)
{
    struct doors_ring *ring = arg;
    struct doors *doors = ring->doors;
    struct queue_config config = {
        .volume = doors->rig.volume,
        .domid = DOMID,
        .port = ring->config.port,
        .pages = ring->config.pages,
        .abi = ring->config.abi,
        .limits = {.sectors = volume_bytes(doors->rig.volume) / 512, .discard = true},
        .dead = ring_dead,
        .closed = ring_closed,
        .arg = ring};

    for (uint32_t i = 0; i < config.pages; i++)
        config.refs[i] = ring->config.first_page + i;
    if (queue_open(&ring->queue, doors->pumps[ring->lane], &config))
        abort();
}

static void there_open_pump(void *arg)
{
    struct pump *pump = arg;

    if (pump_events_add(pump, DOMID, fake_hv_handle()))
        abort();
}

static void doors_open_ring(struct doors *doors, uint32_t i)
{
    struct doors_ring *ring = &doors->rings[i];

    ring->dead = ring->closed = false;
    doors->callers[i] = caller_ring_open(&ring->config);
    iothread_call(doors->rig.threads[ring->lane], there_open_ring, ring);
}

static void doors_open_rings(struct doors *doors)
{
    static const uint32_t pages[] = {1, 4, 1};
    static const enum ring_abi abis[] = {RING_X86_64, RING_X86_32, RING_X86_64};
    uint32_t first = 0, lanes = doors->rig.config.lanes;

    fake_hv_reset();
    for (uint32_t i = 0; i < lanes; i++) {
        CU_ASSERT_EQUAL_FATAL(pump_open(&doors->pumps[i], doors->rig.lanes[i], NULL, doors->limit),
                              0);
        iothread_call(doors->rig.threads[i], there_open_pump, doors->pumps[i]);
    }
    for (uint32_t i = 0; i < DOORS_RINGS; i++) {
        struct doors_ring *ring = &doors->rings[i];
        ring->doors = doors;
        ring->lane = i < lanes ? i : lanes - 1;
        ring->config = (struct caller_ring_config){
            .port = i, .first_page = first, .pages = pages[i], .abi = abis[i]};
        first += caller_ring_pages(pages[i]);
        doors_open_ring(doors, i);
    }
    CU_ASSERT_FATAL(first <= FAKE_PAGES);
}

static void *doors_accept(void *arg)
{
    struct doors *doors = arg;

    while (!doors->over)
        if (loop_turn(doors->loop, -1))
            abort();
    return NULL;
}

struct ending {
    struct work work;
    struct doors *doors;
};

static void there_over(struct work *work)
{
    container_of(work, struct ending, work)->doors->over = true;
}

static void doors_connect(struct doors *doors, uint32_t i)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    uint64_t bytes = volume_bytes(doors->rig.volume);

    CU_ASSERT_EQUAL_FATAL(getsockname(doors->listener, (struct sockaddr *)&address, &length), 0);
    doors->callers[i] = caller_nbd_open(&address, length, i == DOORS_RINGS);
    CU_ASSERT(doors->callers[i]->bytes >= bytes);
    CU_ASSERT(doors->callers[i]->bytes <= volume_bytes(doors->rig.volume));
}

/* The address is one the kernel chooses; there is no file. */
static void doors_open_nbd(struct doors *doors)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    struct nbd_export export = {.name = "disk", .volume = doors->rig.volume};

    doors->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CU_ASSERT_EQUAL_FATAL(bind(doors->listener, (struct sockaddr *)&any, sizeof(any.sun_family)),
                          0);
    CU_ASSERT_EQUAL_FATAL(listen(doors->listener, 16), 0);
    CU_ASSERT_EQUAL_FATAL(loop_open(&doors->loop), 0);
    CU_ASSERT_EQUAL_FATAL(mailbox_open(&doors->mailbox, doors->loop), 0);
    CU_ASSERT_EQUAL_FATAL(nbd_open(&doors->nbd, doors->loop, doors->listener, &export, 1,
                                   doors->rig.lanes, doors->rig.config.lanes, doors->limit),
                          0);
    pthread_create(&doors->accepting, NULL, doors_accept, doors);
    for (uint32_t i = DOORS_RINGS; i < DOORS_CALLERS; i++)
        doors_connect(doors, i);
}

void doors_open(struct doors *doors, const struct rig_config *config)
{
    doors_open_growing(doors, config, 0);
}

void doors_open_growing(struct doors *doors, const struct rig_config *config, uint64_t most)
{
    struct limit_rates none = {.iops = 0};

    *doors = (struct doors){.listener = -1};
    rig_open_growing(&doors->rig, config, &(struct rig_growth){.grows = most != 0, .most = most});
    CU_ASSERT_EQUAL_FATAL(limit_open(&doors->limit, &none), 0);
    doors_open_rings(doors);
    doors_open_nbd(doors);
}

static void there_close_ring(void *arg)
{
    queue_close(((struct doors_ring *)arg)->queue, false);
}

static void doors_close_caller(struct doors *doors, uint32_t i)
{
    struct caller *caller = doors->callers[i];

    CU_ASSERT_EQUAL(caller->wrong, 0);
    CU_ASSERT_EQUAL(caller->flying, 0);
    if (i < DOORS_RINGS) {
        struct doors_ring *ring = &doors->rings[i];
        iothread_call(doors->rig.threads[ring->lane], there_close_ring, ring);
        for (uint32_t ms = 0; !ring->closed && ms < CALLER_WAIT_MS; ms++)
            unit_sleep(1);
        CU_ASSERT_FATAL(ring->closed);
        CU_ASSERT(!ring->dead);
    }
    caller->ops->close(caller);
}

void doors_reopen(struct doors *doors, uint32_t i)
{
    doors_close_caller(doors, i);
    if (i < DOORS_RINGS)
        doors_open_ring(doors, i);
    else
        doors_connect(doors, i);
}

static void there_close_pump(void *arg)
{
    if (pump_events_remove(arg, DOMID))
        abort();
}

void doors_close(struct doors *doors)
{
    struct ending ending = {.work.run = there_over, .doors = doors};

    CU_ASSERT(!doors->growth.running);
    for (uint32_t i = 0; i < DOORS_CALLERS; i++)
        doors_close_caller(doors, i);
    mailbox_post(doors->mailbox, &ending.work);
    pthread_join(doors->accepting, NULL);
    nbd_close(doors->nbd);
    mailbox_close(doors->mailbox);
    loop_close(doors->loop);
    close(doors->listener);
    for (uint32_t i = 0; i < doors->rig.config.lanes; i++)
        iothread_call(doors->rig.threads[i], there_close_pump, doors->pumps[i]);
    rig_close(&doors->rig);
    for (uint32_t i = 0; i < doors->rig.config.lanes; i++)
        pump_close(doors->pumps[i]);
    limit_close(doors->limit);
}
