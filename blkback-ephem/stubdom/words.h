/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * words: what dom0 says on the kernel's command line of a storage domain.  Pure.
 *   ephem.pool=xvda[,force]      the device that all is written to, encrypted
 *   ephem.base.NAME=xvdb         a base, guests' target=/bases/NAME
 *   ephem.shape=shared|per-guest whether several guests share the pool; one is said
 *   ephem.opt.SECTION.KEY=VALUE  a line of blkback-ephem.conf(5), judged by the daemon
 * Other words are the kernel's.  Each is said once.
 */
#ifndef STUBDOM_WORDS_H
#define STUBDOM_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_BASES   24
#define WORDS_OPTIONS 16
#define WORDS_NAME    32   /* of a base, with its end */
#define WORDS_DEVICE  8    /* "xvda", with its end */
#define WORDS_LINE    2048 /* x86's COMMAND_LINE_SIZE */
#define WORDS_TEXT    200

struct words_base {
    char name[WORDS_NAME];
    char device[WORDS_DEVICE];
};

struct words {
    char pool[WORDS_DEVICE];
    bool force;
    bool shared, shaped;
    struct words_base bases[WORDS_BASES];
    size_t base_count;
    char options[WORDS_OPTIONS][96]; /* "SECTION.KEY=VALUE" */
    size_t option_count;
};

/* Takes a command line apart.  0; -EINVAL with one line in `text`, `words` undefined. */
int words_parse(const char *line, struct words *words, char text[WORDS_TEXT]);

#endif
