/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox: what this process may do, less with each call.  Acquire, drop, then parse.
 */
#ifndef EPHEM_SANDBOX_H
#define EPHEM_SANDBOX_H

#include <stdbool.h>

/* First thing in main: no core dumps, not ptraceable, no memory arenas per thread. */
void sandbox_enter(void);

/*
 * When everything is open: locks all memory from now on where the limit allows it, gives up every
 * capability and the way back (no_new_privs), and, when root and not `keep_uid`, becomes nobody.
 * 0 or negative errno: then nothing may be served.
 */
int sandbox_drop(bool keep_uid);

#endif
