// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nbd_share: what the NBD connections on a thread, of all doors together, may hold of its arena: half;
 * the other half is the rings'.
 *
 * Three quarters of that half are anybody's who leaves room for a small part to each connection there
 * is.  The last quarter is for small parts of connections that hold nothing: so a client that does not
 * read its replies keeps what it has, and those who come later still get on.  When that is used up too,
 * they wait, and nbd_conn hangs up on whoever moves nothing.
 */
#include "nbd_conn.h"

static uint32_t share_claim(const struct nbd_conn *conn)
{
    return conn->pages > NBD_SMALL_PAGES ? conn->pages : NBD_SMALL_PAGES;
}

void nbd_share_join(struct nbd_conn *conn)
{
    arena_share(nbd_conn_arena(conn))->claims += share_claim(conn);
}

void nbd_share_leave(struct nbd_conn *conn)
{
    arena_share(nbd_conn_arena(conn))->claims -= share_claim(conn);
}

static bool share_fits(const struct nbd_conn *conn, uint32_t pages, bool small)
{
    const struct arena_share *share = arena_share(nbd_conn_arena(conn));
    uint32_t half = arena_pages(nbd_conn_arena(conn)) / 2;
    uint32_t others = share->claims - share_claim(conn);

    if (share->pages + pages > half)
        return false;
    return (small && !conn->pages) || others + conn->pages + pages <= half - half / 4;
}

/* The pages of connections' requests have changed hands. */
static void share_count(struct nbd_conn *conn, int32_t pages)
{
    struct arena_share *share = arena_share(nbd_conn_arena(conn));

    share->claims -= share_claim(conn);
    conn->pages += (uint32_t)pages;
    share->claims += share_claim(conn);
    share->pages += (uint32_t)pages;
}

uint8_t *nbd_share_get(struct nbd_conn *conn, uint32_t pages, bool small)
{
    uint8_t *buf = share_fits(conn, pages, small) ? arena_get(nbd_conn_arena(conn), pages) : NULL;

    if (buf)
        share_count(conn, (int32_t)pages);
    return buf;
}

void nbd_share_put(struct nbd_conn *conn, uint8_t *buf, uint32_t pages)
{
    arena_put(nbd_conn_arena(conn), buf, pages);
    share_count(conn, -(int32_t)pages);
}

bool nbd_share_page_get(struct nbd_conn *conn)
{
    struct arena_share *share = arena_share(nbd_conn_arena(conn));

    /* Pages of input alone must not keep everybody's requests out. */
    if (share->pages + 1 + NBD_SMALL_PAGES <= arena_pages(nbd_conn_arena(conn)) / 2)
        conn->page = arena_get(nbd_conn_arena(conn), 1);
    share->pages += conn->page != NULL;
    return conn->page != NULL;
}

void nbd_share_page_put(struct nbd_conn *conn)
{
    if (!conn->page)
        return;
    arena_put(nbd_conn_arena(conn), conn->page, 1);
    arena_share(nbd_conn_arena(conn))->pages--;
    conn->page = NULL;
}
