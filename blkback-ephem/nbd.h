/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nbd: the NBD door: fixed newstyle, on a listening unix socket, onto the same volumes the rings
 * serve.  Connections are spread over the guest's lanes; a connection is touched by its lane's
 * thread only.
 */
#ifndef EPHEM_NBD_H
#define EPHEM_NBD_H

#include <stddef.h>
#include "limit.h"
#include "volume.h"

struct loop;
struct nbd;

struct nbd_export {
    const char *name; /* outlives the door */
    struct volume *volume;
};

/*
 * Accepts on `listener` (non-blocking, the caller's) from `loop`'s thread.  The first export is the
 * default one.  Lanes must run already.  `limit` is asked before each request.  0 or negative errno.
 */
int nbd_open(struct nbd **out, struct loop *loop, int listener, const struct nbd_export *exports,
             size_t nexports, struct lane *const *lanes, size_t nlanes, struct limit *limit);

/* Stops accepting, hangs up every connection, and returns when nothing of it is in flight. */
void nbd_close(struct nbd *nbd);

#endif
