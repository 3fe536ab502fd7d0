// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event ports: firing, masking, queueing, closing, and the doorbell. All functions want the lock.
 *
 * A port that fires is masked and queued on its handle; firing again while masked only sets
 * `pending`, and unmasking fires once more if it is set. So events merge, and each port is queued
 * at most once, as with Xen plus the kernel's evtchn driver.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *fx_handle_path(char *buf, size_t size, uint64_t serial)
{
    char name[32];

    snprintf(name, sizeof(name), "ev.%llu", (unsigned long long)serial);
    return fx_path(buf, size, name);
}

static struct sockaddr_un handle_address(const struct fx_handle *handle)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    fx_handle_path(addr.sun_path, sizeof(addr.sun_path), handle->serial);
    return addr;
}

static int fx_bell = -1;

void fx_bell_open(void)
{
    fx_bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* Sends one byte to the handle's socket. True if that socket no longer exists. */
static bool ring(int fd, const struct fx_handle *handle)
{
    struct sockaddr_un addr = handle_address(handle);
    char bell = 1;
    struct iovec iov = {.iov_base = &bell, .iov_len = 1};
    struct msghdr msg = {
        .msg_name = &addr, .msg_namelen = sizeof(addr), .msg_iov = &iov, .msg_iovlen = 1};
    int saved = errno;
    bool dead = false;

    if (sendmsg(fd < 0 ? fx_bell : fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        dead = errno == ECONNREFUSED;
        if (!dead && errno != EAGAIN)
            fprintf(stderr, "fakexen: doorbell %s: %s\n", addr.sun_path, strerror(errno));
    }
    errno = saved;
    return dead;
}

/* With an fd this may wake the owner without a cause, without one it is silent (two more calls). */
bool fx_handle_dead(int fd, const struct fx_handle *handle)
{
    struct sockaddr_un addr = handle_address(handle);
    int probe;
    bool dead;

    if (fd >= 0)
        return ring(fd, handle);
    probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return false;
    dead = connect(probe, (struct sockaddr *)&addr, sizeof(addr)) &&
           (errno == ECONNREFUSED || errno == ENOENT);
    close(probe);
    return dead;
}

void fx_ring_all(void)
{
    for (unsigned i = 0; i < FX_HANDLES; i++)
        if (fx_hv->ev[i].serial && fx_hv->ev[i].head)
            (void)ring(-1, &fx_hv->ev[i]);
}

uint32_t fx_port_alloc(struct fx_domain *dom, uint32_t handle)
{
    for (uint32_t port = 1; port < FX_PORTS; port++) {
        if (dom->port[port].state != FX_PORT_FREE)
            continue;
        dom->port[port] = (struct fx_port){.state = FX_PORT_UNBOUND, .handle = handle};
        return port;
    }
    errno = ENOSPC;
    return 0;
}

struct fx_port *fx_port_get(struct fx_domain *dom, uint32_t port)
{
    if (!dom || port == 0 || port >= FX_PORTS || dom->port[port].state == FX_PORT_FREE)
        return NULL;
    return &dom->port[port];
}

static bool queue(struct fx_domain *dom, struct fx_handle *handle, uint32_t port)
{
    bool was_empty = handle->head == 0;

    if (was_empty)
        handle->head = port;
    else
        dom->port[handle->tail].next = port;
    handle->tail = port;
    dom->port[port].next = 0;
    dom->port[port].queued = 1;
    return was_empty;
}

void fx_port_raise(int fd, struct fx_domain *dom, uint32_t port)
{
    struct fx_port *p = fx_port_get(dom, port);
    struct fx_handle *handle;

    if (!p || p->queued)
        return;
    if (p->masked || !p->handle) {
        p->pending = 1;
        return;
    }
    handle = &fx_hv->ev[p->handle - 1];
    p->masked = 1;
    if (queue(dom, handle, port) && ring(fd, handle))
        fx_handle_release(handle);
}

/* To a peer that has closed its end the event is dropped without an error. */
void fx_port_send(int fd, struct fx_domain *dom, uint32_t port)
{
    struct fx_port *p = fx_port_get(dom, port);

    if (p && p->state == FX_PORT_INTERDOMAIN)
        fx_port_raise(fd, fx_dom(p->remote), p->remote_port);
}

void fx_virq_raise(uint8_t virq)
{
    struct fx_domain *dom = fx_dom(0);

    for (uint32_t port = 1; dom && port < FX_PORTS; port++)
        if (dom->port[port].state == FX_PORT_VIRQ && dom->port[port].virq == virq)
            fx_port_raise(-1, dom, port);
}

static void unqueue(struct fx_domain *dom, struct fx_handle *handle, uint32_t port)
{
    uint32_t prev = 0;

    for (uint32_t at = handle->head; at && at != port; at = dom->port[at].next)
        prev = at;
    if (prev)
        dom->port[prev].next = dom->port[port].next;
    else
        handle->head = dom->port[port].next;
    if (handle->tail == port)
        handle->tail = prev;
}

uint32_t fx_port_pop(struct fx_handle *handle)
{
    struct fx_domain *dom = fx_dom_of(handle);
    uint32_t port = handle->head;

    if (!dom || !port)
        return 0;
    unqueue(dom, handle, port);
    dom->port[port].queued = 0;
    dom->port[port].masked = 1;
    return port;
}

/* The other end becomes unbound again, still reserved for this domain. */
void fx_port_close(struct fx_domain *dom, uint32_t port)
{
    struct fx_port *p = fx_port_get(dom, port);
    struct fx_port *peer;

    if (!p)
        return;
    if (p->queued)
        unqueue(dom, &fx_hv->ev[p->handle - 1], port);
    if (p->state == FX_PORT_INTERDOMAIN) {
        peer = fx_port_get(fx_dom(p->remote), p->remote_port);
        if (peer) {
            peer->state = FX_PORT_UNBOUND;
            peer->remote = dom->domid;
            peer->remote_port = 0;
        }
    }
    memset(p, 0, sizeof(*p));
}

void fx_handle_close_ports(struct fx_handle *handle)
{
    struct fx_domain *dom = fx_dom_of(handle);
    uint32_t mine = (uint32_t)(handle - fx_hv->ev) + 1;

    for (uint32_t port = 1; dom && port < FX_PORTS; port++)
        if (dom->port[port].state != FX_PORT_FREE && dom->port[port].handle == mine)
            fx_port_close(dom, port);
}

void fx_handle_release(struct fx_handle *handle)
{
    fx_handle_close_ports(handle);
    memset(handle, 0, sizeof(*handle));
}

/* The same with the socket's file, for callers outside a sandbox: a stale file does no harm. */
void fx_handle_remove(struct fx_handle *handle)
{
    char path[160];

    unlink(fx_handle_path(path, sizeof(path), handle->serial));
    fx_handle_release(handle);
}

/*
 * A peer whose process is gone has closed its end, though nobody has collected it yet.  xenstored is
 * not asked: it would be woken without a cause, and wait in its read for an event to come.
 */
void fx_drop_dead_peer(int fd, const struct fx_port *port)
{
    struct fx_port *peer = fx_port_get(fx_dom(port->remote), port->remote_port);

    if (port->state != FX_PORT_INTERDOMAIN || port->store || !peer || !peer->handle)
        return;
    if (fx_handle_dead(fd, &fx_hv->ev[peer->handle - 1]))
        fx_handle_release(&fx_hv->ev[peer->handle - 1]);
}
