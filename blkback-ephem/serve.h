/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve: the worker by itself, without Xen or a daemon: the same volumes over NBD.
 */
#ifndef EPHEM_SERVE_H
#define EPHEM_SERVE_H

#include <stdint.h>
#include "store.h"

#define SERVE_VOLUMES 32u

struct serve_options {
    const char *pool; /* as for store_parse_pool(), but not shared */
    struct store_limits limits;
    const char *nbd; /* socket path */
    uint32_t threads;
    uint32_t count;
    char *volumes[SERVE_VOLUMES]; /* "NAME=SPEC", cut apart in place */
};

/* Until SIGTERM or SIGINT.  The exit status of the process. */
int serve_run(const struct serve_options *options);

#endif
