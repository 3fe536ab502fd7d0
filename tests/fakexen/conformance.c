// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this project relies on in event channels and grants, asked of whatever libraries the program
 * is started with: the stand-ins here, or the real ones in dom0 (with xen-evtchn, xen-gntdev and
 * xen-gntalloc loaded). Both ends of everything are the domain itself. One line per check, then the
 * totals; exit 1 if any check failed.
 *
 * Where Xen leaves a choice (which negative status a refused grant gets) only what a caller may
 * rely on is checked. Nothing outlives the run.
 */
#define _GNU_SOURCE
#include "conformance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenevtchn.h>

static int passed, failed;
uint32_t self;

void check(bool ok, const char *what)
{
    int saved = errno;

    printf("%s %s%s%s\n", ok ? "ok" : "not ok", what, ok ? "" : ": ", ok ? "" : strerror(saved));
    if (ok)
        passed++;
    else
        failed++;
}

static short ready(xenevtchn_handle *xce)
{
    struct pollfd fd = {.fd = xenevtchn_fd(xce), .events = POLLIN | POLLOUT};

    return poll(&fd, 1, 0) < 0 ? 0 : fd.revents;
}

static bool readable(xenevtchn_handle *xce)
{
    return (ready(xce) & POLLIN) != 0;
}

