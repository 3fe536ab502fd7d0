/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys: the ring as a frontend wrote it into xenstore, checked.  Pure: it reads through a function,
 * so tests and fuzzers can be the guest.  Every value is strictly decimal and bounded; what is
 * wrong is said in our own words and numbers, a guest's string goes nowhere.
 */
#ifndef EPHEM_KEYS_H
#define EPHEM_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define KEYS_MAX_ORDER 4u

/* Reads `node` of the frontend's directory; 0, -ENOENT, or another negative errno. */
typedef int keys_reader(void *from, const char *node, char *out, size_t size);

/*
 * Fills protocol, queues, order and queue[] of `door`.  At most `queues` queues and KEYS_MAX_ORDER.
 * 0, or negative errno and `text`: -EINVAL for what the guest wrote.
 */
int keys_read(keys_reader *read, void *from, uint32_t queues, struct wire_door *door,
              char text[WIRE_TEXT]);

#endif
