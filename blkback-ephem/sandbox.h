/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox: what this process may do, less with each call.  Acquire, drop, then parse.
 */
#ifndef EPHEM_SANDBOX_H
#define EPHEM_SANDBOX_H

#include <sys/types.h>

#define SANDBOX_TEXT 160

enum sandbox_kind { SANDBOX_WORKER, SANDBOX_SERVE };

/* First thing in main: no core dumps, not ptraceable, no memory arenas per thread. */
void sandbox_enter(void);

/*
 * When everything is open and there is one thread: locks all memory from now on where the limit allows
 * it, gives up every capability, the way back (no_new_privs) and all system calls but those that are
 * needed until sandbox_close().  A worker also goes into namespaces of its own, where there is nothing,
 * and, when it was root, becomes what sandbox_user() says.  0 or negative errno with `text`: then nothing
 * may be served.
 */
int sandbox_drop(enum sandbox_kind kind, char text[SANDBOX_TEXT]);

/*
 * Who a worker becomes, by the file of users `passwd`: blkback-ephem, or nobody (65534) where there is no such
 * user or file.  0; -EPERM: that user, or its group, is root's; else negative errno.
 */
int sandbox_user(const char *passwd, uid_t *uid, gid_t *gid);

/* When all threads run, before the first guest-written byte: none is made any more, and of the system
 * calls only those stay that serving takes.  As above. */
int sandbox_close(enum sandbox_kind kind, char text[SANDBOX_TEXT]);

#endif
