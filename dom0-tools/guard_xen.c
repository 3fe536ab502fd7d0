// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_xen: four calls of libxenctrl that Xen releases from 4.17 on have in common.  A domain that
 * was never scheduled has used no CPU time at all: that is how one that has run is told from one that
 * has not, whoever paused it.
 */
#include "guard_xen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenctrl.h>

#include "util.h"

struct guard_xen {
    xc_interface *handle;
};

int guard_xen_open(struct guard_xen **out)
{
    struct guard_xen *xen = calloc(1, sizeof(*xen));

    if (!xen)
        return -ENOMEM;
    errno = 0;
    xen->handle = xc_interface_open(NULL, NULL, 0);
    if (!xen->handle) {
        int err = errno ? -errno : -EIO;

        free(xen);
        return err;
    }
    *out = xen;
    return 0;
}

void guard_xen_close(struct guard_xen *xen)
{
    if (!xen)
        return;
    xc_interface_close(xen->handle);
    free(xen);
}

static void xen_describe(const xc_domaininfo_t *from, struct guard_info *out)
{
    const uint8_t *u = from->handle;

    *out = (struct guard_info){.domid = from->domain,
                               .ran = from->cpu_time != 0,
                               .paused = from->flags & XEN_DOMINF_paused,
                               .dying = from->flags & XEN_DOMINF_dying};
    snprintf(out->uuid, sizeof(out->uuid),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
}

int guard_xen_list(struct guard_xen *xen, uint32_t first, struct guard_info *out, unsigned int most)
{
    xc_domaininfo_t list[32];
    unsigned int room = min_u32(most, ARRAY_SIZE(list));
    int count = xc_domain_getinfolist(xen->handle, first, room, list);

    if (count < 0)
        return errno ? -errno : -EIO;
    for (int i = 0; i < count; i++)
        xen_describe(&list[i], &out[i]);
    return count;
}

int guard_xen_ask(struct guard_xen *xen, uint32_t domid, struct guard_info *out)
{
    int count = guard_xen_list(xen, domid, out, 1);

    if (count < 0)
        return count;
    return count && out->domid == domid ? 0 : -ESRCH;
}

static int xen_result(int result)
{
    if (!result)
        return 0;
    return errno ? -errno : -EIO;
}

int guard_xen_pause(struct guard_xen *xen, uint32_t domid)
{
    return xen_result(xc_domain_pause(xen->handle, domid));
}

int guard_xen_unpause(struct guard_xen *xen, uint32_t domid)
{
    return xen_result(xc_domain_unpause(xen->handle, domid));
}
