// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd_request: check -> buffer -> payload -> volume -> reply, in parts of at most VIO_MAX, or of
 * NBD_SMALL_PART while the arena is crowded.
 *
 * Flush and FUA are answered at once: what was answered is in the pool (see volume.c).  Zeroes are
 * discards of whole blocks, with writes of the edges; a client that wants no hole gets its zeros
 * written out, which is not fast.
 * Parts of one request run one after another through the request's one buffer, since a buffer held
 * while another is awaited could deadlock the arena.
 */
#include "nbd_conn.h"

#include <errno.h>
#include <string.h>

static struct nbd_request *request_get(struct nbd_conn *conn)
{
    struct list *idle = list_pop(&conn->idle);
    struct nbd_request *request = idle ? container_of(idle, struct nbd_request, link)
                                       : &conn->requests[conn->fresh++];

    conn->live++;
    list_init(&request->link);
    request->conn = conn;
    request->done = request->got = request->pages = 0;
    request->buf = NULL;
    request->flying = false;
    request->live = true;
    return request;
}

static void request_release(struct nbd_request *request)
{
    struct nbd_conn *conn = request->conn;

    if (request->buf) {
        nbd_share_put(conn, request->buf, request->pages);
        request->buf = NULL;
    }
    if (conn->solo == request)
        conn->solo = NULL;
    list_remove(&request->link);
    list_append(conn->idle.next, &request->link);
    request->live = false;
    conn->live--;
    nbd_conn_touch(conn);
}

/* Without `error`, the reply of anything but a read. */
static void request_reply(struct nbd_request *request, uint32_t error)
{
    uint8_t *at = request->head;

    if (request->command == NBD_CMD_READ && request->conn->structured) {
        at = nbd_put32(at, NBD_STRUCTURED_MAGIC);
        at = nbd_put16(at, NBD_REPLY_DONE);
        at = nbd_put16(at, NBD_REPLY_ERROR);
        at = nbd_put64(at, request->cookie);
        at = nbd_put32(at, 6);
        at = nbd_put32(at, error);
        at = nbd_put16(at, 0);
    } else {
        at = nbd_put32(at, NBD_SIMPLE_MAGIC);
        at = nbd_put32(at, error);
        at = nbd_put64(at, request->cookie);
    }
    request->head_bytes = (uint32_t)(at - request->head);
    request->data_bytes = 0;
    request->done = request->length;
    nbd_reply_queue(request);
}

/* The part that has just been read. */
static void request_reply_data(struct nbd_request *request)
{
    uint32_t length = (uint32_t)request->io.length;
    bool last = request->done == request->length, first = request->done == length;
    uint8_t *at = request->head;

    if (request->conn->structured) {
        at = nbd_put32(at, NBD_STRUCTURED_MAGIC);
        at = nbd_put16(at, last ? NBD_REPLY_DONE : 0);
        at = nbd_put16(at, NBD_REPLY_OFFSET_DATA);
        at = nbd_put64(at, request->cookie);
        at = nbd_put32(at, 8 + length);
        at = nbd_put64(at, request->io.offset);
    } else if (first) {
        at = nbd_put32(at, NBD_SIMPLE_MAGIC);
        at = nbd_put32(at, 0);
        at = nbd_put64(at, request->cookie);
    }
    request->head_bytes = (uint32_t)(at - request->head);
    request->data_bytes = length;
    nbd_reply_queue(request);
}

static uint32_t request_error(int err)
{
    if (err == -ENOMEM)
        return NBD_ENOMEM;
    return err == -ENOSPC ? NBD_ENOSPC : NBD_EIO;
}

static void request_failed(struct nbd_request *request, int err)
{
    struct nbd_conn *conn = request->conn;

    if (conn->incoming == request) {
        conn->incoming = NULL;
        conn->skip = request->length - request->done - (uint32_t)request->io.length;
    }
    if (request->command == NBD_CMD_READ && !conn->structured && request->done) {
        request_release(request);
        nbd_conn_hang_up(conn);
        return;
    }
    request_reply(request, request_error(err));
}

