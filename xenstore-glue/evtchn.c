// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * evtchn: open, restrict, keep the descriptor, drop the library's handle.  The handle's state is
 * the open file's, so a duplicate keeps all of it.
 */
#include "evtchn.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include <xenevtchn.h>

int evtchn_open(uint32_t domid)
{
    xenevtchn_handle *handle = xenevtchn_open(NULL, 0);
    int fd = -1;

    if (!handle)
        return errno ? -errno : -EIO;
    if (!xenevtchn_restrict(handle, (domid_t)domid))
        fd = fcntl(xenevtchn_fd(handle), F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        fd = errno ? -errno : -EIO;
    xenevtchn_close(handle);
    return fd;
}
