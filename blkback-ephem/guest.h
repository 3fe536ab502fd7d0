/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest: the worker under the daemon: one guest life, driven by wire messages (common/wire.h).
 */
#ifndef EPHEM_GUEST_H
#define EPHEM_GUEST_H

/* Serves the daemon on `sock` (its own from now on) until QUIT or the end of an orphan.  The exit
 * status of the process. */
int guest_run(int sock);

#endif
