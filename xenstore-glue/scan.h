/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan: xenstore's side of the loop.  Any event only makes a scan wanted.  A whole scan lists all
 * backend directories, marks the vbds it found, and steps every vbd, found or not; what concerns
 * one domain does the same for that domain alone.  Scans are at least SCAN_GAP ms apart.
 */
#ifndef EPHEM_SCAN_H
#define EPHEM_SCAN_H

#include "glue.h"

#define SCAN_GAP 3 /* ms */

/* Connects to xenstored, claims it, sets the watches and wants the first scan.  0 or negative errno;
 * -EBUSY when another daemon's claim stands, which has been said. */
int scan_open(struct glue *glue);

void scan_close(struct glue *glue);

/* True while a domain's backends are left alone: a scan says nothing about them then. */
bool scan_passes_over(struct scan *scan, uint32_t domid);

/* True while a domain writes too often and is not watched. */
bool scan_throttles(struct scan *scan, uint32_t domid);

/* Whole scans that were completed since the start. */
uint64_t scan_count(const struct scan *scan);

#endif
