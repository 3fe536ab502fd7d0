// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libxencall.so.1 for the daemons that ask the hypervisor about domains: Debian's own libxenctrl
 * runs on top of it. Answered: getdomaininfo, getdomaininfolist, pausedomain and unpausedomain,
 * physinfo and a few version calls. Pauses are counted as Xen counts them.
 * Everything else is ENOSYS, so no domain can be built or run. The structures carry an interface
 * version: compile against the libxen-dev of the xenstored that is used.
 */
#define _GNU_SOURCE
#define __XEN_TOOLS__ 1
#include "hv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/version.h>
#include <xencall.h>

struct xencall_handle {
    int unused;
};

static int fail(int err)
{
    errno = err;
    return -1;
}

xencall_handle *xencall_open(struct xentoollog_logger *logger, unsigned int flags)
{
    (void)logger;
    (void)flags;
    return fx_attach() ? NULL : calloc(1, sizeof(xencall_handle));
}

int xencall_close(xencall_handle *xcall)
{
    free(xcall);
    return 0;
}

int xencall_fd(xencall_handle *xcall)
{
    (void)xcall;
    return fail(ENOTTY);
}

static void describe(const struct fx_domain *dom, struct xen_domctl_getdomaininfo *info)
{
    memset(info, 0, sizeof(*info));
    info->domain = dom->domid;
    info->flags = XEN_DOMINF_running;
    if (dom->state == FX_DOM_SHUTDOWN)
        info->flags = XEN_DOMINF_shutdown | (uint32_t)dom->reason << XEN_DOMINF_shutdownshift;
    if (dom->state == FX_DOM_DYING)
        info->flags = XEN_DOMINF_dying;
    if (dom->pauses)
        info->flags = (info->flags & ~(uint32_t)XEN_DOMINF_running) | XEN_DOMINF_paused;
    info->cpu_time = dom->ran;
    info->tot_pages = info->max_pages = FX_GRANTS;
    info->nr_online_vcpus = 1;
    info->handle[8] = (uint8_t)(dom->life >> 8);
    info->handle[9] = (uint8_t)dom->life;
    info->handle[14] = (uint8_t)(dom->domid >> 8);
    info->handle[15] = (uint8_t)dom->domid;
}

static const struct fx_domain *first_from(uint16_t domid)
{
    const struct fx_domain *best = NULL;

    for (unsigned i = 0; i < FX_DOMS; i++) {
        const struct fx_domain *dom = &fx_hv->dom[i];

        if (dom->state != FX_DOM_FREE && dom->domid >= domid && (!best || dom->domid < best->domid))
            best = dom;
    }
    return best;
}

/* As Xen: at most 255 pauses, none of oneself, and none given up that was not taken. */
static int count_pause(uint16_t domid, bool pause)
{
    struct fx_domain *dom;
    int err = 0;

    fx_lock();
    dom = fx_dom(domid);
    if (!dom)
        err = ESRCH;
    else if (!domid || (!pause && !dom->pauses))
        err = EINVAL;
    else if (pause && dom->pauses == 255)
        err = EOVERFLOW;
    else
        dom->pauses += pause ? 1u : -1u;
    if (dom && !dom->pauses)
        dom->ran = 1;
    fx_unlock();
    return err ? fail(err) : 0;
}

