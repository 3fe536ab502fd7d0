/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keysview: a frontend's directory as text, one "NODE=VALUE" a line, and a second reading of its ring
 * keys: all nodes first, by the C library's own numbers, and the rules stated one after another.
 */
#ifndef FUZZ_KEYSVIEW_H
#define FUZZ_KEYSVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "keys.h"

struct keysview {
    const char *text;
};

/* As xenstore_read: what is too long for `out` is -E2BIG. */
int keysview_reader(void *from, const char *node, char *out, size_t size);

/* False: a frontend that wrote this is to be refused. */
bool keysview_read(const struct keysview *view, uint32_t queues, struct wire_door *door);

#endif
