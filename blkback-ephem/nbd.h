/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd: the NBD door: fixed newstyle, on unix sockets, onto the same volumes the rings
 * serve.  Connections are spread over the guest's lanes; a connection is touched by its lane's
 * thread only.
 */
#ifndef EPHEM_NBD_H
#define EPHEM_NBD_H

#include <stddef.h>
#include "limit.h"
#include "volume.h"

struct loop;
struct mailbox;
struct nbd;
struct work;

struct nbd_export {
    const char *name; /* outlives the door */
    struct volume *volume;
};

/*
 * Accepts on `listener` (non-blocking, the caller's; -1: none) from `loop`'s thread.  The first export is the
 * default one.  Lanes must run already.  `limit` is asked before each request.  0 or negative errno.
 */
int nbd_open(struct nbd **out, struct loop *loop, int listener, const struct nbd_export *exports,
             size_t nexports, struct lane *const *lanes, size_t nlanes, struct limit *limit);

/* A connection that was accepted elsewhere, non-blocking; takes `fd`.  `loop`'s thread. */
void nbd_welcome(struct nbd *nbd, int fd);

/* Stops accepting and hangs up every connection; `shut` is posted when nothing of them is in flight,
 * and then nbd_close() does not wait.  Nobody is to be welcomed any more. */
void nbd_shut(struct nbd *nbd, struct mailbox *mailbox, struct work *shut);

/* Stops accepting, hangs up every connection, and returns when nothing of it is in flight. */
void nbd_close(struct nbd *nbd);

#endif
