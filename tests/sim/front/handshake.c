// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The xenstore side, in the order of Linux's driver: wait for InitWait, read the limits, write the
 * keys in one transaction, Initialised; wait for Connected, read the properties, Connected. Every
 * key written can be replaced or left out by --set and --drop, the state Initialised too: that is
 * how a misbehaving guest is made.  --manner changes the order, for drivers that go another way.
 *
 * A frontend that finds itself closed, or connected by a predecessor that died, starts as Linux
 * does after kexec: 5, 6 and 1, following the backend.
 */
#define _GNU_SOURCE
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xen/io/xenbus.h>

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static char *read_node(struct front *front, const char *dir, const char *key)
{
    char path[384];

    snprintf(path, sizeof(path), "%s/%s", dir, key);
    return xs_read(front->xsh, XBT_NULL, path, NULL);
}

static uint64_t read_number(struct front *front, const char *key, uint64_t otherwise)
{
    char *text = read_node(front, front->backend, key);
    uint64_t value = text ? strtoull(text, NULL, 10) : otherwise;

    free(text);
    return value;
}

/* Without its own xenbus a frontend goes through dom0's socket, where nothing is below its folder. */
int front_find(struct front *front)
{
    const char *domid = getenv("XENSTORED_PATH") ? NULL : getenv("FAKEXEN_DOMID");
    char *backend, *id, path[320];

    snprintf(front->dir, sizeof(front->dir), "%s%.5s%sdevice/vbd/%u", domid ? "/local/domain/" : "",
             domid ? domid : "", domid ? "/" : "", front->devid);
    backend = read_node(front, front->dir, "backend");
    id = read_node(front, front->dir, "backend-id");
    if (backend && id) {
        snprintf(front->backend, sizeof(front->backend), "%s", backend);
        front->backend_id = (uint32_t)strtoul(id, NULL, 10);
    }
    free(backend);
    free(id);
    if (!front->backend[0]) {
        fprintf(stderr, "fxfront: %s has no backend\n", front->dir);
        return -1;
    }
    snprintf(path, sizeof(path), "%s/state", front->backend);
    return xs_watch(front->xsh, path, "backend") ? 0 : -1;
}

static unsigned backend_state(struct front *front)
{
    return (unsigned)read_number(front, "state", 0);
}

/* Waits until the backend is in one of the states (bits); returns its state, 99 on time-out. */
unsigned backend_wait(struct front *front, unsigned states, int timeout_ms)
{
    int64_t end = now_ms() + timeout_ms;

    for (;;) {
        struct pollfd fd = {.fd = xs_fileno(front->xsh), .events = POLLIN};
        unsigned state = backend_state(front);
        int64_t left = end - now_ms();
        char **watch;

        if (state < 16 && (1u << state & states))
            return state;
        if (left <= 0)
            return 99;
        if (poll(&fd, 1, (int)left) > 0 && (watch = xs_check_watch(front->xsh)) != NULL)
            free(watch);
    }
}

static bool backend_wrote_state(struct front *front, int timeout_ms)
{
    struct pollfd fd = {.fd = xs_fileno(front->xsh), .events = POLLIN};
    char **watch = poll(&fd, 1, timeout_ms) > 0 ? xs_check_watch(front->xsh) : NULL;

    free(watch);
    return watch != NULL;
}

void front_settle(struct front *front)
{
    while (backend_wrote_state(front, 300))
        ;
}

int front_resized(struct front *front, uint64_t sectors)
{
    int64_t end = now_ms() + 10000;

    while (now_ms() < end) {
        if (!backend_wrote_state(front, 100))
            continue;
        front->sectors = read_number(front, "sectors", 0);
        if (front->sectors == sectors)
            return backend_state(front) == XenbusStateConnected ? 0 : -1;
    }
    fprintf(stderr, "fxfront: its state was not written with %llu sectors; there are %llu\n",
            (unsigned long long)sectors, (unsigned long long)read_number(front, "sectors", 0));
    return -1;
}

static const struct setting *setting_for(const struct front *front, const char *key)
{
    for (unsigned i = 0; i < front->settings; i++)
        if (!strcmp(front->setting[i].key, key))
            return &front->setting[i];
    return NULL;
}

