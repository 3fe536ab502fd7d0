/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guardkit: a xenstore of a few nodes and a hypervisor that counts one domain's pauses, for the guard;
 * both can be told to fail.
 */
#ifndef GUARDKIT_H
#define GUARDKIT_H

#include <stdbool.h>

#define GUARDKIT_DOMID 5
#define GUARDKIT_UUID  "12345678-9abc-def0-1234-56789abcdef0"
#define GUARDKIT_NODES 32

struct guardkit_node {
    char path[96], value[96];
    bool theirs; /* others than dom0 may write it */
};

struct guardkit_store {
    struct guardkit_node nodes[GUARDKIT_NODES];
    unsigned int count, watches;
    unsigned int fails; /* the n-th question from now on fails; 0: none */
};

struct guardkit_xen {
    unsigned int toolstack, ours; /* pauses taken and not given up */
    bool ran, gone, dying;
    bool ask_fails, pause_fails, unpause_fails;
};

extern struct guardkit_store store;
extern struct guardkit_xen xen;

void store_put(const char *path, const char *value);
/* All whose path begins so. */
void store_drop(const char *below);

/* Nobody has it paused any more: it has run. */
void xen_runs(void);

#endif
