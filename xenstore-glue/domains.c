// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * domains: a bucket for each domain, so that a busy guest costs what its bucket holds and the others
 * nothing.
 */
#include "domains.h"

#include <stdlib.h>

#include "log.h"
#include "vbd.h"

#define DOMAIN_BURST 200 /* events a guest may cause at once */
#define DOMAIN_RATE  50  /* a second */

struct domain *domain_find(struct list *domains, uint32_t domid, bool make)
{
    list_for_each(it, domains)
    {
        struct domain *domain = container_of(it, struct domain, link);

        if (domain->domid == domid)
            return domain;
    }
    struct domain *domain = make ? calloc(1, sizeof(*domain)) : NULL;
    if (!domain)
        return NULL;
    domain->domid = domid;
    domain->tokens = DOMAIN_BURST;
    domain->filled = loop_now();
    list_append(domains, &domain->link);
    return domain;
}

bool domain_charge(struct domain *domain)
{
    uint64_t now = loop_now();

    if (domain->throttled)
        return false;
    uint64_t earned = (now - domain->filled) * DOMAIN_RATE / 1000;
    if (earned) {
        domain->tokens = (uint32_t)min_u64(domain->tokens + earned, DOMAIN_BURST);
        domain->filled = now;
    }
    if (domain->tokens) {
        domain->tokens--;
        return true;
    }
    if (!domain->warned)
        log_warn("guest %u keeps rewriting its disks' states or its shutdown node: looking once a "
                 "second",
                 domain->domid);
    domain->warned = domain->throttled = true;
    return false;
}

void domains_release(struct list *domains)
{
    list_for_each(it, domains)
    {
        struct domain *domain = container_of(it, struct domain, link);

        if (!domain->throttled)
            continue;
        /* Setting a watch fires it once: those events are ours, not the guest's. */
        domain->throttled = false;
        domain->tokens = DOMAIN_RATE;
        domain->filled = loop_now();
        domain->dirty = true;
    }
}

static bool domain_is_used(const struct domain *domain, struct glue *glue)
{
    list_for_each(it, &glue->vbds)
    {
        if (container_of(it, struct vbd, link)->id.domid == domain->domid)
            return true;
    }
    return false;
}

void domains_sweep(struct list *domains, struct glue *glue)
{
    list_for_each_safe(it, tmp, domains)
    {
        struct domain *domain = container_of(it, struct domain, link);

        if (domain->dirty || domain_is_used(domain, glue))
            continue;
        list_remove(&domain->link);
        free(domain);
    }
}

void domains_free(struct list *domains)
{
    struct list *it;

    while ((it = list_pop(domains)))
        free(container_of(it, struct domain, link));
}
