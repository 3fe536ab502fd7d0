/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules_edit: one key of an INI text set, with all else byte for byte as it was.  Pure.
 */
#ifndef EPHEM_RULES_EDIT_H
#define EPHEM_RULES_EDIT_H

#include <stddef.h>

/* A key and what it is to be. */
struct rules_edit_key {
    const char *section, *key, *value;
};

/*
 * Sets it in `text`, which rules_parse() has taken, so that each line is a section, a key, a comment or
 * blank, and no key is there twice.  A key that is there keeps its place and the comment behind it; a
 * new one comes behind the last key of its section, or with the section at the end.  The new text, with a
 * NUL behind, is the caller's to free(); NULL when there is no memory.
 */
char *rules_edit(const char *text, size_t length, const struct rules_edit_key *set,
                 size_t *new_length);

#endif
