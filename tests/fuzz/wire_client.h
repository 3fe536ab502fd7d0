/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire_client: clients of emulated disks: the other ends of the connections a worker is given.  They
 * say what the input has for them, in NBD's words and in any others, and may read nothing.
 */
#ifndef FUZZ_WIRE_CLIENT_H
#define FUZZ_WIRE_CLIENT_H

/* None. */
void wire_clients_reset(void);

/* The worker's end of a new one, or -1 when there have been enough. */
int wire_client_new(void);

/* One of them does something. */
void wire_client_step(void);

#endif