/* What follows `done`, as far as the volume takes it at once. */
static void request_plan(struct nbd_request *request)
{
    struct vio *io = &request->io;
    uint32_t left = request->length - request->done;

    io->offset = request->offset + request->done;
    uint32_t into = (uint32_t)(io->offset % BLOCK_SIZE);
    io->op = request->command == NBD_CMD_READ ? VIO_READ : VIO_WRITE;
    io->length = left <= request->part ? left : request->part - into;
    io->buf = request->buf;
    request->got = 0;
    if (request->command == NBD_CMD_TRIM) {
        io->op = VIO_DISCARD;
        io->length = left;
    } else if (request->command == NBD_CMD_WRITE_ZEROES && !(request->flags & NBD_FLAG_NO_HOLE)) {
        bool edge = into || left < BLOCK_SIZE;
        io->op = edge ? VIO_WRITE : VIO_DISCARD;
        io->length = edge ? min_u32(left, BLOCK_SIZE - into) : left - left % BLOCK_SIZE;
    }
}

static void request_done(struct vio *io, int error);

static void request_submit(struct nbd_request *request)
{
    struct nbd_conn *conn = request->conn;

    if (request->command == NBD_CMD_WRITE_ZEROES && request->io.op == VIO_WRITE)
        memset(vio_data(&request->io), 0, request->io.length);
    request->flying = true;
    request->io.done = request_done;
    volume_submit(conn->volume, conn->home->lane, &request->io);
}

static void request_done(struct vio *io, int error)
{
    struct nbd_request *request = container_of(io, struct nbd_request, io);

    request->flying = false;
    nbd_conn_touch(request->conn);
    if (request->conn->dead) {
        request_release(request);
        return;
    }
    if (error) {
        request_failed(request, error);
        return;
    }
    request->done += (uint32_t)io->length;
    if (request->command == NBD_CMD_READ) {
        request_reply_data(request);
    } else if (request->done == request->length) {
        request_reply(request, 0);
    } else {
        request_plan(request);
        if (request->command != NBD_CMD_WRITE)
            request_submit(request);
    }
}

/* Pages for any part of at most `part` bytes. */
static uint32_t request_pages(const struct nbd_request *request, uint32_t part)
{
    bool edges = (request->offset | request->length) % BLOCK_SIZE;
    bool read = request->command == NBD_CMD_READ;

    if (request->command == NBD_CMD_TRIM)
        return 0;
    if (request->command == NBD_CMD_WRITE_ZEROES && !(request->flags & NBD_FLAG_NO_HOLE))
        return edges ? 3 : 0;
    if (request->length > part)
        return part / BLOCK_SIZE + 3;
    return vio_pages(read ? VIO_READ : VIO_WRITE, request->offset, request->length);
}

static bool request_buffer(struct nbd_request *request, uint32_t part)
{
    uint32_t pages = request_pages(request, part);

    if (pages) {
        request->buf = nbd_share_get(request->conn, pages, part <= NBD_SMALL_PART);
        if (!request->buf)
            return false;
        request->pages = pages;
    }
    request->part = part;
    return true;
}

void nbd_request_start(struct nbd_request *request)
{
    struct nbd_conn *conn = request->conn;

    if (!request_buffer(request, VIO_MAX) &&
        (conn->pages || !request_buffer(request, NBD_SMALL_PART))) {
        conn->stalled = request;
        if (!conn->pages)
            nbd_conn_wait(conn);
        return; /* else until one of its own has come back */
    }
    conn->stalled = NULL;
    request_plan(request);
    if (request->command == NBD_CMD_WRITE)
        conn->incoming = request;
    else
        request_submit(request);
}

void nbd_request_received(struct nbd_request *request)
{
    if (request->done + request->io.length == request->length)
        request->conn->incoming = NULL;
    request_submit(request);
}

void nbd_request_sent(struct nbd_request *request)
{
    if (request->done == request->length) {
        request_release(request);
        return;
    }
    request_plan(request);
    request_submit(request);
}

