// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd_conn: a connection's input and its life.
 *
 * Input is read into one arena page, a little ahead of what is being parsed, so that a batch of
 * requests costs one system call; the payload of a write goes straight into the request's buffer.
 * What the client may make us hold is bounded: its requests, a share of the arena, one page.  While
 * it is at a bound its socket is not read, so it stalls itself; should anybody on the
 * thread, a ring or a client of any door, wait for pages in vain all the same, one that moves nothing is
 * hung up on.  The same goes for the guest's rate: once
 * it is used up, the next request stays where it is until a timer goes on with it.
 */
#include "nbd_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define HANDSHAKE_MS 10000u
#define STALL_MS     10000u
#define AHEAD        1024u /* bytes read at once, besides payload */
#define ROUNDS       16u   /* reads before others have their turn */

static struct iothread *conn_thread(const struct nbd_conn *conn)
{
    return lane_thread(conn->home->lane);
}

struct arena *nbd_conn_arena(const struct nbd_conn *conn)
{
    return iothread_arena(conn_thread(conn));
}

void nbd_conn_touch(struct nbd_conn *conn)
{
    if (list_empty(&conn->touched))
        list_append(&conn->home->touched, &conn->touched);
}

static void conn_buffer_ready(struct arena_waiter *waiter)
{
    nbd_conn_touch(container_of(waiter, struct nbd_conn, waiter));
}

void nbd_conn_wait(struct nbd_conn *conn)
{
    if (list_empty(&conn->waiter.link))
        arena_wait(nbd_conn_arena(conn), &conn->waiter);
}

static bool conn_receiving(const struct nbd_conn *conn)
{
    return conn->incoming && !conn->incoming->flying;
}

/* Is there room for what the client sends next? */
static bool conn_hungry(const struct nbd_conn *conn)
{
    if (conn->dead || conn->draining || conn->throttled || conn->stalled ||
        !list_empty(&conn->waiter.link))
        return false;
    if (conn->handshake)
        return !conn->handshake->reply_bytes;
    return conn->incoming ? conn_receiving(conn) : conn->live < NBD_REQUESTS;
}

static void conn_greeted(struct nbd_conn *conn)
{
    conn->volume = conn->handshake->chosen->volume;
    conn->structured = conn->handshake->structured;
    loop_timer_stop(&conn->timer);
    conn->watched = false;
}

/* Both: true when input was used up by it. */
static bool conn_negotiate(struct nbd_conn *conn)
{
    struct nbd_handshake *handshake = conn->handshake;
    size_t used;
    enum nbd_step step = nbd_handshake_feed(handshake, conn->page + conn->from,
                                            conn->to - conn->from, &used);

    conn->from += (uint32_t)used;
    conn->skip = handshake->skip;
    handshake->skip = 0;
    if (step == NBD_STEP_BREAK)
        nbd_conn_hang_up(conn);
    else if (step == NBD_STEP_END)
        conn->draining = true;
    else if (step == NBD_STEP_SERVE)
        conn_greeted(conn);
    return step != NBD_STEP_MORE;
}

static void conn_resume(struct loop_timer *timer)
{
    struct nbd_conn *conn = container_of(timer, struct nbd_conn, resume);

    conn->throttled = false;
    nbd_conn_touch(conn);
}

/* True when it was used up: the next request, unless its guest has asked enough. */
static bool conn_take(struct nbd_conn *conn)
{
    const uint8_t *header = conn->page + conn->from;
    uint32_t ms = nbd_request_ends(header) ? 0 : limit_take(conn->home->limit);

    if (ms) {
        conn->throttled = true;
        loop_timer_set(iothread_loop(conn_thread(conn)), &conn->resume, ms);
        return false;
    }
    conn->from += NBD_REQUEST_BYTES;
    if (nbd_request_take(conn, header))
        nbd_conn_hang_up(conn);
    return true;
}

