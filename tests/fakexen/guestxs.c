// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guestxs N SOCK: the xenbus driver of domain N's kernel. It offers xenstored the domain's ring
 * page (grant 1) and a port, introduces the domain, then carries messages between that ring and one
 * client at a time on the unix socket SOCK. A libxenstore program with XENSTORED_PATH=SOCK thereby
 * *is* domain N to xenstored, with its permissions and quotas.
 *
 * When a client leaves, its unanswered requests are waited for and its watches and transactions are
 * reset, so the next client starts clean. Several clients at once would need request ids rewritten:
 * left to the kernel. Ends on SIGTERM; xenstored learns of the domain's end from fxctl destroy.
 */
#define _GNU_SOURCE
#include "hv.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>
#include <xenevtchn.h>
#include <xenstore.h>

#define MESSAGE_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

/* Bytes collected until they are a whole message. */
struct message {
    union {
        struct xsd_sockmsg head;
        char bytes[MESSAGE_MAX];
    };
    size_t have;
};

static struct xenstore_domain_interface *ring;
static xenevtchn_handle *xce;
static evtchn_port_t port;
static unsigned unanswered;

static void die(const char *what)
{
    fprintf(stderr, "guestxs: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Atomic uint32_t *index_of(uint32_t *field)
{
    return (_Atomic uint32_t *)field;
}

/* As much as fits; returns how much that was. */
static size_t ring_put(const char *data, size_t size)
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

static size_t ring_get(char *data, size_t size)
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

/* How many bytes the message still lacks; 0 when it is whole. */
static size_t lacking(const struct message *msg)
{
    size_t want = sizeof(msg->head);

    if (msg->have >= want)
        want += msg->head.len < XENSTORE_PAYLOAD_MAX ? msg->head.len : XENSTORE_PAYLOAD_MAX;
    return want - msg->have;
}

static void wait_event(void)
{
    int fired = xenevtchn_pending(xce);

    if (fired >= 0)
        xenevtchn_unmask(xce, (evtchn_port_t)fired);
}

/* The next whole message of xenstored's, if there is one. */
static bool next_reply(struct message *msg)
{
    size_t want;

    while ((want = lacking(msg)) > 0) {
        size_t got = ring_get(msg->bytes + msg->have, want);

        if (!got)
            return false;
        msg->have += got;
    }
    if (msg->head.type != XS_WATCH_EVENT && unanswered)
        unanswered--;
    return true;
}

static void send_request(const struct message *msg)
{
    size_t done = 0;

    unanswered++;
    while (done < msg->have) {
        size_t put = ring_put(msg->bytes + done, msg->have - done);

        done += put;
        if (!put)
            wait_event();
    }
}

static bool to_client(int client, const struct message *msg)
{
    for (size_t done = 0; done < msg->have;) {
        ssize_t n = send(client, msg->bytes + done, msg->have - done, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* Reads what the client has sent; false when it has gone. */
static bool from_client(int client, struct message *msg)
{
    ssize_t n = recv(client, msg->bytes + msg->have, lacking(msg), 0);

    if (n <= 0)
        return false;
    msg->have += (size_t)n;
    if (msg->have >= sizeof(msg->head) && msg->head.len > XENSTORE_PAYLOAD_MAX)
        return false;
    if (lacking(msg) == 0) {
        send_request(msg);
        msg->have = 0;
    }
    return true;
}

static void forget_client(struct message *reply)
{
    struct message reset = {.head = {.type = XS_RESET_WATCHES, .len = 1}};

    reset.have = sizeof(reset.head) + 1;
    send_request(&reset);
    while (unanswered) {
        if (next_reply(reply))
            reply->have = 0;
        else
            wait_event();
    }
}

static void serve(int client)
{
    struct message request = {.have = 0}, reply = {.have = 0};
    struct pollfd fds[] = {{.fd = client, .events = POLLIN},
                           {.fd = xenevtchn_fd(xce), .events = POLLIN}};
    bool alive = true;

    while (alive) {
        while (alive && next_reply(&reply)) {
            alive = to_client(client, &reply);
            reply.have = 0;
        }
        if (!alive || poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            wait_event();
        if (fds[0].revents)
            alive = from_client(client, &request);
    }
    forget_client(&reply);
}

static int listen_at(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(addr.sun_path))
        errno = ENAMETOOLONG, die(path);
    strcpy(addr.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
        die(path);
    return fd;
}

/* Grant 1 of the domain is its xenstore page; the toolstack would have made it. */
static void offer_ring(uint16_t domid)
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

static void introduce(uint16_t domid)
{
    struct xs_handle *xsh = xs_open(0);

    if (!xsh || !xs_introduce_domain(xsh, domid, FX_XENSTORE_REF, port))
        die("introduce");
    xs_close(xsh);
}

int main(int argc, char **argv)
{
    uint16_t domid;
    int listener;

    if (argc != 3) {
        fprintf(stderr, "usage: guestxs DOMID SOCKET\n");
        return 2;
    }
    domid = (uint16_t)strtoul(argv[1], NULL, 10);
    setenv("FAKEXEN_DOMID", argv[1], 1);
    unsetenv("XENSTORED_PATH");
    xce = xenevtchn_open(NULL, 0);
    if (!xce)
        die("xenevtchn_open");
    offer_ring(domid);
    introduce(domid);
    listener = listen_at(argv[2]);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (client < 0)
            continue;
        serve(client);
        close(client);
    }
}
