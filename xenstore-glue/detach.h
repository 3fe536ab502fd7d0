/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * detach: a vbd's way down: disconnect, release, forget.  Each runs when xenbus' table says so.  A
 * vbd whose frontend is gone has DETACH_GONE ms for all of it, since the toolstack waits 10 s.
 */
#ifndef EPHEM_DETACH_H
#define EPHEM_DETACH_H

#include <stdbool.h>

#include "vbd.h"

/* DISCONNECT under way.  `force`: nobody waits for what was accepted. */
void detach_disconnect(struct vbd *vbd, bool force);

/* VOLUME_DEL under way; or, with the guest's last vbd, the end of its life. */
void detach_release(struct vbd *vbd);

/* Frees it. */
void detach_forget(struct vbd *vbd);

/* After each look: whether it must be over soon. */
void detach_set_deadline(struct vbd *vbd, const struct xenbus_view *view);

#endif