static void set_nonblock(xenevtchn_handle *xce)
{
    int fd = xenevtchn_fd(xce);

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Takes one event if there is one: port, or -1. */
static int take(xenevtchn_handle *xce)
{
    return readable(xce) ? xenevtchn_pending(xce) : -1;
}

static void take_all(xenevtchn_handle *xce)
{
    int port;

    while ((port = take(xce)) >= 0)
        xenevtchn_unmask(xce, (evtchn_port_t)port);
}

/* A pair of handles with one channel between them. */
struct pair {
    xenevtchn_handle *a, *b;
    int pa, pb;
};

static bool connect_pair(struct pair *p)
{
    *p = (struct pair){.a = xenevtchn_open(NULL, 0), .b = xenevtchn_open(NULL, 0)};
    if (!p->a || !p->b)
        return false;
    p->pa = xenevtchn_bind_unbound_port(p->a, self);
    p->pb = p->pa < 0 ? -1 : xenevtchn_bind_interdomain(p->b, self, (evtchn_port_t)p->pa);
    return p->pb >= 0;
}

static void close_pair(const struct pair *p)
{
    if (p->b)
        xenevtchn_close(p->b);
    if (p->a)
        xenevtchn_close(p->a);
}

static void test_binding(void)
{
    struct pair p;
    bool connected = connect_pair(&p);
    int other;

    check(connected, "bind_unbound_port and bind_interdomain to this domain itself");
    if (connected) {
        check(ready(p.a) == POLLOUT, "an idle handle is writable and not readable");
        check(take(p.b) == p.pb, "bind_interdomain leaves its own new port pending");
        errno = 0;
        check(xenevtchn_bind_interdomain(p.b, self, (evtchn_port_t)p.pa) < 0 && errno == EINVAL,
              "binding to a port that is taken: EINVAL");
        errno = 0;
        check(xenevtchn_bind_interdomain(p.b, UNKNOWN_DOMAIN, 1) < 0 && errno == ESRCH,
              "binding to an unknown domain: ESRCH");
        errno = 0;
        check(xenevtchn_notify(p.a, (evtchn_port_t)p.pb) < 0 && errno == ENOTCONN,
              "notify on another handle's port: ENOTCONN");
        errno = 0;
        check(xenevtchn_unbind(p.a, (evtchn_port_t)p.pb) < 0 && errno == ENOTCONN,
              "unbind of another handle's port: ENOTCONN");
        check(xenevtchn_unbind(p.b, (evtchn_port_t)p.pb) == 0, "unbind");
        check(xenevtchn_notify(p.a, (evtchn_port_t)p.pa) == 0, "notify without a peer is no error");
        other = xenevtchn_bind_interdomain(p.b, self, (evtchn_port_t)p.pa);
        check(other >= 0, "a port whose peer has closed can be bound again");
        check(take(p.b) == other, "and the new binding is pending too");
    }
    close_pair(&p);
}

static void test_delivery(void)
{
    struct pair p;
    evtchn_port_t a, b;

    if (!connect_pair(&p)) {
        check(false, "a channel for the delivery checks");
        close_pair(&p);
        return;
    }
    a = (evtchn_port_t)p.pa;
    b = (evtchn_port_t)p.pb;
    take_all(p.b);
    for (int i = 0; i < 5; i++)
        xenevtchn_notify(p.a, a);
    check(readable(p.b) && readable(p.b), "readable while an event is queued (level, not edge)");
    check(take(p.b) == p.pb && !readable(p.b), "five notifies are one event");
    xenevtchn_notify(p.a, a);
    check(!readable(p.b), "a port is masked from pending() to unmask()");
    xenevtchn_unmask(p.b, b);
    check(take(p.b) == p.pb, "a notify while masked is delivered after unmask()");
    xenevtchn_unmask(p.b, b);
    check(!readable(p.b), "and only once");
    check(xenevtchn_unmask(p.a, b) == 0, "unmask of another handle's port is silently nothing");
    xenevtchn_notify(p.b, b);
    check(take(p.a) == p.pa, "the other direction");
    set_nonblock(p.a);
    errno = 0;
    check(xenevtchn_pending(p.a) < 0 && errno == EAGAIN, "O_NONBLOCK with nothing queued: EAGAIN");
    close_pair(&p);
}

static void test_many_ports(void)
{
    struct pair p;
    int far[16], near[16], seen = 0;

    if (!connect_pair(&p)) {
        check(false, "a channel for the many-ports checks");
        close_pair(&p);
        return;
    }
    for (int i = 0; i < 16; i++) {
        far[i] = xenevtchn_bind_unbound_port(p.a, self);
        near[i] = xenevtchn_bind_interdomain(p.b, self, (evtchn_port_t)far[i]);
    }
    take_all(p.b);
    for (int i = 0; i < 16; i++)
        xenevtchn_notify(p.a, (evtchn_port_t)far[i]);
    for (int port; (port = take(p.b)) >= 0;)
        for (int i = 0; i < 16; i++)
            seen |= port == near[i] ? 1 << i : 0;
    check(seen == 0xffff, "sixteen ports of one handle are all delivered");
    close_pair(&p);
}

/* Sends the handle's descriptor through a socket and opens it again from there. */
static xenevtchn_handle *pass(xenevtchn_handle *xce, bool close_first)
{
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    int fd = xenevtchn_fd(xce), got = -1, sv[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
        return NULL;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    if (sendmsg(sv[0], &msg, 0) == 1) {
        if (close_first)
            xenevtchn_close(xce);
        if (recvmsg(sv[1], &msg, MSG_CMSG_CLOEXEC) == 1)
            memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
    }
    close(sv[0]);
    close(sv[1]);
    return got < 0 ? NULL : xenevtchn_fdopen(NULL, got, 0);
}

static void test_passing(void)
{
    struct pair p;
    xenevtchn_handle *copy;

    if (!connect_pair(&p)) {
        check(false, "a channel for the passing checks");
        close_pair(&p);
        return;
    }
    copy = pass(p.b, true);
    check(copy != NULL, "a handle passed over a socket opens with fdopen, its sender closed");
    p.b = copy;
    if (copy) {
        take_all(copy);
        xenevtchn_notify(p.a, (evtchn_port_t)p.pa);
        check(take(copy) == p.pb, "the passed handle receives events");
        check(!xenevtchn_notify(copy, (evtchn_port_t)p.pb) && take(p.a) == p.pa,
              "the passed handle sends events");
        check(xenevtchn_bind_unbound_port(copy, self) >= 0, "the passed handle binds ports");
        p.b = pass(copy, true);
        check(p.b && xenevtchn_bind_unbound_port(p.b, self) >= 0, "and can be passed on");
    }
    close_pair(&p);
}

static void test_restrict(void)
{
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);

    if (!xce) {
        check(false, "a handle for the restriction checks");
        return;
    }
    errno = 0;
    check(xenevtchn_restrict(xce, 0) < 0 && errno == EINVAL, "restrict to domain 0: EINVAL");
    check(xenevtchn_restrict(xce, UNKNOWN_DOMAIN) == 0, "restrict to a domain");
    errno = 0;
    check(xenevtchn_restrict(xce, UNKNOWN_DOMAIN) < 0 && errno == EACCES,
          "restrict a second time: EACCES");
    errno = 0;
    check(xenevtchn_bind_unbound_port(xce, self) < 0 && errno == EACCES,
          "a restricted handle binds to no other domain: EACCES");
    errno = 0;
    check(xenevtchn_bind_virq(xce, 3) < 0 && errno == EACCES,
          "a restricted handle binds no virtual interrupt: EACCES");
    xenevtchn_close(xce);
}

/* A child that binds to our port and dies without closing anything. */
static void test_death(void)
{
    xenevtchn_handle *xce = xenevtchn_open(NULL, 0);
    int port = xce ? xenevtchn_bind_unbound_port(xce, self) : -1;
    int status, again;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        xenevtchn_handle *mine = xenevtchn_open(NULL, 0);

        _exit(!mine || xenevtchn_bind_interdomain(mine, self, (evtchn_port_t)port) < 0);
    }
    check(child > 0 && waitpid(child, &status, 0) == child && status == 0,
          "another process binds to our port");
    again = xce ? xenevtchn_bind_interdomain(xce, self, (evtchn_port_t)port) : -1;
    check(again >= 0, "after its death the port can be bound again");
    if (xce)
        xenevtchn_close(xce);
}

int main(void)
{
    const char *domid = getenv("FAKEXEN_DOMID");
    self = domid ? (uint32_t)strtoul(domid, NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    test_binding();
    test_delivery();
    test_many_ports();
    test_passing();
    test_restrict();
    test_death();
    test_grants();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
