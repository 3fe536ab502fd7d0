/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet: what no well-behaved peer sends over the socket between the planes.
 */
#ifndef UNIT_PACKET_H
#define UNIT_PACKET_H

#include <stdbool.h>
#include <stddef.h>

#define PACKET_FDS 16

/* One packet of any bytes and length, with a descriptor of `sock` itself up to PACKET_FDS times.  False:
 * it was not sent. */
bool packet_send(int sock, const void *bytes, size_t size, unsigned int nfds);

#endif
