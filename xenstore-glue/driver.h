/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver: what is special in a driver domain, beside the order of steps (xenbus.h): which bases there are, which
 * domain is whose stub domain, and the word to dom0 that guests may come, which main writes.
 */
#ifndef EPHEM_DRIVER_H
#define EPHEM_DRIVER_H

#include "glue.h"
#include "store.h"
#include "xs.h"

#define DRIVER_BASES "/bases/"

/* What may be a volume there: DRIVER_BASES' entries by their names, and blank ones.  0, or -EINVAL and `text`. */
int driver_check_base(const struct store_spec *spec, char text[STORE_TEXT]);

/*
 * The guest that `domid` belongs to, inside of the caller's transaction: itself as long as PATH_PAIRS is not there;
 * else what dom0 says in PATH_PAIRS/<domid>.  0; -EAGAIN: it has not said yet; -EINVAL and `text`; else errno.
 */
int driver_resolve(struct xenstore *xs, uint32_t domid, uint32_t *guest, char text[WIRE_TEXT]);

/*
 * Whether one more watch of a frontend may be set.  Xen lets a domain have 128, of which the kernel there takes one for
 * each disk of its own and some more; and Linux does not answer one too many (xenbus_dev_frontend.c): it fails the write,
 * and libxenstore gives up the connection.
 */
bool driver_may_watch(const struct glue *glue);

#endif
