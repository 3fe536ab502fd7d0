// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libxenevtchn.so.1 without /dev/xen/evtchn. Error numbers are those of Linux: ENOTCONN for a port
 * that is not this handle's, EACCES for what a restricted handle may not do, EINVAL for binding to
 * a port that was not offered to us or is taken, ESRCH for an unknown domain.
 *
 * A handle is found by the inode of its socket, so one received over SCM_RIGHTS works after
 * xenevtchn_fdopen(). Its opener's close asks the kernel whether somebody still holds the socket (a
 * duplicate, or a message on its way). Another holder may sit in a sandbox that forbids making a
 * socket for the question: its close goes by the count of users, closes the ports and leaves the
 * empty handle to the collector. So a duplicate can be passed on and opened again.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenevtchn.h>

struct xenevtchn_handle {
    int fd;
    bool opener;
    uint32_t index; /* in fx_hv->ev */
    uint64_t serial;
};

static int fail(int err)
{
    errno = err;
    return -1;
}

static int claim_handle(uint32_t *index)
{
    for (uint32_t i = 0; i < 2 * FX_HANDLES; i++) {
        struct fx_handle *handle = &fx_hv->ev[i % FX_HANDLES];

        /* The second round is for a full table only. */
        if (i >= FX_HANDLES && handle->serial && fx_handle_dead(-1, handle))
            fx_handle_remove(handle);
        if (handle->serial)
            continue;
        *index = i % FX_HANDLES;
        return 0;
    }
    return fail(EMFILE);
}

static int bind_socket(xenevtchn_handle *xce, unsigned int flags)
{
    int cloexec = flags & XENEVTCHN_NO_CLOEXEC ? 0 : SOCK_CLOEXEC;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    fx_handle_path(addr.sun_path, sizeof(addr.sun_path), xce->serial);
    unlink(addr.sun_path);
    xce->fd = socket(AF_UNIX, SOCK_DGRAM | cloexec, 0);
    if (xce->fd < 0)
        return -1;
    if (!bind(xce->fd, (struct sockaddr *)&addr, sizeof(addr)) && !chmod(addr.sun_path, 0777))
        return 0;
    close(xce->fd);
    return -1;
}

static int open_locked(xenevtchn_handle *xce, unsigned int flags)
{
    struct fx_domain *dom = fx_dom(fx_self());
    struct fx_handle *handle;
    struct stat st;

    if (!dom || claim_handle(&xce->index))
        return -1;
    handle = &fx_hv->ev[xce->index];
    xce->serial = ++fx_hv->serial;
    if (bind_socket(xce, flags) || fstat(xce->fd, &st))
        return -1;
    *handle = (struct fx_handle){.serial = xce->serial,
                                 .inode = st.st_ino,
                                 .life = dom->life,
                                 .pid = getpid(),
                                 .refs = 1,
                                 .domid = dom->domid,
                                 .restricted = FX_NOBODY};
    return 0;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
    xenevtchn_handle *xce;
    int err;

    (void)logger;
    if (fx_attach() || !(xce = calloc(1, sizeof(*xce))))
        return NULL;
    xce->opener = true;
    fx_lock();
    err = open_locked(xce, flags);
    fx_unlock();
    if (!err)
        return xce;
    free(xce);
    return NULL;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned int flags)
{
    xenevtchn_handle *xce;
    struct stat st;

    (void)logger;
    (void)isatty(STDERR_FILENO); /* the real one asks, for its own logger; a filter must bear it */
    if (flags) {
        errno = EINVAL;
        return NULL;
    }
    if (fx_attach() || fstat(fd, &st) || !S_ISSOCK(st.st_mode) || !(xce = calloc(1, sizeof(*xce))))
        return NULL;
    xce->fd = fd;
    fx_lock();
    for (uint32_t i = 0; i < FX_HANDLES; i++) {
        if (!fx_hv->ev[i].serial || fx_hv->ev[i].inode != st.st_ino)
            continue;
        xce->index = i;
        xce->serial = fx_hv->ev[i].serial;
        fx_hv->ev[i].refs++;
    }
    fx_unlock();
    if (xce->serial)
        return xce;
    free(xce);
    errno = EBADF;
    return NULL;
}

/* Null when the handle was collected under us, which only a wrong liveness verdict could do. */
static struct fx_handle *state(const xenevtchn_handle *xce)
{
    struct fx_handle *handle = &fx_hv->ev[xce->index];

    return handle->serial == xce->serial ? handle : NULL;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
    struct fx_handle *handle;
    int err;

    if (!xce)
        return 0;
    fx_lock();
    err = close(xce->fd);
    handle = state(xce);
    if (handle) {
        handle->refs--;
        if (!xce->opener && handle->refs == 0)
            fx_handle_close_ports(handle);
        else if (xce->opener && fx_handle_dead(-1, handle))
            fx_handle_remove(handle);
    }
    fx_unlock();
    free(xce);
    return err;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
    return xce->fd;
}

/* The port if it is this handle's own, with its domain. */
static struct fx_port *own_port(const xenevtchn_handle *xce, evtchn_port_t port,
                                struct fx_domain **dom)
{
    struct fx_handle *handle = state(xce);
    struct fx_port *p;

