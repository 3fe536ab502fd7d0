/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domains: what the scan keeps for each frontend domain: how often it may ask to be looked at, and
 * whether it must be.  A domain that writes its frontends' states faster than its bucket fills is
 * throttled: its watches are taken away and it is looked at once a second.
 */
#ifndef EPHEM_DOMAINS_H
#define EPHEM_DOMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "glue.h"

struct domain {
    struct list link;
    uint32_t domid;
    uint32_t tokens;
    uint64_t filled; /* ms */
    bool throttled, warned;
    bool dirty; /* something of it may have to be done */
};

/* NULL: unknown, or, with `make`, no memory. */
struct domain *domain_find(struct list *domains, uint32_t domid, bool make);

/* It wrote a state.  True when that may cause a look now; else it has just been throttled, or was. */
bool domain_charge(struct domain *domain);

/* The throttled get a second's worth of looks. */
void domains_release(struct list *domains);

/* Those without any vbd are freed. */
void domains_sweep(struct list *domains, struct glue *glue);
void domains_free(struct list *domains);

#endif