static bool conn_parse(struct nbd_conn *conn)
{
    uint32_t have = conn->to - conn->from;

    if (conn->skip) {
        uint32_t some = min_u32(conn->skip, have);
        conn->skip -= some;
        conn->from += some;
    } else if (conn->incoming) {
        struct nbd_request *request = conn->incoming;
        uint32_t some = min_u32((uint32_t)request->io.length - request->got, have);
        memcpy(vio_data(&request->io) + request->got, conn->page + conn->from, some);
        conn->from += some;
        request->got += some;
        if (request->got == request->io.length)
            nbd_request_received(request);
    } else if (conn->handshake) {
        return conn_negotiate(conn);
    } else {
        return have >= NBD_REQUEST_BYTES && conn_take(conn);
    }
    return true;
}

static void conn_consume(struct nbd_conn *conn)
{
    while (conn_hungry(conn) && conn->from < conn->to && conn_parse(conn))
        ;
}

static void conn_drop_page(struct nbd_conn *conn)
{
    nbd_share_page_put(conn);
    conn->from = conn->to = 0;
}

/* The other side will send no more. */
static void conn_end_of_input(struct nbd_conn *conn)
{
    if (conn->handshake || conn->incoming)
        nbd_conn_hang_up(conn);
    conn->draining = true;
}

/* The payload's part of what was read, and the rest to the page. */
static void conn_received(struct nbd_conn *conn, size_t bytes)
{
    struct nbd_request *request = conn->incoming;

    conn->moved = true;
    if (request) {
        uint32_t wanted = (uint32_t)request->io.length - request->got;
        uint32_t some = (uint32_t)min_u64(bytes, wanted);
        request->got += some;
        bytes -= some;
        conn->to += (uint32_t)bytes;
        if (some == wanted)
            nbd_request_received(request);
    } else {
        conn->to += (uint32_t)bytes;
    }
    conn_consume(conn);
}

/* One read, after the page was consumed as far as can be.  True when the socket may hold more. */
static bool conn_receive(struct nbd_conn *conn)
{
    struct nbd_request *request = conn->incoming;
    struct iovec iov[2];
    size_t asked = 0;
    int n = 0;

    if (!conn->page && !nbd_share_page_get(conn)) {
        nbd_conn_wait(conn);
        return false;
    }
    memmove(conn->page, conn->page + conn->from, conn->to - conn->from);
    conn->to -= conn->from;
    conn->from = 0;
    if (request) {
        iov[n].iov_base = vio_data(&request->io) + request->got;
        iov[n].iov_len = request->io.length - request->got;
        asked += iov[n++].iov_len;
    }
    iov[n].iov_base = conn->page + conn->to;
    iov[n].iov_len = (conn->handshake || conn->skip ? ARENA_PAGE : AHEAD) - conn->to;
    asked += iov[n++].iov_len;
    ssize_t got = readv(conn->source.fd, iov, n);
    if (got > 0)
        conn_received(conn, (size_t)got);
    else if (got == 0)
        conn_end_of_input(conn);
    else if (errno != EAGAIN && errno != EINTR)
        nbd_conn_hang_up(conn);
    return got > 0 && (size_t)got == asked;
}

static void conn_ready(struct loop_source *source, uint32_t events)
{
    struct nbd_conn *conn = container_of(source, struct nbd_conn, source);

    nbd_conn_touch(conn);
    if (events & EPOLLOUT)
        conn->blocked = false;
    if (events & EPOLLIN) {
        conn_consume(conn);
        for (uint32_t i = 0; i < ROUNDS && conn_hungry(conn) && conn_receive(conn); i++)
            ;
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        nbd_conn_hang_up(conn);
    }
}

/* Does the client have to move for us to go on? */
static bool conn_awaits(const struct nbd_conn *conn)
{
    return conn->blocked || conn->draining || conn_receiving(conn) ||
           (conn->from < conn->to && conn_hungry(conn)); /* half a request */
}

