// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The xenbus ring of a domain: one page, two rings of bytes, one port. Nothing here waits.
 */
#define _GNU_SOURCE
#include "guestxs.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xenstore.h>

#include "hv.h"

static struct xenstore_domain_interface *ring;
static xenevtchn_handle *xce;
static evtchn_port_t port;

static _Atomic uint32_t *index_of(uint32_t *field)
{
    return (_Atomic uint32_t *)field;
}

size_t ring_put(const char *data, size_t size)
{
    uint32_t prod = ring->req_prod;
    uint32_t cons = atomic_load_explicit(index_of(&ring->req_cons), memory_order_acquire);
    size_t done = 0;

    while (done < size && prod - cons < XENSTORE_RING_SIZE)
        ring->req[MASK_XENSTORE_IDX(prod++)] = data[done++];
    atomic_store_explicit(index_of(&ring->req_prod), prod, memory_order_release);
    if (done)
        xenevtchn_notify(xce, port);
    return done;
}

size_t ring_get(char *data, size_t size)
{
    uint32_t cons = ring->rsp_cons;
    uint32_t prod = atomic_load_explicit(index_of(&ring->rsp_prod), memory_order_acquire);
    size_t done = 0;

    while (done < size && cons != prod)
        data[done++] = ring->rsp[MASK_XENSTORE_IDX(cons++)];
    atomic_store_explicit(index_of(&ring->rsp_cons), cons, memory_order_release);
    if (done)
        xenevtchn_notify(xce, port);
    return done;
}

int ring_fd(void)
{
    return xenevtchn_fd(xce);
}

void ring_event(void)
{
    int fired = xenevtchn_pending(xce);

    if (fired >= 0)
        xenevtchn_unmask(xce, (evtchn_port_t)fired);
}

/* Grant 1 of the domain is its xenstore page; the toolstack would have made it. */
static void offer(uint16_t domid)
{
    struct fx_domain *dom;
    int ram = fx_ram_open(false);
    int bound = xenevtchn_bind_unbound_port(xce, 0);

    if (ram < 0 || bound < 0)
        die("ring");
    port = (evtchn_port_t)bound;
    fx_lock();
    dom = fx_dom(domid);
    if (!dom)
        die("domain");
    dom->port[port].store = 1;
    dom->grant[FX_XENSTORE_REF] = (struct fx_grant){.state = FX_GRANT_LIVE, .writable = 1, .to = 0};
    ring = mmap(NULL, FX_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ram,
                fx_page_offset(dom, FX_XENSTORE_REF));
    fx_unlock();
    if (ring == MAP_FAILED)
        die("ring");
    memset(ring, 0, sizeof(*ring));
    close(ram);
}

void ring_open(uint16_t domid)
{
    struct xs_handle *xsh;

    xce = xenevtchn_open(NULL, 0);
    if (!xce)
        die("xenevtchn_open");
    offer(domid);
    xsh = xs_open(0);
    if (!xsh || !xs_introduce_domain(xsh, domid, FX_XENSTORE_REF, port))
        die("introduce");
    xs_close(xsh);
}
