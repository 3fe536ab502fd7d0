/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connect: a vbd's way from a volume to Connected: the ring.  As attach.
 */
#ifndef EPHEM_CONNECT_H
#define EPHEM_CONNECT_H

#include "vbd.h"

/* Ring keys read together with the frontend's state, CONNECT under way; or attach_refuse(). */
void connect_ring(struct vbd *vbd);

/* The disk's size, then Connected, in one transaction. */
void connect_announce(struct vbd *vbd);

/* Its size and sectors, inside of the caller's transaction.  0 or negative errno. */
int connect_put_size(struct xenstore *xs, const struct vbd *vbd);

/* Its new size, then Connected once more, in one transaction. */
void connect_resize(struct vbd *vbd);

/* The bytes that xenstore says it has; 0: it says none. */
uint64_t connect_announced(struct vbd *vbd);

/* A ring that was taken over must be the one whose keys stand in xenstore; or attach_refuse(). */
void connect_compare(struct vbd *vbd);

#endif
