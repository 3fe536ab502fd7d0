/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glue_fakes: the control plane without xenstored, /dev/xen and processes: an empty xenstore, no event
 * channels, and one process that is there until it is killed.
 */
#ifndef FUZZ_GLUE_FAKES_H
#define FUZZ_GLUE_FAKES_H

#include <stdbool.h>
#include "glue.h"
#include "rules.h"

#define FAKE_DOMID 5u

/* Somebody has killed the process. */
extern bool fake_killed;
/* What scan_count() says. */
extern uint64_t fake_scans;

/* A daemon with nothing in it. */
void glue_fake_open(struct glue *glue);
/* Frees what is left: lives, vbds. */
void glue_fake_close(struct glue *glue);

#endif
