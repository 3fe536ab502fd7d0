// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libxengnttab.so.1, the mapping and copying half, without /dev/xen/gntdev.
 *
 * A mapping is the granted pages of `ram`, mapped one by one over a reserved range and entered in
 * the ledger. Any reason not to map is EINVAL, as from gntdev. A copy goes through a mapping of all
 * memory made at open time. Statuses are Xen's: -2 unknown domain, -3 a reference beyond the table,
 * -1 an entry that is unused, granted to another domain or read-only while we want to write.
 *
 * Not done: the dmabuf calls (ENOTTY), the driver's page limit. A mapping must be given back by
 * xengnttab_unmap(); a bare munmap() is not noticed before the process ends.
 */
#define _GNU_SOURCE
#include "gnttab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int fail(int err)
{
    errno = err;
    return -1;
}

static int register_handle(struct xengntdev_handle *xgt)
{
    struct fx_domain *dom = fx_dom(fx_self());

    if (!dom)
        return -1;
    for (uint32_t i = 0; i < FX_HANDLES; i++) {
        struct fx_handle *handle = &fx_hv->gnt[i];

        if (handle->serial)
            continue;
        xgt->index = i;
        xgt->serial = ++fx_hv->serial;
        if (fx_gnt_lock(xgt->fd, xgt->serial))
            return -1;
        *handle = (struct fx_handle){
            .serial = xgt->serial, .life = dom->life, .pid = getpid(), .domid = dom->domid};
        return 0;
    }
    return fail(EMFILE);
}

struct xengntdev_handle *fx_gnt_open(unsigned int flags)
{
    struct xengntdev_handle *xgt = calloc(1, sizeof(*xgt));
    int err = 0;

    if (!xgt)
        return NULL;
    xgt->fd = fx_ram_open((flags & 1u) != 0);
    if (xgt->fd >= 0) {
        xgt->ram = mmap(NULL, (size_t)FX_RAM_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_NORESERVE, xgt->fd, 0);
        err = xgt->ram == MAP_FAILED;
        if (!err) {
            madvise(xgt->ram, (size_t)FX_RAM_BYTES, MADV_DONTFORK);
            madvise(xgt->ram, (size_t)FX_RAM_BYTES, MADV_DONTDUMP);
            fx_lock();
            err = register_handle(xgt);
            fx_unlock();
        }
    }
    if (xgt->fd >= 0 && !err)
        return xgt;
    if (xgt->fd >= 0)
        close(xgt->fd);
    free(xgt);
    return NULL;
}

/* A handle with mappings left stays in the table until its process ends, as the device would. */
int fx_gnt_close(struct xengntdev_handle *xgt)
{
    bool used = false;
    int err;

    if (!xgt)
        return 0;
    munmap(xgt->ram, (size_t)FX_RAM_BYTES);
    fx_lock();
    for (unsigned i = 0; i < fx_hv->map_top; i++)
        used |= fx_hv->map[i].handle == xgt->index + 1;
    if (!used && fx_hv->gnt[xgt->index].serial == xgt->serial)
        fx_gnt_release(&fx_hv->gnt[xgt->index]);
    err = close(xgt->fd);
    fx_unlock();
    fx_gnt_forget_shares(xgt);
    free(xgt);
    return err;
}

struct fx_domain *fx_gnt_self(const struct xengntdev_handle *xgt)
{
    struct fx_handle *handle = &fx_hv->gnt[xgt->index];

    return handle->serial == xgt->serial ? fx_dom_of(handle) : NULL;
}

void *fx_map_pages(int fd, uint32_t count, const off_t *offset, int prot)
{
    size_t size = (size_t)count * FX_PAGE;
    char *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (mmap(base + (size_t)i * FX_PAGE, FX_PAGE, prot, MAP_SHARED | MAP_FIXED, fd,
                 offset[i]) == MAP_FAILED) {
            munmap(base, size);
            return NULL;
        }
    madvise(base, size, MADV_DONTFORK);
    madvise(base, size, MADV_DONTDUMP);
    return base;
}

