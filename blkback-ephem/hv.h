/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv: the hypervisor as the data plane sees it: grants and event channels.  The only user of
 * libxengnttab and libxenevtchn here.  Data moves by grant copy into and out of our own memory; only
 * ring pages are ever mapped, and there is no other way to a guest's page.
 */
#ifndef EPHEM_HV_H
#define EPHEM_HV_H

#include <stdbool.h>
#include <stdint.h>

struct hv;
struct hv_events;

/* gntdev; any thread may use it.  0 or negative errno. */
int hv_open(struct hv **out);
void hv_close(struct hv *hv);

/* Maps `count` ring pages of `domid` next to each other.  NULL when refused. */
void *hv_map(struct hv *hv, uint32_t domid, uint32_t count, const uint32_t *refs);
void hv_unmap(struct hv *hv, void *pages, uint32_t count);

struct hv_copy {
    uint32_t ref;
    uint16_t domid;
    uint16_t offset; /* in the granted page; offset + length <= 4096 */
    uint16_t length;
    bool to_guest;
    bool ok; /* set by hv_copy */
    void *local;
};

/* One batch; each entry's `ok` tells its own fate (the call as such "succeeds" either way). */
void hv_copy(struct hv *hv, struct hv_copy *copies, uint32_t count);

/* From a handle's descriptor, which it owns from success on.  One thread.  0 or negative errno. */
int hv_events_open(struct hv_events **out, int fd);
void hv_events_close(struct hv_events *events);
int hv_events_fd(const struct hv_events *events);

/* The local port or negative errno. */
int hv_bind(struct hv_events *events, uint32_t domid, uint32_t remote);
void hv_unbind(struct hv_events *events, int port);

/* The next port with an event, masked until hv_unmask, or -EAGAIN. */
int hv_pending(struct hv_events *events);
void hv_unmask(struct hv_events *events, int port);
void hv_notify(struct hv_events *events, int port);

#endif
