/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs: xenstore behind strict, typed readers.  Two connections: one for questions, one for watches,
 * since libxenstore queues events behind answers.  One thread.
 *
 * A broken connection is not a missing node: after any read xenstore_lost() tells them apart, and
 * nobody may act upon what was read through a lost connection.
 */
#ifndef EPHEM_XS_H
#define EPHEM_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XENSTORE_VALUE 4096 /* no value is longer */

struct xenstore;

/* 0 or negative errno. */
int xenstore_open(struct xenstore **out);
void xenstore_close(struct xenstore *xs);

/* The domain we run in, as xenstore said when we opened it; dom0 where it says nothing. */
uint32_t xenstore_self(const struct xenstore *xs);

/* The connection broke; only xenstore_close() helps. */
bool xenstore_lost(const struct xenstore *xs);

/* Becomes readable when watches fired; level-triggered. */
int xenstore_fd(const struct xenstore *xs);

/* 0, or negative errno (-EACCES where the path is privileged). */
int xenstore_watch(struct xenstore *xs, const char *path, const char *token);
void xenstore_unwatch(struct xenstore *xs, const char *path, const char *token);

/* The next watch that fired: true, its token and the path that changed (both cut to `size`), false
 * when there is none. */
bool xenstore_event(struct xenstore *xs, char *token, char *path, size_t size);

/* A value without NULs inside.  0; -ENOENT, -EACCES; -E2BIG, -EINVAL for odd ones; else errno. */
int xenstore_read(struct xenstore *xs, const char *path, char *out, size_t size);

/* Whether the node is there; also when that cannot be told. */
bool xenstore_is_there(struct xenstore *xs, const char *path);

/* A strictly decimal value of at most `max`; -EINVAL when it is none. */
int xenstore_read_u64(struct xenstore *xs, const char *path, uint64_t max, uint64_t *out);

/* *ours: nobody but dom0 may write the node.  0 or negative errno. */
int xenstore_is_ours(struct xenstore *xs, const char *path, bool *ours);

/* Names below `path`; free() once.  -ENOENT when it is missing. */
int xenstore_list(struct xenstore *xs, const char *path, char ***names, unsigned int *count);

/* 0 or negative errno. */
int xenstore_write(struct xenstore *xs, const char *path, const char *value);
int xenstore_write_u64(struct xenstore *xs, const char *path, uint64_t value);
int xenstore_remove(struct xenstore *xs, const char *path);

/* A folder that domain `owner` owns and `reader` may read, as whatever is written below it then. */
int xenstore_make_dir(struct xenstore *xs, const char *path, uint32_t owner, uint32_t reader);

/*
 * Runs `body` inside a transaction, again from the start (a bounded number of times) when somebody
 * else wrote meanwhile.  `body` returns negative errno to give up; nothing is written then.
 * 0; -EAGAIN when the store never stood still; else negative errno.
 */
int xenstore_transact(struct xenstore *xs, int (*body)(struct xenstore *xs, void *arg), void *arg);

#endif
