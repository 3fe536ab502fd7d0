/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the halves of the fake libxengnttab.so.1: gnttab.c maps and copies, gntshr.c grants. */
#ifndef FAKEXEN_GNTTAB_H
#define FAKEXEN_GNTTAB_H

#include "hv.h"

#include <xengnttab.h>

/* Pages shared by one call, in a list of the process that shares them. */
struct fx_share {
    struct fx_share *next;
    void *base;
    uint32_t count;
    uint32_t notify_offset;
    evtchn_port_t notify_port;
    uint8_t notify; /* 1: clear the byte, 2: send the event */
    uint32_t ref[];
};

struct xengntdev_handle {
    int fd;
    uint32_t index; /* in fx_hv->gnt */
    uint64_t serial;
    char *ram;
    struct fx_share *shares; /* under the lock */
};

struct xengntdev_handle *fx_gnt_open(unsigned int flags);
int fx_gnt_close(struct xengntdev_handle *xgt);
struct fx_domain *fx_gnt_self(const struct xengntdev_handle *xgt);
void *fx_map_pages(int fd, uint32_t count, const off_t *offset, int prot);
void fx_gnt_forget_shares(struct xengntdev_handle *xgt);

#endif
