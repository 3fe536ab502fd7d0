/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan: xenstore's side of the loop.  Any event only makes a scan wanted; a scan lists all backend
 * directories, marks the vbds it found, and steps every vbd, found or not.  Scans are at least
 * SCAN_GAP ms apart.  A guest that writes its frontends' states faster than its bucket fills loses
 * its watches and is looked at once a second.
 */
#ifndef EPHEM_SCAN_H
#define EPHEM_SCAN_H

#include "glue.h"

#define SCAN_GAP 3 /* ms */

/* Connects to xenstored, sets the watches and wants the first scan.  0 or negative errno. */
int scan_open(struct glue *glue);

void scan_close(struct glue *glue);

/* Scans that were completed since the start. */
uint64_t scan_count(const struct scan *scan);

#endif
