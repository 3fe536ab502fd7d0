/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evtchn: event-channel handles for workers.  The daemon opens and restricts them; it never binds
 * a port itself.
 */
#ifndef EPHEM_EVTCHN_H
#define EPHEM_EVTCHN_H

#include <stdint.h>

/*
 * A new handle that can only ever talk to `domid` (the kernel allows one domid a handle), as a
 * close-on-exec descriptor that is the caller's.  The descriptor, or negative errno.
 */
int evtchn_open(uint32_t domid);

#endif
