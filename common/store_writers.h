/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_writers: whether anybody may write a base.  For store only.
 */
#ifndef EPHEM_STORE_WRITERS_H
#define EPHEM_STORE_WRITERS_H

#include <sys/stat.h>
#include "store.h"

#define PATH_SHOWN "%.120s" /* with what stands around it, fits STORE_TEXT */

/* Fills `text`, in printable ASCII, and returns err.  (store.c) */
int store_fail(char text[STORE_TEXT], int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* `fd` is `path`, open for reading, and `st` its.  Leaves a shared lock on it.  0, or negative errno
 * with `text`. */
int store_check_writers(int fd, const struct stat *st, const char *path, char text[STORE_TEXT]);

#endif