/* The status Xen would give for this access. */
static int16_t grant_status(const struct fx_domain *self, uint32_t domid, uint32_t ref, bool write)
{
    const struct fx_domain *dom = fx_dom((uint16_t)domid);
    const struct fx_grant *grant;

    if (!dom || dom->state == FX_DOM_DYING || domid > UINT16_MAX)
        return GNTST_bad_domain;
    if (ref >= FX_GRANTS)
        return GNTST_bad_gntref;
    grant = &dom->grant[ref];
    if (grant->state != FX_GRANT_LIVE || grant->to != self->domid || (write && !grant->writable))
        return GNTST_general_error;
    return GNTST_okay;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    return fx_gnt_open(flags);
}

int xengnttab_close(xengnttab_handle *xgt)
{
    return fx_gnt_close(xgt);
}

int xengnttab_fd(xengnttab_handle *xgt)
{
    return xgt->fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t count)
{
    (void)xgt;
    (void)count;
    return 0;
}

/* One request to map; `stride` 0 takes the same domain for all references. */
struct map_request {
    uint32_t count;
    const uint32_t *domids;
    uint32_t stride;
    const uint32_t *refs;
    int prot;
    uint32_t notify_offset;
    evtchn_port_t notify_port;
};

static uint32_t domid_at(const struct map_request *req, uint32_t i)
{
    return req->domids[i * req->stride];
}

static uint8_t notify_kinds(const struct map_request *req)
{
    return (uint8_t)((req->notify_offset < FX_PAGE ? 1u : 0u) |
                     (req->notify_port != (evtchn_port_t)-1 ? 2u : 0u));
}

static int enter_maps(const xengnttab_handle *xgt, const struct map_request *req, void *base)
{
    for (uint32_t i = 0; i < req->count; i++) {
        struct fx_domain *dom = fx_dom((uint16_t)domid_at(req, i));
        struct fx_map map = {.handle = xgt->index + 1,
                             .ref = req->refs[i],
                             .base = (uint64_t)(uintptr_t)base,
                             .count = req->count,
                             .slot = (uint16_t)fx_slot(dom),
                             .writable = (req->prot & PROT_WRITE) != 0};

        if (i == 0) {
            map.notify = notify_kinds(req);
            map.notify_offset = req->notify_offset;
            map.notify_port = req->notify_port;
        }
        if (fx_map_add(&map))
            return -1;
    }
    return 0;
}

static void leave_maps(const xengnttab_handle *xgt, void *base)
{
    for (unsigned i = 0; i < fx_hv->map_top; i++) {
        struct fx_map *map = &fx_hv->map[i];

        if (map->handle == xgt->index + 1 && map->base == (uint64_t)(uintptr_t)base)
            fx_map_drop(map, map->notify ? base : NULL);
    }
}

static void *map_locked(const xengnttab_handle *xgt, const struct map_request *req, off_t *offset)
{
    struct fx_domain *self = fx_gnt_self(xgt);
    void *base;

    if (!self)
        return NULL;
    for (uint32_t i = 0; i < req->count; i++) {
        uint32_t domid = domid_at(req, i);

        if (grant_status(self, domid, req->refs[i], (req->prot & PROT_WRITE) != 0))
            return NULL;
        offset[i] = fx_page_offset(fx_dom((uint16_t)domid), req->refs[i]);
    }
    base = fx_map_pages(xgt->fd, req->count, offset, req->prot);
    if (base && enter_maps(xgt, req, base)) {
        leave_maps(xgt, base);
        munmap(base, (size_t)req->count * FX_PAGE);
        base = NULL;
    }
    return base;
}

static void *map_grants(xengnttab_handle *xgt, const struct map_request *req)
{
    off_t *offset = req->count && req->count <= FX_GRANTS ? calloc(req->count, sizeof(*offset))
                                                          : NULL;
    void *base = NULL;

    if (offset) {
        fx_lock();
        base = map_locked(xgt, req, offset);
        fx_unlock();
        free(offset);
    }
    if (!base)
        errno = EINVAL;
    return base;
}

