// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libxengnttab.so.1, the granting half (gntalloc): a frontend can be an ordinary program.
 *
 * A shared page is page `ref` of the domain's part of `ram`, zeroed when it is handed out. Pages
 * stay granted until xengntshr_unshare() or xengntshr_close(); what a peer maps at that moment
 * remains readable for it and is reused only after its unmap.
 */
#define _GNU_SOURCE
#include "gnttab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    return fx_gnt_open(flags);
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return fx_gnt_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
    return xgs->fd;
}

static int grant_pages(xengntshr_handle *xgs, struct fx_domain *dom, uint32_t domid, bool writable,
                       struct fx_share *share, off_t *offset)
{
    for (uint32_t i = 0; i < share->count; i++) {
        if (fx_grant_alloc(dom, (uint16_t)domid, writable, xgs->index + 1, &share->ref[i])) {
            while (i-- > 0)
                fx_grant_free(dom, share->ref[i]);
            return -1;
        }
        offset[i] = fx_page_offset(dom, share->ref[i]);
        memset(xgs->ram + offset[i], 0, FX_PAGE);
    }
    return 0;
}

static void ungrant_pages(struct fx_domain *dom, const struct fx_share *share)
{
    for (uint32_t i = 0; dom && i < share->count; i++)
        fx_grant_free(dom, share->ref[i]);
}

static int share_locked(xengntshr_handle *xgs, uint32_t domid, bool writable,
                        struct fx_share *share, off_t *offset)
{
    struct fx_domain *dom = fx_gnt_self(xgs);

    if (!dom || grant_pages(xgs, dom, domid, writable, share, offset))
        return -1;
    share->base = fx_map_pages(xgs->fd, share->count, offset, PROT_READ | PROT_WRITE);
    if (!share->base) {
        ungrant_pages(dom, share);
        return -1;
    }
    share->next = xgs->shares;
    xgs->shares = share;
    return 0;
}

static struct fx_share *share_pages(xengntshr_handle *xgs, uint32_t domid, int count,
                                    uint32_t *refs, int writable)
{
    size_t n = (size_t)count;
    struct fx_share *share = NULL;
    off_t *offset = NULL;
    int err = -1;

    if (count <= 0 || n > FX_GRANTS) {
        errno = EINVAL;
        return NULL;
    }
    share = calloc(1, sizeof(*share) + n * sizeof(share->ref[0]));
    offset = calloc(n, sizeof(*offset));
    if (share && offset) {
        share->count = (uint32_t)n;
        fx_lock();
        err = share_locked(xgs, domid, writable != 0, share, offset);
        fx_unlock();
    }
    free(offset);
    if (err) {
        free(share);
        return NULL;
    }
    memcpy(refs, share->ref, n * sizeof(*refs));
    return share;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs,
                            int writable)
{
    struct fx_share *share = share_pages(xgs, domid, count, refs, writable);

    return share ? share->base : NULL;
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref,
                                  int writable, uint32_t notify_offset, evtchn_port_t notify_port)
{
    struct fx_share *share = share_pages(xgs, domid, 1, ref, writable);

    if (!share)
        return NULL;
    share->notify = (uint8_t)((notify_offset < FX_PAGE ? 1u : 0u) |
                              (notify_port != (evtchn_port_t)-1 ? 2u : 0u));
    share->notify_offset = notify_offset;
    share->notify_port = notify_port;
    return share->base;
}

static void end_share(xengntshr_handle *xgs, struct fx_share *share)
{
    struct fx_domain *dom = fx_gnt_self(xgs);

    if (share->notify & 1u)
        ((char *)share->base)[share->notify_offset] = 0;
    if (dom && (share->notify & 2u))
        fx_port_send(-1, dom, share->notify_port);
    ungrant_pages(dom, share);
    munmap(share->base, (size_t)share->count * FX_PAGE);
    free(share);
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    struct fx_share **at;
    bool found = false;

    fx_lock();
    for (at = &xgs->shares; *at; at = &(*at)->next) {
        struct fx_share *share = *at;

        if (share->base != start_address || share->count != count)
            continue;
        *at = share->next;
        end_share(xgs, share);
        found = true;
        break;
    }
    fx_unlock();
    if (!found)
        errno = EINVAL;
    return found ? 0 : -1;
}

/* At close: the grants went with the handle, this returns the process's own memory. */
void fx_gnt_forget_shares(struct xengntdev_handle *xgt)
{
    while (xgt->shares) {
        struct fx_share *share = xgt->shares;

        xgt->shares = share->next;
        munmap(share->base, (size_t)share->count * FX_PAGE);
        free(share);
    }
}