static int write_raw(struct front *front, xs_transaction_t t, const char *key, const char *value)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/%s", front->dir, key);
    if (xs_write(front->xsh, t, path, value, (unsigned)strlen(value)))
        return 0;
    fprintf(stderr, "fxfront: write %s: %s\n", path, strerror(errno));
    return -1;
}

static int put(struct front *front, xs_transaction_t t, const char *key, const char *value)
{
    const struct setting *setting = setting_for(front, key);

    if (setting && !setting->value)
        return 0;
    return write_raw(front, t, key, setting ? setting->value : value);
}

static int put_number(struct front *front, xs_transaction_t t, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return put(front, t, key, text);
}

int front_remove_key(struct front *front, const char *key)
{
    char path[192];

    snprintf(path, sizeof(path), "%s/%s", front->dir, key);
    return xs_rm(front->xsh, XBT_NULL, path) ? 0 : -1;
}

int front_write_key(struct front *front, const char *key, const char *value)
{
    return write_raw(front, XBT_NULL, key, value);
}

int front_set_state(struct front *front, unsigned state)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", state);
    return write_raw(front, XBT_NULL, "state", text);
}

/* One queue's keys, at the top for a single queue and below queue-N for several. */
static int put_queue(struct front *front, xs_transaction_t t, const struct queue *queue)
{
    char prefix[24] = "", key[64];
    int err;

    if (front->queues > 1)
        snprintf(prefix, sizeof(prefix), "queue-%u/", queue->index);
    for (unsigned i = 0; i < 1u << front->order; i++) {
        if (front->order)
            snprintf(key, sizeof(key), "%sring-ref%u", prefix, i);
        else
            snprintf(key, sizeof(key), "%sring-ref", prefix);
        if (put_number(front, t, key, queue->ring_refs[i]))
            return -1;
    }
    snprintf(key, sizeof(key), "%sevent-channel", prefix);
    err = put_number(front, t, key, (uint64_t)queue->port);
    return err;
}

/* A predecessor in the same guest may have left these, and they would change what we mean. */
static void remove_stale(struct front *front, xs_transaction_t t)
{
    static const char *const keys[] = {"ring-page-order", "multi-queue-num-queues",
                                       "ring-ref",        "event-channel",
                                       "protocol",        "num-ring-pages"};
    char path[192];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", front->dir, keys[i]);
        xs_rm(front->xsh, t, path);
    }
}

static int put_all(struct front *front, xs_transaction_t t)
{
    int err = 0;

    if (!(front->manner & MANNER_KEEP))
        remove_stale(front, t);
    if (front->order)
        err |= put_number(front, t, "ring-page-order", front->order);
    if (front->queues > 1)
        err |= put_number(front, t, "multi-queue-num-queues", front->queues);
    for (unsigned i = 0; i < front->queues; i++)
        err |= put_queue(front, t, &front->queue[i]);
    err |= put(front, t, "protocol", front->protocol);
    /* What was set without being a key of ours is written as well; @ is the first ring page. */
    for (unsigned i = 0; i < front->settings; i++) {
        const struct setting *s = &front->setting[i];
        char ref[16];

        snprintf(ref, sizeof(ref), "%u", front->queue[0].ring_refs[0]);
        if (s->value && strcmp(s->key, "state"))
            err |= write_raw(front, t, s->key, strcmp(s->value, "@") ? s->value : ref);
    }
    return err;
}

static int put_state(struct front *front, xs_transaction_t t)
{
    return put_number(front, t, "state", XenbusStateInitialised);
}

static int publish(struct front *front)
{
    bool whole = front->manner & MANNER_WHOLE;

    if (front->manner & MANNER_BARE)
        return put_all(front, XBT_NULL) || put_state(front, XBT_NULL) ? -1 : 0;
    for (;;) {
        xs_transaction_t t = xs_transaction_start(front->xsh);

        if (t == XBT_NULL)
            return -1;
        if (put_all(front, t) || (whole && put_state(front, t))) {
            xs_transaction_end(front->xsh, t, true);
            return -1;
        }
        if (xs_transaction_end(front->xsh, t, false))
            return whole ? 0 : put_state(front, XBT_NULL);
        if (errno != EAGAIN)
            return -1;
    }
}

