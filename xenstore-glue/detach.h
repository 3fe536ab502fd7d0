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

/*
 * Of a vbd that is Closed, offline and held by nobody: its folder and the guest's, when `ephemctl
 * attach` made them.  No toolstack knows of such a disk, so that nobody else would.  In a driver domain
 * its own folder, of every disk: libxl waits for that (libxl_device.c, device_destroy_be_watch_cb), but has to see
 * Closed before.
 */
void detach_erase(struct vbd *vbd);

#endif
