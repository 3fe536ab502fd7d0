/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * audit_writers: who may write a base without a process that has it open: the kernel itself.
 */
#ifndef EPHEM_AUDIT_WRITERS_H
#define EPHEM_AUDIT_WRITERS_H

#include "audit_fds.h"

/*
 * What the kernel does with a file or block device: `how`, for behind its name ("is mounted read-write at
 * /mnt"), and `remedy`.  `any`: what only reads counts, too.  1: there is something; 0: nothing;
 * negative errno: that cannot be told.
 */
int audit_writers(const struct audit_file *file, const struct audit_givens *givens, bool any,
                  char how[AUDIT_PATH], const char **remedy);

#endif