static int make_initialising(struct front *front)
{
    char *text = read_node(front, front->dir, "state");
    int state = text ? atoi(text) : 0;

    free(text);
    if (state == XenbusStateInitialising)
        return 0;
    if (state != XenbusStateClosed && front_close(front))
        return -1;
    return front_set_state(front, XenbusStateInitialising);
}

static unsigned clamp(unsigned wish, uint64_t limit)
{
    return wish < limit ? wish : (unsigned)limit;
}

static void read_limits(struct front *front)
{
    if (front->no_clamp)
        return;
    front->order = clamp(front->order, read_number(front, "max-ring-page-order", 0));
    front->queues = clamp(front->queues, read_number(front, "multi-queue-max-queues", 1));
    front->segs = clamp(front->segs, read_number(front, "feature-max-indirect-segments", 0));
    if (front->queues == 0)
        front->queues = 1;
}

static int read_properties(struct front *front)
{
    front->sectors = read_number(front, "sectors", UINT64_MAX);
    front->sector_size = (unsigned)read_number(front, "sector-size", 0);
    front->info = (unsigned)read_number(front, "info", UINT32_MAX);
    front->physical = (unsigned)read_number(front, "physical-sector-size", front->sector_size);
    front->has_flush = read_number(front, "feature-flush-cache", 0) != 0;
    front->has_barrier = read_number(front, "feature-barrier", 0) != 0;
    front->has_discard = read_number(front, "feature-discard", 0) != 0;
    front->granularity = read_number(front, "discard-granularity", 0);
    if (front->granularity < SECTOR)
        front->granularity = SECTOR;
    if (front->sectors != UINT64_MAX && front->sector_size && front->info != UINT32_MAX)
        return 0;
    fprintf(stderr, "fxfront: Connected without sectors, sector-size and info\n");
    return -1;
}

/* Returns the state that the backend ended in: 4 is success, 99 a time-out. */
unsigned front_connect(struct front *front)
{
    unsigned usable = 1u << XenbusStateInitWait | 1u << XenbusStateInitialised |
                      1u << XenbusStateConnected;
    unsigned ended = 1u << XenbusStateConnected | 1u << XenbusStateClosing |
                     1u << XenbusStateClosed;
    unsigned state = 0;

    if (!(front->manner & MANNER_EARLY)) {
        state = make_initialising(front) ? 99 : backend_wait(front, usable, STALL_MS);
        if (state == 99)
            return state;
        read_limits(front);
    }
    /* Whose state may still be that of the last connection. */
    if (front->manner & MANNER_EARLY)
        ended = 1u << XenbusStateConnected;
    if (front->manner & MANNER_IMPATIENT)
        ended = ~(1u << XenbusStateInitWait);
    for (unsigned i = 0; i < front->queues; i++)
        if (queue_open(front, i)) {
            fprintf(stderr, "fxfront: queue %u: %s\n", i, strerror(errno));
            return 99;
        }
    if (publish(front))
        return 99;
    state = backend_wait(front, ended, front->manner & MANNER_EARLY ? 10000 : STALL_MS);
    if (state != XenbusStateConnected)
        return state;
    if (read_properties(front))
        return 99;
    if (!(front->manner & MANNER_SILENT) && front_set_state(front, XenbusStateConnected))
        return 99;
    front->connected = true;
    return state;
}

/* 5, wait for 5 or more, 6, wait for 6 (or for the node to go), then take the grants back. */
int front_close(struct front *front)
{
    unsigned gone = 1u << XenbusStateClosed | 1u << 0;
    unsigned state;

    if (front_set_state(front, XenbusStateClosing))
        return -1;
    state = backend_wait(front, gone | 1u << XenbusStateClosing, STALL_MS);
    if (state == 99 || front_set_state(front, XenbusStateClosed))
        return -1;
    state = backend_wait(front, gone | 1u << XenbusStateInitWait, STALL_MS);
    for (unsigned i = 0; i < MAX_QUEUES; i++)
        if (front->queue[i].front)
            queue_close(&front->queue[i]);
    front->connected = false;
    return state == 99 ? -1 : 0;
}