static void conn_watch(struct nbd_conn *conn)
{
    conn->watched = true;
    conn->moved = false;
    loop_timer_set(iothread_loop(conn_thread(conn)), &conn->timer, STALL_MS);
}

static void conn_late(struct loop_timer *timer)
{
    struct nbd_conn *conn = container_of(timer, struct nbd_conn, timer);
    bool wanted = conn->draining || arena_awaited(nbd_conn_arena(conn), &conn->waiter);

    conn->watched = false;
    nbd_conn_touch(conn);
    if (!conn->volume || (wanted && !conn->moved && conn_awaits(conn)))
        nbd_conn_hang_up(conn);
}

static void conn_close(struct nbd_conn *conn)
{
    struct nbd *nbd = conn->home->nbd;

    nbd_share_leave(conn);
    list_remove(&conn->link);
    list_remove(&conn->touched);
    close(conn->source.fd);
    free(conn->handshake);
    free(conn);
    nbd_ended(nbd);
}

void nbd_conn_hang_up(struct nbd_conn *conn)
{
    if (conn->dead)
        return;
    conn->dead = true;
    loop_remove(&conn->source);
    loop_timer_stop(&conn->timer);
    loop_timer_stop(&conn->resume);
    list_remove(&conn->waiter.link);
    nbd_request_drop_all(conn);
    conn_drop_page(conn);
    nbd_conn_touch(conn);
}

/* Asks the loop and the timer for what can bring the connection on. */
static void conn_rest(struct nbd_conn *conn)
{
    uint32_t events = (conn_hungry(conn) ? (uint32_t)EPOLLIN : 0) |
                      (conn->blocked ? (uint32_t)EPOLLOUT : 0);

    if (conn->from == conn->to && !conn->live)
        conn_drop_page(conn);
    if (events != conn->events && loop_change(&conn->source, events)) {
        nbd_conn_hang_up(conn);
        return;
    }
    conn->events = events;
    if (!conn->watched && conn_awaits(conn))
        conn_watch(conn);
}

void nbd_conn_turn(struct nbd_conn *conn)
{
    if (!conn->dead && conn->stalled)
        nbd_request_start(conn->stalled);
    conn_consume(conn);
    nbd_reply_send(conn);
    if (conn->handshake && conn->volume && !nbd_reply_pending(conn)) {
        free(conn->handshake);
        conn->handshake = NULL;
        conn_consume(conn);
    }
    if (conn->draining && !conn->live && !nbd_reply_pending(conn))
        nbd_conn_hang_up(conn);
    if (!conn->dead)
        conn_rest(conn);
    else if (!conn->live)
        conn_close(conn);
}

static void conn_start(struct work *work)
{
    struct nbd_conn *conn = container_of(work, struct nbd_conn, start);
    struct loop *loop = iothread_loop(conn_thread(conn));

    nbd_share_join(conn);
    list_append(&conn->home->conns, &conn->link);
    nbd_conn_touch(conn);
    conn->watched = true;
    loop_timer_set(loop, &conn->timer, HANDSHAKE_MS);
    if (loop_add(loop, &conn->source, 0))
        nbd_conn_hang_up(conn);
}

int nbd_conn_open(struct nbd_conn **out, struct nbd_home *home, int fd,
                  struct nbd_handshake *handshake)
{
    struct nbd_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return -ENOMEM;
    conn->home = home;
    conn->handshake = handshake;
    conn->start.run = conn_start;
    conn->source = (struct loop_source){.fd = fd, .ready = conn_ready};
    conn->timer.fire = conn_late;
    conn->resume.fire = conn_resume;
    conn->waiter.ready = conn_buffer_ready;
    list_init(&conn->link);
    list_init(&conn->touched);
    list_init(&conn->waiter.link);
    list_init(&conn->idle);
    list_init(&conn->out);
    *out = conn;
    return 0;
}
