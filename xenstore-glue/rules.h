/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules: what the operator's files say for a guest: its pool, sizes and rates.  The default file is
 * for all, a domain's own file overrides it key by key.  rules.c is pure, text to struct; files are
 * found, judged and read in rules_files.c.
 *
 * What a file says is never guessed at: anything unknown, doubled or out of bounds is one line with
 * file and line number, and then there are no rules at all.
 */
#ifndef EPHEM_RULES_H
#define EPHEM_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "store.h"

#define RULES_SPEC 512 /* room for a pool as text */
#define RULES_DIR  64  /* characters of a configuration directory's path, at most */

enum rules_key {
    RULES_POOL,
    RULES_RAM_BUDGET,
    RULES_QUOTA,
    RULES_LOW_WATER,
    RULES_INTEGRITY,
    RULES_IOPS,
    RULES_BANDWIDTH,
    RULES_EPHEMERAL,
    RULES_STRICT,
    RULES_ENFORCE,
    RULES_KEYS
};

/* Where a key was set; line 0: in no file. */
struct rules_place {
    bool own; /* in the domain's file */
    unsigned int line;
};

struct rules {
    char pool[RULES_SPEC]; /* as the operator wrote it */
    struct store_pool_spec spec;
    struct store_limits limits;
    bool ephemeral; /* it may have no writable disk that is not ours: ephem-guard sees to that */
    bool strict;    /* not while it runs either */
    bool lenient;   /* enforce=off: it is not seen to */
    struct rules_place place[RULES_KEYS];
};

/* A file's place and content; not NUL-terminated. */
struct rules_text {
    const char *file; /* its name, for errors */
    bool own;
    const char *at;
    size_t length;
};

/* Adds what one file says to what `rules` has.  0, or -EINVAL with `text`. */
int rules_parse(struct rules *rules, const struct rules_text *in, char text[STORE_TEXT]);

/*
 * Whether all keys together make sense, and there is a pool at all; fills rules->spec.  `file` and
 * `own` are the names of the two files for errors.  0, or -EINVAL with `text`.
 */
int rules_finish(struct rules *rules, const char *file, const char *own, char text[STORE_TEXT]);

/* Whether a domain of that name can have a file of its own. */
bool rules_nameable(const char *domain);

/*
 * Reads the rules for a domain, or with NULL the defaults: `pool` (of the command line, or NULL)
 * under DIR/blkback-ephem.conf under DIR/domains/DOMAIN.conf.  A missing file says nothing; what
 * others than root and ourselves may write is refused, as is a symbolic link.  0 or negative errno
 * with `text`.
 */
int rules_read(struct rules *rules, const char *dir, const char *pool, const char *domain,
               char text[STORE_TEXT]);

/* The same for who needs no pool: whether the keys make sense together is not asked. */
int rules_look_up(struct rules *rules, const char *dir, const char *domain, char text[STORE_TEXT]);

#endif
