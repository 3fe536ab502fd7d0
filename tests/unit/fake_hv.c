// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake_hv: a handle is an eventfd that is readable while a port bound by it has an event and is not
 * masked, which is what a level-triggered loop sees of the real one.
 */
#include "fake_hv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "hv.h"
#include "unit.h"

#define PAGE 4096u

struct hv_events {
    int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t notified = PTHREAD_COND_INITIALIZER;
static struct port {
    struct hv_events *owner; /* who bound it */
    bool pending, masked;
    uint32_t notes;
} ports[FAKE_PORTS];
static int refusal;
static _Atomic uint32_t mapped, copied;
static bool revoked[FAKE_PAGES];
static uint8_t guest[FAKE_PAGES][PAGE] __attribute__((aligned(PAGE)));

void fake_hv_reset(void)
{
    /* As zeroes, but without touching what nobody used. */
    CU_ASSERT_EQUAL_FATAL(madvise(guest, sizeof(guest), MADV_DONTNEED), 0);
    memset(ports, 0, sizeof(ports));
    refusal = 0;
    mapped = copied = 0;
    memset(revoked, 0, sizeof(revoked));
}

uint8_t *fake_hv_page(uint32_t ref)
{
    return guest[ref];
}

void fake_hv_revoke(uint32_t ref, bool away)
{
    revoked[ref] = away;
}

int fake_hv_handle(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* Under the lock. */
static void port_check(const struct hv_events *events, int port)
{
    if (port < 0 || port >= (int)FAKE_PORTS || ports[port].owner != events)
        abort();
}

static void handle_ring(const struct port *port)
{
    uint64_t one = 1;

    if (write(port->owner->fd, &one, sizeof(one)) != sizeof(one))
        abort();
}

void fake_hv_kick(uint32_t port)
{
    pthread_mutex_lock(&lock);
    if (ports[port].owner) {
        ports[port].pending = true;
        if (!ports[port].masked)
            handle_ring(&ports[port]);
    }
    pthread_mutex_unlock(&lock);
}

bool fake_hv_bound(uint32_t port)
{
    pthread_mutex_lock(&lock);
    bool bound = ports[port].owner;
    pthread_mutex_unlock(&lock);
    return bound;
}

void fake_hv_refuse(int error)
{
    pthread_mutex_lock(&lock);
    refusal = error;
    pthread_mutex_unlock(&lock);
}

void fake_hv_stray(uint32_t port, uint32_t like)
{
    pthread_mutex_lock(&lock);
    ports[port] = (struct port){.owner = ports[like].owner};
    pthread_mutex_unlock(&lock);
}

uint32_t fake_hv_mapped(void)
{
    return mapped;
}

uint32_t fake_hv_copied(void)
{
    return copied;
}

bool fake_hv_masked(uint32_t port)
{
    pthread_mutex_lock(&lock);
    bool masked = ports[port].masked;
    pthread_mutex_unlock(&lock);
    return masked;
}

uint32_t fake_hv_notified(uint32_t port)
{
    pthread_mutex_lock(&lock);
    uint32_t notes = ports[port].notes;
    pthread_mutex_unlock(&lock);
    return notes;
}

bool fake_hv_await(uint32_t port, uint32_t seen, uint32_t ms)
{
    struct timespec until;
    int err = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&lock);
    while (ports[port].notes == seen && !err)
        err = pthread_cond_timedwait(&notified, &lock, &until);
    bool moved = ports[port].notes != seen;
    pthread_mutex_unlock(&lock);
    return moved;
}

int hv_open(struct hv **out)
{
    *out = NULL;
    return 0;
}

void hv_close(struct hv *hv)
{
    (void)hv;
}

void *hv_map(struct hv *hv, uint32_t domid, uint32_t count, const uint32_t *refs)
{
    (void)hv, (void)domid;
    for (uint32_t i = 0; i < count; i++)
        if (refs[i] != refs[0] + i || refs[i] >= FAKE_PAGES || revoked[refs[i]])
            return NULL;
    mapped += count;
    return guest[refs[0]];
}

void hv_unmap(struct hv *hv, void *pages, uint32_t count)
{
    (void)hv;
    if (pages)
        mapped -= count;
}

void hv_copy(struct hv *hv, struct hv_copy *copies, uint32_t count)
{
    (void)hv;
    copied += count;
    for (uint32_t i = 0; i < count; i++) {
        struct hv_copy *copy = &copies[i];
        copy->ok = copy->ref < FAKE_PAGES && !revoked[copy->ref] &&
                   (uint32_t)copy->offset + copy->length <= PAGE;
        if (copy->ok && copy->to_guest)
            memcpy(guest[copy->ref] + copy->offset, copy->local, copy->length);
        else if (copy->ok)
            memcpy(copy->local, guest[copy->ref] + copy->offset, copy->length);
    }
}

int hv_events_open(struct hv_events **out, int fd)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    (*out)->fd = fd;
    return 0;
}

void hv_events_close(struct hv_events *events)
{
    close(events->fd);
    free(events);
}

int hv_events_fd(const struct hv_events *events)
{
    return events->fd;
}

int hv_bind(struct hv_events *events, uint32_t domid, uint32_t remote)
{
    (void)domid;
    if (remote >= FAKE_PORTS)
        return -ENOENT;
    pthread_mutex_lock(&lock);
    /* Whose other end is bound already is not bound again. */
    int err = refusal ? refusal : ports[remote].owner ? -EINVAL : 0;
    if (!err)
        ports[remote].owner = events;
    pthread_mutex_unlock(&lock);
    return err ? err : (int)remote;
}

void hv_unbind(struct hv_events *events, int port)
{
    pthread_mutex_lock(&lock);
    port_check(events, port);
    ports[port] = (struct port){.notes = ports[port].notes};
    pthread_mutex_unlock(&lock);
}

int hv_pending(struct hv_events *events)
{
    uint64_t count;
    int found = -EAGAIN;

    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < FAKE_PORTS && found < 0; i++) {
        if (ports[i].owner == events && ports[i].pending && !ports[i].masked) {
            ports[i].pending = false;
            ports[i].masked = true;
            found = (int)i;
        }
    }
    if (found < 0 && read(events->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        abort();
    pthread_mutex_unlock(&lock);
    return found;
}

void hv_unmask(struct hv_events *events, int port)
{
    pthread_mutex_lock(&lock);
    port_check(events, port);
    ports[port].masked = false;
    if (ports[port].pending)
        handle_ring(&ports[port]);
    pthread_mutex_unlock(&lock);
}

void hv_notify(struct hv_events *events, int port)
{
    pthread_mutex_lock(&lock);
    port_check(events, port);
    ports[port].notes++;
    pthread_cond_broadcast(&notified);
    pthread_mutex_unlock(&lock);
}
