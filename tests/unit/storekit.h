/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * storekit: what the suites of store share: a folder on a disk, and a pool that is tried.
 */
#ifndef UNIT_STOREKIT_H
#define UNIT_STOREKIT_H

#include <stdbool.h>

struct store_pool;

/* A new folder, and the path of a file in it, which is not there. */
struct storekit {
    char dir[64], path[128];
};

void storekit_open(struct storekit *kit);
/* With that file, or folder, and nothing else in it. */
void storekit_close(const struct storekit *kit);

/* One line, printable, that ends and says something; in STORE_TEXT bytes. */
bool storekit_is_line(const char *text);

/* Opens a pool by its spec: 0 or negative errno; on failure nothing is left open and `words` are in the
 * one line. */
int storekit_pool(const char *text_spec, struct store_pool *pool, const char *words);

#endif
