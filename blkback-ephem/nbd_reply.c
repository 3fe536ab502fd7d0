// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd_reply: a connection's replies, sent together once a turn: head and data of each straight from
 * where they lie.  Replies leave in the order they became ready.  Only a simple reply that goes in
 * parts (solo) keeps the others back until its last part has left: nothing may come between.
 */
#include "nbd_conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define REPLY_BATCH 32u

void nbd_reply_queue(struct nbd_request *request)
{
    struct nbd_conn *conn = request->conn;

    request->sent = 0;
    list_append(conn->solo == request ? conn->out.next : &conn->out, &request->link);
    nbd_conn_touch(conn);
}

bool nbd_reply_pending(const struct nbd_conn *conn)
{
    return !list_empty(&conn->out) || (conn->handshake && conn->handshake->reply_bytes);
}

/* The greeting or an option's reply; nothing else is under way then. */
static void reply_send_handshake(struct nbd_conn *conn)
{
    struct nbd_handshake *handshake = conn->handshake;

    while (handshake->reply_bytes) {
        ssize_t n = send(conn->source.fd, handshake->reply + conn->greeted,
                         handshake->reply_bytes - conn->greeted, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            conn->blocked = errno == EAGAIN;
            if (!conn->blocked)
                nbd_conn_hang_up(conn);
            return;
        }
        conn->greeted += (size_t)n;
        if (conn->greeted == handshake->reply_bytes)
            conn->greeted = handshake->reply_bytes = 0;
        nbd_conn_touch(conn);
    }
}

static size_t reply_add(struct iovec *iov, void *base, uint32_t length, uint32_t *passed)
{
    uint32_t skip = min_u32(*passed, length);

    *passed -= skip;
    if (skip == length)
        return 0;
    *iov = (struct iovec){.iov_base = (uint8_t *)base + skip, .iov_len = length - skip};
    return 1;
}

static size_t reply_gather(struct nbd_conn *conn, struct iovec *iov)
{
    size_t n = 0;

    list_for_each(it, &conn->out)
    {
        struct nbd_request *request = container_of(it, struct nbd_request, link);
        uint32_t passed = request->sent;

        bool split = request->command == NBD_CMD_READ && !conn->structured &&
                     request->done < request->length;

        if ((conn->solo && conn->solo != request) || n + 2 > 2 * REPLY_BATCH)
            break;
        /* It becomes the only one only once nobody's reply is half sent. */
        if (split && it != conn->out.next)
            break;
        n += reply_add(iov + n, request->head, request->head_bytes, &passed);
        if (request->data_bytes)
            n += reply_add(iov + n, vio_data(&request->io), request->data_bytes, &passed);
        if (split) {
            conn->solo = request;
            break;
        }
    }
    return n;
}

static void reply_passed(struct nbd_conn *conn, size_t bytes)
{
    while (bytes) {
        struct nbd_request *request = container_of(conn->out.next, struct nbd_request, link);
        uint32_t left = request->head_bytes + request->data_bytes - request->sent;

        if (bytes < left) {
            request->sent += (uint32_t)bytes;
            return;
        }
        bytes -= left;
        list_remove(&request->link);
        nbd_request_sent(request);
    }
}

void nbd_reply_send(struct nbd_conn *conn)
{
    struct iovec iov[2 * REPLY_BATCH];

    if (conn->handshake && !conn->dead)
        reply_send_handshake(conn);
    while (!conn->dead && !conn->blocked) {
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = reply_gather(conn, iov);
        if (!message.msg_iovlen)
            return;
        ssize_t n = sendmsg(conn->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            conn->moved = true;
            reply_passed(conn, (size_t)n);
        } else if (errno == EAGAIN) {
            conn->blocked = true;
        } else if (errno != EINTR) {
            nbd_conn_hang_up(conn);
        }
    }
}
