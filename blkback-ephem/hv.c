// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hv: thin, so that what runs on stand-ins in tests is what runs on Xen.
 */
#include "hv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define HV_BATCH 64u

struct hv {
    xengnttab_handle *grants;
};

struct hv_events {
    xenevtchn_handle *handle;
};

int hv_open(struct hv **out)
{
    struct hv *hv = calloc(1, sizeof(*hv));

    if (!hv)
        return -ENOMEM;
    hv->grants = xengnttab_open(NULL, 0);
    if (!hv->grants) {
        int err = errno ? -errno : -ENODEV;
        free(hv);
        return err;
    }
    *out = hv;
    return 0;
}

void hv_close(struct hv *hv)
{
    if (!hv)
        return;
    xengnttab_close(hv->grants);
    free(hv);
}

void *hv_map(struct hv *hv, uint32_t domid, uint32_t count, const uint32_t *refs)
{
    uint32_t copy[16];

    if (count > 16)
        return NULL;
    memcpy(copy, refs, count * sizeof(*copy));
    return xengnttab_map_domain_grant_refs(hv->grants, count, domid, copy, PROT_READ | PROT_WRITE);
}

void hv_unmap(struct hv *hv, void *pages, uint32_t count)
{
    if (pages)
        xengnttab_unmap(hv->grants, pages, count);
}

static void hv_segment(xengnttab_grant_copy_segment_t *segment, const struct hv_copy *copy)
{
    memset(segment, 0, sizeof(*segment));
    if (copy->to_guest) {
        segment->source.virt = copy->local;
        segment->dest.foreign.ref = copy->ref;
        segment->dest.foreign.offset = copy->offset;
        segment->dest.foreign.domid = copy->domid;
        segment->flags = GNTCOPY_dest_gref;
    } else {
        segment->source.foreign.ref = copy->ref;
        segment->source.foreign.offset = copy->offset;
        segment->source.foreign.domid = copy->domid;
        segment->dest.virt = copy->local;
        segment->flags = GNTCOPY_source_gref;
    }
    segment->len = copy->length;
    segment->status = -1;
}

void hv_copy(struct hv *hv, struct hv_copy *copies, uint32_t count)
{
    xengnttab_grant_copy_segment_t segments[HV_BATCH];

    while (count) {
        uint32_t n = count < HV_BATCH ? count : HV_BATCH;

        for (uint32_t i = 0; i < n; i++)
            hv_segment(&segments[i], &copies[i]);
        int err = xengnttab_grant_copy(hv->grants, n, segments);
        for (uint32_t i = 0; i < n; i++)
            copies[i].ok = !err && segments[i].status == GNTST_okay;
        copies += n;
        count -= n;
    }
}

int hv_events_open(struct hv_events **out, int fd)
{
    struct hv_events *events = calloc(1, sizeof(*events));

    if (!events)
        return -ENOMEM;
    if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int err = -errno;
        free(events);
        return err;
    }
    events->handle = xenevtchn_fdopen(NULL, fd, 0);
    if (!events->handle) {
        free(events);
        return -EINVAL;
    }
    *out = events;
    return 0;
}

void hv_events_close(struct hv_events *events)
{
    if (!events)
        return;
    xenevtchn_close(events->handle);
    free(events);
}

int hv_events_fd(const struct hv_events *events)
{
    return xenevtchn_fd(events->handle);
}

int hv_bind(struct hv_events *events, uint32_t domid, uint32_t remote)
{
    xenevtchn_port_or_error_t port = xenevtchn_bind_interdomain(events->handle, domid, remote);

    return port >= 0 ? (int)port : -(errno ? errno : EINVAL);
}

void hv_unbind(struct hv_events *events, int port)
{
    xenevtchn_unbind(events->handle, (evtchn_port_t)port);
}

int hv_pending(struct hv_events *events)
{
    xenevtchn_port_or_error_t port = xenevtchn_pending(events->handle);

    return port >= 0 ? (int)port : -EAGAIN;
}

void hv_unmask(struct hv_events *events, int port)
{
    xenevtchn_unmask(events->handle, (evtchn_port_t)port);
}

void hv_notify(struct hv_events *events, int port)
{
    xenevtchn_notify(events->handle, (evtchn_port_t)port);
}
