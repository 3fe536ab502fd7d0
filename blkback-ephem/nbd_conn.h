/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd_conn: one NBD connection: a socket, its input, its requests, its replies.  Everything of it
 * runs on its lane's thread.  Whatever happens to a connection only marks it (nbd_conn_touch); the
 * home's hook then gives it its turn, once a turn of the thread.
 */
#ifndef EPHEM_NBD_CONN_H
#define EPHEM_NBD_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include "arena.h"
#include "iothread.h"
#include "loop.h"
#include "nbd.h"
#include "nbd_handshake.h"
#include "nbd_wire.h"
#include "volume.h"

#define NBD_REQUESTS    64u    /* of one connection at a time */
#define NBD_SMALL_PART  65536u /* what DF promises at least */
#define NBD_SMALL_PAGES (NBD_SMALL_PART / BLOCK_SIZE + 3)

struct nbd_conn;

/* What the door has on one lane. */
struct nbd_home {
    struct nbd *nbd;
    struct lane *lane;
    struct limit *limit;
    struct iothread_hook hook;
    struct list conns, touched;
};

/*
 * idle -> [stalled for a buffer] -> [incoming: payload] -> flying -> out (its reply) -> idle.
 * A request that the volume cannot take in one piece goes round, a part at a time.
 */
struct nbd_request {
    struct list link; /* conn: idle or out */
    struct nbd_conn *conn;
    uint64_t cookie, offset;
    uint32_t length;
    uint32_t done; /* bytes of it behind us */
    uint32_t got;  /* of the running part's payload */
    uint16_t command, flags;
    bool live;   /* not idle */
    bool flying; /* in the volume */
    uint8_t head[28];
    uint32_t head_bytes, data_bytes, sent; /* of the reply */
    uint32_t pages, part;                  /* of buf; bytes it takes at a time */
    uint8_t *buf;
    struct vio io;
};

struct nbd_conn {
    struct list link;    /* home->conns */
    struct list touched; /* home->touched */
    struct nbd_home *home;
    struct work start;
    struct loop_source source;
    uint32_t events; /* asked for */
    struct loop_timer timer, resume;
    struct arena_waiter waiter;
    bool watched;   /* the timer runs */
    bool moved;     /* bytes went through since it was set */
    bool blocked;   /* the socket takes no more for now */
    bool throttled; /* reads no more until `resume` */
    bool draining;  /* reads no more; ends when everything is answered */
    bool dead;      /* ends when nothing of it is in the volume */

    struct nbd_handshake *handshake; /* NULL while serving */
    size_t greeted;                  /* bytes sent of its reply */
    struct volume *volume;
    bool structured;

    uint8_t *page; /* of the arena: input bytes from..to; NULL when there are none */
    uint32_t from, to;
    uint32_t skip; /* input bytes to ignore */

    struct nbd_request *stalled;  /* has no buffer yet */
    struct nbd_request *incoming; /* its payload comes next */
    struct nbd_request *solo;     /* its simple reply has begun: nobody else's may come between */
    struct list idle, out;
    uint32_t fresh; /* requests never used so far */
    uint32_t live;  /* not idle */
    uint32_t pages; /* of the arena, theirs; see nbd_share.c */
    struct nbd_request requests[NBD_REQUESTS];
};

/* nbd_conn.c.  open: any thread, owns fd from success on; then post conn->start to the thread. */
int nbd_conn_open(struct nbd_conn **out, struct nbd_home *home, int fd,
                  struct nbd_handshake *handshake);
struct arena *nbd_conn_arena(const struct nbd_conn *conn); /* its thread's */
void nbd_conn_touch(struct nbd_conn *conn);
void nbd_conn_turn(struct nbd_conn *conn);
void nbd_conn_wait(struct nbd_conn *conn);

/* Answers nothing any more.  The connection is freed in a later turn. */
void nbd_conn_hang_up(struct nbd_conn *conn);

/* nbd_reply.c.  queue: the request's reply is ready. */
void nbd_reply_queue(struct nbd_request *request);
void nbd_reply_send(struct nbd_conn *conn);
bool nbd_reply_pending(const struct nbd_conn *conn);

/* nbd_request.c.  take: a request's 28 bytes; 0, or -EPROTO: they are none.  ends: they say goodbye. */
bool nbd_request_ends(const uint8_t *header);
int nbd_request_take(struct nbd_conn *conn, const uint8_t *header);
void nbd_request_start(struct nbd_request *request);
void nbd_request_received(struct nbd_request *request);
void nbd_request_sent(struct nbd_request *request);
void nbd_request_drop_all(struct nbd_conn *conn);

/*
 * nbd_share.c: the arena, for connections; join and leave around everything else, holding nothing.
 * get: NULL or false: not now, see nbd_conn_wait().  `small`: of a part of at most NBD_SMALL_PART; there
 * is more room for the first one.  page: conn->page.
 */
void nbd_share_join(struct nbd_conn *conn);
void nbd_share_leave(struct nbd_conn *conn);
uint8_t *nbd_share_get(struct nbd_conn *conn, uint32_t pages, bool small);
void nbd_share_put(struct nbd_conn *conn, uint8_t *buf, uint32_t pages);
bool nbd_share_page_get(struct nbd_conn *conn);
void nbd_share_page_put(struct nbd_conn *conn);

/* nbd.c: the connection is gone. */
void nbd_ended(struct nbd *nbd);

#endif
