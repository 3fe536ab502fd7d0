/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_rules: a domain's own file of /etc/blkback-ephem/domains, changed by `ephemctl enable` and `disable`.
 * What a file says is known by the control plane's own reader (rules), and nothing is written that it
 * would not take.
 */
#ifndef EPHEM_OWN_RULES_H
#define EPHEM_OWN_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "rules_edit.h"
#include "rules.h"

#define OWN_RULES_DIR "/etc/blkback-ephem"

struct own_rules {
    char file[RULES_DIR + 300]; /* the domain's own */
    bool changed;
    struct rules before, after; /* of both files: the defaults and the domain's own */
};

/*
 * Sets `count` keys in the domain's own file below `dir`, which is made when it is not there.  All or
 * nothing; two at once wait for each other.  0, or negative errno with `text` (with the line, where a
 * file is wrong), and then nothing has changed.
 */
int own_rules_change(struct own_rules *own, const char *dir, const char *domain,
                     const struct rules_edit_key *keys, size_t count, char text[STORE_TEXT]);

#endif