/* Answers for the first domain at or after the one asked for; its caller compares the number. */
static int domctl(struct xen_domctl *op)
{
    const struct fx_domain *dom;

    if (op->interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return fail(EACCES);
    if (op->cmd == XEN_DOMCTL_pausedomain || op->cmd == XEN_DOMCTL_unpausedomain)
        return count_pause(op->domain, op->cmd == XEN_DOMCTL_pausedomain);
    if (op->cmd != XEN_DOMCTL_getdomaininfo)
        return fail(ENOSYS);
    fx_lock();
    dom = first_from(op->domain);
    if (dom) {
        describe(dom, &op->u.getdomaininfo);
        op->domain = dom->domid;
    }
    fx_unlock();
    return dom ? 0 : fail(ESRCH);
}

static void list_domains(struct xen_sysctl_getdomaininfolist *list)
{
    struct xen_domctl_getdomaininfo *info = list->buffer.p;
    uint32_t from = list->first_domain;

    list->num_domains = 0;
    fx_lock();
    while (list->num_domains < list->max_domains && from <= UINT16_MAX) {
        const struct fx_domain *dom = first_from((uint16_t)from);

        if (!dom)
            break;
        describe(dom, &info[list->num_domains++]);
        from = dom->domid + 1u;
    }
    fx_unlock();
}

static int sysctl_op(struct xen_sysctl *op)
{
    if (op->interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return fail(EACCES);
    switch (op->cmd) {
    case XEN_SYSCTL_getdomaininfolist:
        list_domains(&op->u.getdomaininfolist);
        return 0;
    case XEN_SYSCTL_physinfo:
        memset(&op->u.physinfo, 0, sizeof(op->u.physinfo));
        op->u.physinfo.nr_cpus = op->u.physinfo.nr_nodes = 1;
        op->u.physinfo.total_pages = op->u.physinfo.free_pages = 1u << 20;
        return 0;
    default:
        return fail(ENOSYS);
    }
}

static int version(unsigned int cmd, void *arg)
{
    switch (cmd) {
    case XENVER_version:
        return 4 << 16 | 17;
    case XENVER_pagesize:
        return (int)FX_PAGE;
    case XENVER_extraversion:
        strcpy(arg, "-fake");
        return 0;
    case XENVER_capabilities:
        strcpy(arg, "xen-3.0-x86_64 ");
        return 0;
    default:
        return fail(ENOSYS);
    }
}

int xencall0(xencall_handle *xcall, unsigned int op)
{
    (void)xcall, (void)op;
    return fail(ENOSYS);
}

int xencall1(xencall_handle *xcall, unsigned int op, uint64_t arg1)
{
    void *arg = (void *)(uintptr_t)arg1;

    (void)xcall;
    if (op == __HYPERVISOR_domctl)
        return domctl(arg);
    if (op == __HYPERVISOR_sysctl)
        return sysctl_op(arg);
    return fail(ENOSYS);
}

int xencall2(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
    (void)xcall;
    if (op == __HYPERVISOR_xen_version)
        return version((unsigned int)arg1, (void *)(uintptr_t)arg2);
    return fail(ENOSYS);
}

int xencall3(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3)
{
    (void)xcall, (void)op, (void)arg1, (void)arg2, (void)arg3;
    return fail(ENOSYS);
}

int xencall4(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
             uint64_t arg4)
{
    (void)xcall, (void)op, (void)arg1, (void)arg2, (void)arg3, (void)arg4;
    return fail(ENOSYS);
}

int xencall5(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2, uint64_t arg3,
             uint64_t arg4, uint64_t arg5)
{
    (void)xcall, (void)op, (void)arg1, (void)arg2, (void)arg3, (void)arg4, (void)arg5;
    return fail(ENOSYS);
}

long xencall2L(xencall_handle *xcall, unsigned int op, uint64_t arg1, uint64_t arg2)
{
    return xencall2(xcall, op, arg1, arg2);
}

void *xencall_alloc_buffer(xencall_handle *xcall, size_t size)
{
    (void)xcall;
    return aligned_alloc(FX_PAGE, (size + FX_PAGE - 1) / FX_PAGE * FX_PAGE);
}

void xencall_free_buffer(xencall_handle *xcall, void *p)
{
    (void)xcall;
    free(p);
}

void *xencall_alloc_buffer_pages(xencall_handle *xcall, size_t nr_pages)
{
    return xencall_alloc_buffer(xcall, nr_pages * FX_PAGE);
}

void xencall_free_buffer_pages(xencall_handle *xcall, void *p, size_t nr_pages)
{
    (void)nr_pages;
    xencall_free_buffer(xcall, p);
}

int xencall_buffers_never_fault(xencall_handle *xcall)
{
    (void)xcall;
    return 1;
}
