/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * emulated: the door for the emulated disk of an HVM guest whose device model runs in dom0: a listening
 * socket for each volume, and who may come in.  Owned by a vbd.
 */
#ifndef EPHEM_EMULATED_H
#define EPHEM_EMULATED_H

#include "vbd.h"

struct emulated;

/* Whether it is an HVM guest, as libxl notes it for each domain where no guest may write: 1, 0 or negative
 * errno.  0 where we may not read it: in a driver domain, whose disks no qemu emulates. */
int emulated_is_hvm(struct glue *glue, uint32_t domid);

/*
 * The vbd's volume is ready: a socket for it if its guest is an HVM guest, else nothing; nothing too
 * without a xenstore.  0, or negative errno and `text`.
 */
int emulated_open(struct vbd *vbd, char text[WIRE_TEXT]);

/* Its volume goes: no socket any more.  Connections that the worker has are the worker's. */
void emulated_close(struct vbd *vbd);

/* What earlier daemons left, before the first emulated_open(): nobody listens there any more. */
void emulated_sweep(const char *run_dir);

/* Where it listens, for the device model; NULL: it does not. */
const char *emulated_path(const struct vbd *vbd);

#endif
