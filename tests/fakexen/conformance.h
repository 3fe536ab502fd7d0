/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between conformance.c (event channels, the totals) and conformance_grants.c. */
#ifndef FAKEXEN_CONFORMANCE_H
#define FAKEXEN_CONFORMANCE_H

#include <stdbool.h>
#include <stdint.h>

#define UNKNOWN_DOMAIN 0x7fe0

extern uint32_t self; /* our own domid */

/* Counts and prints one check; errno of a failed one is shown. */
void check(bool ok, const char *what);

void test_grants(void);

#endif