void *xengnttab_map_grant_ref_notify(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot,
                                     uint32_t notify_offset, evtchn_port_t notify_port)
{
    const struct map_request req = {1, &domid, 0, &ref, prot, notify_offset, notify_port};

    return map_grants(xgt, &req);
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
    return xengnttab_map_grant_ref_notify(xgt, domid, ref, prot, UINT32_MAX, (evtchn_port_t)-1);
}

void *xengnttab_map_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t *domids,
                               uint32_t *refs, int prot)
{
    const struct map_request req = {count, domids, 1, refs, prot, UINT32_MAX, (evtchn_port_t)-1};

    return map_grants(xgt, &req);
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *xgt, uint32_t count, uint32_t domid,
                                      uint32_t *refs, int prot)
{
    const struct map_request req = {count, &domid, 0, refs, prot, UINT32_MAX, (evtchn_port_t)-1};

    return map_grants(xgt, &req);
}

/* Address and count must be those of one whole mapping. */
int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
    bool found = false;

    fx_lock();
    for (unsigned i = 0; i < fx_hv->map_top && !found; i++)
        found = fx_hv->map[i].handle == xgt->index + 1 &&
                fx_hv->map[i].base == (uint64_t)(uintptr_t)start && fx_hv->map[i].count == count;
    if (found) {
        leave_maps(xgt, start);
        munmap(start, (size_t)count * FX_PAGE);
    }
    fx_unlock();
    return found ? 0 : fail(EINVAL);
}

/* The local address of one side, or its status if the grant is not usable. */
static char *copy_side(const xengnttab_handle *xgt, const union xengnttab_copy_ptr *ptr, bool grant,
                       bool write, int16_t *status)
{
    if (!grant)
        return ptr->virt;
    *status = grant_status(fx_gnt_self(xgt), ptr->foreign.domid, ptr->foreign.ref, write);
    if (*status)
        return NULL;
    return xgt->ram + fx_page_offset(fx_dom(ptr->foreign.domid), ptr->foreign.ref) +
           ptr->foreign.offset;
}

static int copy_one(const xengnttab_handle *xgt, xengnttab_grant_copy_segment_t *seg)
{
    bool from = (seg->flags & GNTCOPY_source_gref) != 0;
    bool into = (seg->flags & GNTCOPY_dest_gref) != 0;
    char *source, *dest;

    if ((!from && !into) || (from && seg->source.foreign.offset + seg->len > (int)FX_PAGE) ||
        (into && seg->dest.foreign.offset + seg->len > (int)FX_PAGE))
        return fail(EINVAL);
    seg->status = GNTST_okay;
    source = copy_side(xgt, &seg->source, from, false, &seg->status);
    dest = seg->status ? NULL : copy_side(xgt, &seg->dest, into, true, &seg->status);
    if (!seg->status)
        memmove(dest, source, seg->len);
    return 0;
}

int xengnttab_grant_copy(xengnttab_handle *xgt, uint32_t count,
                         xengnttab_grant_copy_segment_t *segs)
{
    int err = 0;

    fx_lock();
    if (!fx_gnt_self(xgt))
        err = fail(EINVAL);
    for (uint32_t i = 0; i < count && !err; i++)
        err = copy_one(xgt, &segs[i]);
    fx_unlock();
    return err;
}

int xengnttab_dmabuf_exp_from_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t flags,
                                   uint32_t count, const uint32_t *refs, uint32_t *fd)
{
    (void)xgt, (void)domid, (void)flags, (void)count, (void)refs, (void)fd;
    return fail(ENOTTY);
}

int xengnttab_dmabuf_exp_wait_released(xengnttab_handle *xgt, uint32_t fd, uint32_t wait_to_ms)
{
    (void)xgt, (void)fd, (void)wait_to_ms;
    return fail(ENOTTY);
}

int xengnttab_dmabuf_imp_to_refs(xengnttab_handle *xgt, uint32_t domid, uint32_t fd, uint32_t count,
                                 uint32_t *refs)
{
    (void)xgt, (void)domid, (void)fd, (void)count, (void)refs;
    return fail(ENOTTY);
}

int xengnttab_dmabuf_imp_release(xengnttab_handle *xgt, uint32_t fd)
{
    (void)xgt, (void)fd;
    return fail(ENOTTY);
}
