// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * queue: one ring of a door, from the bind of its port to the last answer: what is taken from it and when,
 * and when its frontend's events are listened to.
 *
 * An event-channel port stays masked from its event until its ring was found empty (late EOI).  The
 * kernel never counts our unmask as spurious, so a frontend that notifies without asking anything is
 * slowed here: each idle wake beyond a few doubles the time until the next one is listened to.
 *
 * A ring that was found empty asks for an event only when its thread is about to sleep (queue_rest).  What
 * comes before that, while its requests are worked on, is seen without one, and costs the guest none.
 *
 * A queue whose guest has used up its rate leaves the next request in the ring and is left alone until
 * a timer brings it back, whatever events come meanwhile; its port may stay masked for as long.
 */
#include "pump.h"

#include <errno.h>
#include <stdlib.h>
#include "request.h"

#define SERVE_BATCH      32u /* requests of one ring before the next has its turn */
#define IDLE_WAKES_FREE  8u
#define IDLE_WAKES_SHIFT 6u /* at most 64 ms */
#define NO_MEMORY_MS     10u
#define FEW              2u /* requests at once: a wake-up is much of what they take */

void queue_schedule(struct queue *queue)
{
    if (queue->state != QUEUE_LIVE || queue->throttled || !list_empty(&queue->ready))
        return;
    list_remove(&queue->quiet);
    list_append(&queue->pump->ready, &queue->ready);
}

static void queue_unmask(struct queue *queue)
{
    if (!queue->owes_unmask)
        return;
    queue->owes_unmask = false;
    hv_unmask(queue->events, queue->port);
}

static void queue_unmask_late(struct loop_timer *timer)
{
    queue_unmask(container_of(timer, struct queue, unmask));
}

/* The ring is empty and armed. */
static void queue_listen(struct queue *queue)
{
    if (!queue->owes_unmask)
        return;
    queue->idle_wakes = queue->found ? 0 : queue->idle_wakes + 1;
    queue->found = false;
    if (queue->idle_wakes <= IDLE_WAKES_FREE) {
        queue_unmask(queue);
        return;
    }
    uint32_t shift = min_u32(queue->idle_wakes - IDLE_WAKES_FREE, IDLE_WAKES_SHIFT);
    loop_timer_set(iothread_loop(lane_thread(queue->pump->lane)), &queue->unmask, 1u << shift);
}

void queue_rest(struct queue *queue)
{
    list_remove(&queue->quiet);
    if (ring_arm(&queue->ring))
        queue_schedule(queue);
    else
        queue_listen(queue);
}

enum iothread_sight queue_look(struct queue *queue)
{
    if (!ring_waiting(&queue->ring))
        return queue->depth && queue->depth <= FEW ? IOTHREAD_NOTHING : IOTHREAD_BLIND;
    queue_schedule(queue);
    return IOTHREAD_WORK;
}

static void queue_resume(struct loop_timer *timer)
{
    struct queue *queue = container_of(timer, struct queue, resume);

    queue->throttled = false;
    queue_schedule(queue);
}

/* May the next request be taken?  What was granted lasts until it is. */
static bool queue_grant(struct queue *queue)
{
    struct pump *pump = queue->pump;
    uint32_t ms = queue->granted ? 0 : limit_take(pump->limit);

    queue->granted = !ms;
    queue->throttled = ms;
    if (ms)
        loop_timer_set(iothread_loop(lane_thread(pump->lane)), &queue->resume, ms);
    return !ms;
}

static void queue_die(struct queue *queue)
{
    queue->state = QUEUE_DEAD;
    queue->config.dead(queue->config.arg, "more requests claimed than the ring holds");
}

static void queue_room(struct arena_waiter *waiter)
{
    queue_schedule(container_of(waiter, struct queue, room));
}

/* Until another request ends; without memory there may be none, so it is tried again. */
static void queue_starve(struct queue *queue)
{
    struct pump *pump = queue->pump;

    if (pump->requests == PUMP_REQUESTS) {
        list_append(&pump->starving, &queue->ready);
        return;
    }
    queue->throttled = true;
    loop_timer_set(iothread_loop(lane_thread(pump->lane)), &queue->resume, NO_MEMORY_MS);
}