    *dom = handle ? fx_dom_of(handle) : NULL;
    p = fx_port_get(*dom, port);
    return p && p->handle == xce->index + 1 ? p : NULL;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct fx_domain *dom;
    bool known;

    fx_lock();
    known = own_port(xce, port, &dom) != NULL;
    if (known)
        fx_port_send(xce->fd, dom, port);
    fx_unlock();
    return known ? 0 : fail(ENOTCONN);
}

/* The domain of the handle if it may bind to `remote`. */
static struct fx_domain *may_bind(const xenevtchn_handle *xce, uint32_t remote)
{
    struct fx_handle *handle = state(xce);

    if (!handle) {
        errno = EBADF;
        return NULL;
    }
    if (handle->restricted != FX_NOBODY && handle->restricted != remote) {
        errno = EACCES;
        return NULL;
    }
    return fx_dom_of(handle);
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
    struct fx_domain *dom;
    uint32_t port = 0;

    fx_lock();
    dom = may_bind(xce, domid);
    if (dom)
        port = fx_port_alloc(dom, xce->index + 1);
    if (port)
        dom->port[port].remote = (uint16_t)domid;
    fx_unlock();
    return port ? (int)port : -1;
}

static int bind_locked(const xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
    struct fx_domain *dom = may_bind(xce, domid);
    struct fx_domain *remote = dom ? fx_dom((uint16_t)domid) : NULL;
    struct fx_port *theirs;
    uint32_t port;

    if (!remote)
        return -1;
    theirs = fx_port_get(remote, remote_port);
    if (!theirs)
        return fail(EINVAL);
    fx_drop_dead_peer(xce->fd, theirs);
    if (theirs->state != FX_PORT_UNBOUND || theirs->remote != dom->domid)
        return fail(EINVAL);
    port = fx_port_alloc(dom, xce->index + 1);
    if (!port)
        return -1;
    dom->port[port].state = FX_PORT_INTERDOMAIN;
    dom->port[port].remote = remote->domid;
    dom->port[port].remote_port = remote_port;
    dom->port[port].store = theirs->store;
    theirs->state = FX_PORT_INTERDOMAIN;
    theirs->remote_port = port;
    fx_port_raise(xce->fd, dom, port);
    return (int)port;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
                                                     evtchn_port_t remote_port)
{
    int port;

    fx_lock();
    port = bind_locked(xce, domid, remote_port);
    fx_unlock();
    return port;
}

static int bind_virq_locked(const xenevtchn_handle *xce, unsigned int virq)
{
    struct fx_handle *handle = state(xce);
    struct fx_domain *dom = handle ? fx_dom_of(handle) : NULL;
    uint32_t port;

    if (!dom)
        return fail(EBADF);
    if (handle->restricted != FX_NOBODY)
        return fail(EACCES);
    for (port = 1; port < FX_PORTS; port++)
        if (dom->port[port].state == FX_PORT_VIRQ && dom->port[port].virq == virq)
            return fail(EEXIST);
    port = fx_port_alloc(dom, xce->index + 1);
    if (!port)
        return -1;
    dom->port[port].state = FX_PORT_VIRQ;
    dom->port[port].virq = (uint8_t)virq;
    return (int)port;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
    int port;

    fx_lock();
    port = bind_virq_locked(xce, virq);
    fx_unlock();
    return port;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct fx_domain *dom;
    bool known;

    fx_lock();
    known = own_port(xce, port, &dom) != NULL;
    if (known)
        fx_port_close(dom, port);
    fx_unlock();
    return known ? 0 : fail(ENOTCONN);
}

/* The doorbell: looked at (blocking, unless the fd is not) or emptied (never blocking). */
static ssize_t bell(int fd, int flags)
{
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    return recvmsg(fd, &msg, flags);
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
    for (;;) {
        struct fx_handle *handle;
        uint32_t port;

        fx_lock();
        handle = state(xce);
        port = handle ? fx_port_pop(handle) : 0;
        if (!handle || !handle->head)
            while (bell(xce->fd, MSG_DONTWAIT) >= 0)
                ;
        fx_unlock();
        if (port)
            return (int)port;
        if (bell(xce->fd, MSG_PEEK) < 0)
            return -1;
    }
}

/* Of a port that is not ours: silently nothing, as in Linux. */
int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
    struct fx_domain *dom;
    struct fx_port *p;

    fx_lock();
    p = own_port(xce, port, &dom);
    if (p && p->masked) {
        bool again = p->pending;

        p->masked = 0;
        p->pending = 0;
        if (again)
            fx_port_raise(xce->fd, dom, port);
    }
    fx_unlock();
    return 0;
}

int xenevtchn_restrict(xenevtchn_handle *xce, domid_t domid)
{
    struct fx_handle *handle;
    int err = 0;

    fx_lock();
    handle = state(xce);
    if (!handle)
        err = EBADF;
    else if (handle->restricted != FX_NOBODY)
        err = EACCES;
    else if (domid == 0 || domid >= DOMID_FIRST_RESERVED)
        err = EINVAL;
    else
        handle->restricted = domid;
    fx_unlock();
    return err ? fail(err) : 0;
}
