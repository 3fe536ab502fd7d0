/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_rules: what the daemon of a storage domain will say to its options, before a domain is started for them.
 */
#ifndef EPHEM_STUBDOM_RULES_H
#define EPHEM_STUBDOM_RULES_H

#include "stubdom_cfg.h"

/* `wish` has been checked.  0, or -EINVAL and `why`. */
int stub_rules_judge(const struct stub_wish *wish, char why[STUB_WHY]);

#endif
