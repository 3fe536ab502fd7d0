/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ephemctl: what the subcommands share.  Each is one file cmd_<name>.c with one function that takes
 * the arguments behind its name and returns the exit status: 0, 1 failed, 2 wrong usage; audit has 3, too.
 */
#ifndef EPHEM_EPHEMCTL_H
#define EPHEM_EPHEMCTL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

int cmd_audit(int argc, char **argv);
int cmd_forget(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_refresh(int argc, char **argv);
int cmd_status(int argc, char **argv);

/*
 * Parses what every subcommand takes: --json, --help, and at most `most` words into `words`.
 * -1: go on; else the exit status.
 */
int ctl_options(int argc, char **argv, const char *help, int most, const char **words, bool *json);

/* Asks (question taken over).  The answer, or NULL after the error was printed. */
json_t *ctl_ask(json_t *question);
/* The same for a command about one guest, or all with NULL. */
json_t *ctl_ask_about(const char *cmd, const char *domain);

/* For --json: the answer without its "ok". */
void ctl_print_json(json_t *answer);

/* A member of an object; 0 or "" when it is missing. */
json_int_t ctl_number(const json_t *object, const char *key);
const char *ctl_text(const json_t *object, const char *key);

/* Bytes in three digits and a unit: "1.5G". */
const char *ctl_size(json_int_t bytes, char out[16]);

/* Text for a terminal: control characters become '?'. */
const char *ctl_clean(const char *text, char *out, size_t size);

#endif
