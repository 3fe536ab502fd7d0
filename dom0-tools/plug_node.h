/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plug_node: the nodes of the disk that plug works on, and its words when something fails.
 */
#ifndef EPHEM_PLUG_NODE_H
#define EPHEM_PLUG_NODE_H

#include <stddef.h>

#include "plug.h"

/* Puts the words into plug->text; `err`. */
__attribute__((format(printf, 3, 4))) int plug_fail(struct plug *plug, int err, const char *fmt,
                                                    ...);

/* A node of the backend's folder.  0, or errno of xenstore_read(). */
int plug_get(struct plug *plug, const char *node, char *out, size_t size);

/* The backend's state, whosever attachment it is.  0, or errno of xenstore_read_u64(). */
int plug_state(struct plug *plug, uint64_t *state);

/* The same of the attachment with plug->token: -ENOENT, too, when it gave way to another.  Outside of a
 * transaction the state is read first: whose token then stands there, his the state was, or an earlier one's. */
int plug_own_state(struct plug *plug, uint64_t *state);

int plug_put(struct plug *plug, bool frontend, const char *node, const char *value);

/* xenstore_transact(), with words for what `body` has none for. */
int plug_transact(struct plug *plug, int (*body)(struct xenstore *xs, void *arg), void *arg);

#endif
