/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memfile: a file in memory that has no name, for pages that another process is to wipe.
 */
#ifndef EPHEM_MEMFILE_H
#define EPHEM_MEMFILE_H

/* An empty one, closed on exec; `label` is what /proc shows.  The descriptor or negative errno. */
int memfile_open(const char *label);

/* Zeroes over all that is in it; holes stay holes.  It need not be mapped. */
void memfile_wipe(int fd);

#endif