static bool request_flags_known(const struct nbd_request *request)
{
    uint32_t known = NBD_FLAG_FUA;

    if (request->command == NBD_CMD_READ && request->conn->structured)
        known |= NBD_FLAG_DF;
    if (request->command == NBD_CMD_WRITE_ZEROES)
        known |= NBD_FLAG_NO_HOLE | NBD_FLAG_FAST_ZERO;
    return !(request->flags & ~known);
}

/* 0 or what the client did wrong; for those that carry offset and length. */
static uint32_t request_refusal(const struct nbd_request *request)
{
    const struct volume_config *config = volume_config(request->conn->volume);
    bool read = request->command == NBD_CMD_READ, write = request->command == NBD_CMD_WRITE;
    bool trim = request->command == NBD_CMD_TRIM;
    uint64_t bytes = volume_bytes(request->conn->volume);

    if (!read && config->readonly)
        return NBD_EPERM;
    if (!request_flags_known(request) || (trim && !config->discard) || !request->length ||
        (request->offset | request->length) % SECTOR_SIZE)
        return NBD_EINVAL;
    if (request->offset > bytes || request->length > bytes - request->offset)
        return read || trim ? NBD_EINVAL : NBD_ENOSPC;
    if (request->flags & NBD_FLAG_DF && request->length > NBD_SMALL_PART)
        return NBD_EOVERFLOW;
    if ((read || write) && request->length > NBD_PAYLOAD_MAX)
        return NBD_EINVAL;
    if (request->flags & NBD_FLAG_FAST_ZERO && request->flags & NBD_FLAG_NO_HOLE)
        return NBD_ENOTSUP;
    return 0;
}

/* What it moves in or out of the volume; holes cost nothing. */
static uint64_t request_cost(const struct nbd_request *request)
{
    bool data = request->command == NBD_CMD_READ || request->command == NBD_CMD_WRITE;
    bool zeros = request->command == NBD_CMD_WRITE_ZEROES && request->flags & NBD_FLAG_NO_HOLE;

    return data || zeros ? request->length : 0;
}

bool nbd_request_ends(const uint8_t *header)
{
    return nbd_get16(header + 6) == NBD_CMD_DISC;
}

int nbd_request_take(struct nbd_conn *conn, const uint8_t *header)
{
    struct nbd_request *request;
    uint32_t error = 0;

    if (nbd_get32(header) != NBD_REQUEST_MAGIC)
        return -EPROTO;
    request = request_get(conn);
    request->flags = nbd_get16(header + 4);
    request->command = nbd_get16(header + 6);
    request->cookie = nbd_get64(header + 8);
    request->offset = nbd_get64(header + 16);
    request->length = nbd_get32(header + 24);
    switch (request->command) {
    case NBD_CMD_DISC:
        request_release(request);
        conn->draining = true;
        return 0;
    case NBD_CMD_READ:
    case NBD_CMD_WRITE:
    case NBD_CMD_TRIM:
    case NBD_CMD_WRITE_ZEROES:
        error = request_refusal(request);
        break;
    case NBD_CMD_FLUSH:
        error = request->length || !request_flags_known(request) ? NBD_EINVAL : 0;
        if (!error)
            volume_flushed(conn->volume);
        break;
    default:
        error = NBD_EINVAL;
    }
    if (error && request->command == NBD_CMD_WRITE)
        conn->skip = request->length;
    if (error || request->command == NBD_CMD_FLUSH) {
        request_reply(request, error);
        return 0;
    }
    limit_spend(conn->home->limit, request_cost(request));
    nbd_request_start(request);
    return 0;
}

void nbd_request_drop_all(struct nbd_conn *conn)
{
    conn->stalled = conn->incoming = NULL;
    for (uint32_t i = 0; i < conn->fresh; i++) {
        struct nbd_request *request = &conn->requests[i];
        if (request->flying)
            volume_drop_held(&request->io);
        else if (request->live)
            request_release(request);
    }
}
