// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pump: at the end of each turn of its thread it serves the rings that asked for it, a bounded
 * number of requests each, starts them together, and answers together what has been done.
 * Before the thread sleeps, rings that are empty are told to send an event; before that they are looked at
 * for a while, if their frontends ask for little at a time (iothread.h).
 */
#include "pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "request.h"

#define PORTS_A_WAKE 64u

static enum iothread_sight pump_look_at_quiet(struct pump *pump, uint32_t *looks)
{
    enum iothread_sight best = IOTHREAD_BLIND;

    list_for_each_safe(it, next, &pump->quiet)
    {
        enum iothread_sight sight = queue_look(container_of(it, struct queue, quiet));
        ++*looks;
        if (sight > best)
            best = sight;
    }
    return best;
}

static bool pump_flush(struct iothread_hook *hook)
{
    struct pump *pump = container_of(hook, struct pump, hook);
    uint32_t looks = 0;
    struct list now;

    /* They tell of nothing by themselves, and others may keep the thread from resting for long. */
    pump_look_at_quiet(pump, &looks);
    list_init(&now);
    for (struct list *it; (it = list_pop(&pump->ready));)
        list_append(&now, it);
    while (!list_empty(&now))
        queue_serve(container_of(now.next, struct queue, ready));
    request_start_all(pump);
    while (request_finish_all(pump))
        ;
    list_for_each_safe(it, next, &pump->queues)
    {
        struct queue *queue = container_of(it, struct queue, link);
        if (queue->answered && ring_push(&queue->ring) && queue->port >= 0)
            hv_notify(queue->events, queue->port);
        queue->answered = false;
        if (queue->state == QUEUE_CLOSING && list_empty(&queue->flight))
            queue_finish(queue);
    }
    return !list_empty(&pump->ready);
}

static enum iothread_sight pump_look(struct iothread_hook *hook, uint32_t *looks)
{
    return pump_look_at_quiet(container_of(hook, struct pump, hook), looks);
}

static bool pump_rest(struct iothread_hook *hook)
{
    struct pump *pump = container_of(hook, struct pump, hook);

    for (struct list *it; (it = list_pop(&pump->quiet));)
        queue_rest(container_of(it, struct queue, quiet));
    return !list_empty(&pump->ready);
}

/* A port that has been read stays masked, so there is no more to read than there are others. */
static uint32_t pump_events_most(const struct pump_events *handle)
{
    uint32_t most = 0;

    list_for_each(it, &handle->pump->queues)
    {
        struct queue *queue = container_of(it, struct queue, link);
        most += queue->events == handle->events && !queue->owes_unmask;
    }
    return most ? min_u32(most, PORTS_A_WAKE) : 1;
}

static void pump_event(struct loop_source *source, uint32_t events)
{
    struct pump_events *handle = container_of(source, struct pump_events, source);
    uint32_t most = pump_events_most(handle);
    int port;

    (void)events;
    for (uint32_t i = 0; i < most && (port = hv_pending(handle->events)) >= 0; i++) {
        struct queue *found = NULL;
        list_for_each(it, &handle->pump->queues)
        {
            struct queue *queue = container_of(it, struct queue, link);
            if (queue->events == handle->events && queue->port == port)
                found = queue;
        }
        if (found) {
            found->owes_unmask = true;
            queue_schedule(found);
        }
    }
}

int pump_open(struct pump **out, struct lane *lane, struct hv *hv, struct limit *limit)
{
    struct pump *pump = calloc(1, sizeof(*pump));

    if (!pump)
        return -ENOMEM;
    pump->lane = lane;
    pump->hv = hv;
    pump->limit = limit;
    struct list *lists[] = {&pump->events, &pump->queues, &pump->ready, &pump->starving,
                            &pump->quiet,  &pump->idle,   &pump->fresh, &pump->done};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        list_init(lists[i]);
    pump->hook = (struct iothread_hook){.flush = pump_flush, .look = pump_look, .rest = pump_rest};
    iothread_hook_add(lane_thread(lane), &pump->hook);
    *out = pump;
    return 0;
}

void pump_close(struct pump *pump)
{
    if (!pump)
        return;
    for (struct list *it; (it = list_pop(&pump->idle));)
        free(container_of(it, struct request, link));
    for (struct list *it; (it = list_pop(&pump->events));) {
        struct pump_events *handle = container_of(it, struct pump_events, link);
        hv_events_close(handle->events);
        free(handle);
    }
    free(pump);
}

struct pump_events *pump_events_find(const struct pump *pump, uint32_t domid)
{
    list_for_each(it, &pump->events)
    {
        struct pump_events *handle = container_of(it, struct pump_events, link);
        if (handle->domid == domid)
            return handle;
    }
    return NULL;
}

int pump_events_add(struct pump *pump, uint32_t domid, int fd)
{
    if (pump_events_find(pump, domid)) {
        close(fd);
        return -EEXIST;
    }
    struct pump_events *handle = calloc(1, sizeof(*handle));
    int err = handle ? hv_events_open(&handle->events, fd) : -ENOMEM;
    if (err) {
        close(fd);
        free(handle);
        return err;
    }
    handle->pump = pump;
    handle->domid = domid;
    handle->source = (struct loop_source){.fd = hv_events_fd(handle->events), .ready = pump_event};
    err = loop_add(iothread_loop(lane_thread(pump->lane)), &handle->source, EPOLLIN);
    if (err) {
        hv_events_close(handle->events);
        free(handle);
        return err;
    }
    list_append(&pump->events, &handle->link);
    return 0;
}

int pump_events_remove(struct pump *pump, uint32_t domid)
{
    struct pump_events *handle = pump_events_find(pump, domid);

    if (!handle)
        return 0;
    list_for_each(it, &pump->queues)
    {
        if (container_of(it, struct queue, link)->events == handle->events)
            return -EBUSY;
    }
    loop_remove(&handle->source);
    list_remove(&handle->link);
    hv_events_close(handle->events);
    free(handle);
    return 0;
}
