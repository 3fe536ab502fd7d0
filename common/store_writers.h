/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_writers: whether anybody may write a base.  For store only.
 */
#ifndef EPHEM_STORE_WRITERS_H
#define EPHEM_STORE_WRITERS_H

#include <sys/stat.h>
#include "store.h"

/* `fd` is `path`, open for reading, and `st` its.  Leaves a shared lock on it.  0, or negative errno
 * with `text`. */
int store_check_writers(int fd, const struct stat *st, const char *path, char text[STORE_TEXT]);

#endif