/* The next request taken on: 1; 0 when the ring is empty; -EAGAIN when something is short. */
static int queue_next(struct queue *queue)
{
    struct request *request = queue->parked;

    if (!request) {
        int waiting = ring_waiting(&queue->ring);
        if (waiting < 0)
            queue_die(queue);
        if (waiting <= 0)
            return waiting ? -EAGAIN : 0;
        if (!queue_grant(queue))
            return -EAGAIN;
        request = request_new(queue);
        if (!request) {
            queue_starve(queue);
            return -EAGAIN;
        }
        queue->granted = false;
        ring_fetch(&queue->ring, &request->ask);
        queue->depth = queue->flying;
    }
    queue->parked = NULL;
    queue->found = true;
    if (request_begin(request))
        return 1;
    queue->parked = request;
    list_remove(&queue->room.link);
    arena_wait(iothread_arena(lane_thread(queue->pump->lane)), &queue->room);
    return -EAGAIN;
}

void queue_serve(struct queue *queue)
{
    uint32_t served = 0;
    int more;

    list_remove(&queue->ready);
    do
        more = queue_next(queue);
    while (more > 0 && ++served < SERVE_BATCH);
    if (more > 0)
        queue_schedule(queue);
    if (more)
        return;
    /* One who only makes us look is not looked at until he has asked for something. */
    if (!served)
        queue->depth = 0;
    list_append(&queue->pump->quiet, &queue->quiet);
}

void queue_finish(struct queue *queue)
{
    struct pump *pump = queue->pump;

    loop_timer_stop(&queue->unmask);
    list_remove(&queue->ready);
    list_remove(&queue->quiet);
    list_remove(&queue->link);
    if (queue->port >= 0)
        hv_unbind(queue->events, queue->port);
    hv_unmap(pump->hv, queue->map, queue->config.pages);
    queue->config.closed(queue->config.arg);
    free(queue);
}

int queue_open(struct queue **out, struct pump *pump, const struct queue_config *config)
{
    struct pump_events *handle = pump_events_find(pump, config->domid);
    struct queue *queue;

    if (!handle)
        return -ENOTCONN;
    queue = calloc(1, sizeof(*queue));
    if (!queue)
        return -ENOMEM;
    queue->config = *config;
    queue->pump = pump;
    queue->events = handle->events;
    queue->unmask.fire = queue_unmask_late;
    queue->resume.fire = queue_resume;
    queue->room.ready = queue_room;
    list_init(&queue->ready);
    list_init(&queue->quiet);
    list_init(&queue->room.link);
    list_init(&queue->flight);
    queue->map = hv_map(pump->hv, config->domid, config->pages, config->refs);
    if (!queue->map) {
        free(queue);
        return -ENXIO;
    }
    ring_open(&queue->ring, queue->map, config->pages, config->abi);
    queue->port = hv_bind(queue->events, config->domid, config->port);
    if (queue->port < 0) {
        int err = queue->port;
        hv_unmap(pump->hv, queue->map, config->pages);
        free(queue);
        return err;
    }
    list_append(&pump->queues, &queue->link);
    queue_schedule(queue);
    *out = queue;
    return 0;
}

void queue_close(struct queue *queue, bool force)
{
    queue->state = QUEUE_CLOSING;
    loop_timer_stop(&queue->unmask);
    loop_timer_stop(&queue->resume);
    list_remove(&queue->ready);
    list_remove(&queue->quiet);
    list_remove(&queue->room.link);
    if (queue->parked)
        request_drop(queue->parked);
    queue->parked = NULL;
    list_for_each_safe(it, next, &queue->flight)
        volume_drop_held(&container_of(it, struct request, flight)->io);
    if (force) {
        hv_unmap(queue->pump->hv, queue->map, queue->config.pages);
        queue->map = NULL;
        queue->answered = false;
    }
}

bool queue_probe(struct queue *queue)
{
    if (queue->port >= 0)
        hv_unbind(queue->events, queue->port);
    queue->port = hv_bind(queue->events, queue->config.domid, queue->config.port);
    queue->owes_unmask = false;
    queue_schedule(queue);
    /* Short of memory or handles is not gone: the next probe tries again. */
    return queue->port != -ESRCH && queue->port != -EINVAL && queue->port != -ENOENT &&
           queue->port != -ENXIO;
}
