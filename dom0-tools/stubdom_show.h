/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stubdom_show: `ephemctl stubdom list`, `destroy`, `logs` and `pairs`.  Each takes the arguments behind its name and returns the
 * exit status.
 */
#ifndef EPHEM_STUBDOM_SHOW_H
#define EPHEM_STUBDOM_SHOW_H

#include <stdio.h>

#define STUB_CONSOLES "/var/log/xen/console" /* or EPHEM_CONSOLES: where xenconsoled logs guests */

int stub_list(int argc, char **argv);
int stub_destroy(int argc, char **argv);
int stub_logs(int argc, char **argv);
int stub_pairs(int argc, char **argv); /* goes on until xenstore is lost */

/* The last lines of a domain's console from byte `from` on, made harmless for a terminal.  0 or negative errno: there is no
 * log, or nothing since. */
int stub_show_log(const char *name, unsigned int lines, long from, FILE *to);

/* Bytes of that log, for `from`: an earlier domain of that name may have said these.  0 when there is none. */
long stub_log_size(const char *name);

#endif
