/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_look: what dom0 can see of a storage domain's bases and pool before it gives them away.
 */
#ifndef EPHEM_STUBDOM_LOOK_H
#define EPHEM_STUBDOM_LOOK_H

#include "store.h"
#include "stubdom_cfg.h"

/*
 * Refuses what store_open_base and store_open_pool refuse; a base that is a file, or a loop device which can be
 * written, or whose file somebody has open for writing or cannot be found; and a pool that has blocks of a base: the same
 * device, one a partition of the other, or loop devices of one file.  Whoever opens a base for writing later is not seen.
 * 0 or negative errno with `text`.  The caller must ignore SIGIO, see store_open_base.
 */
int stub_look(const struct stub_wish *wish, char text[STORE_TEXT]);

#endif
