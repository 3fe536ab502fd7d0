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
int cmd_attach(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_disable(int argc, char **argv);
int cmd_enable(int argc, char **argv);
int cmd_forget(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_pool(int argc, char **argv);
int cmd_refresh(int argc, char **argv);
int cmd_scan(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_stubdom(int argc, char **argv);
int cmd_top(int argc, char **argv);

/*
 * Parses what every subcommand takes: --json, --help, and at most `most` words into `words`.
 * -1: go on; else the exit status.
 */
int ctl_options(int argc, char **argv, const char *help, int most, const char **words, bool *json);

/* An option with a value: --NAME VALUE, or -LETTER VALUE when that is not 0.  Said twice is wrong. */
#define CTL_FLAG 0x100 /* with the letter or without: takes none, its value is its name */
struct ctl_value {
    const char *name; /* NULL: the last */
    int letter;
    const char **value; /* untouched when the option is not there */
};

/* The same, with such options; at most 8. */
int ctl_options_with(int argc, char **argv, const char *help, int most, const char **words,
                     bool *json, const struct ctl_value *values);

/* Asks (question taken over).  The answer, or NULL after the error was printed. */
json_t *ctl_ask(json_t *question);
/* The same for a command about one guest, or all with NULL. */
json_t *ctl_ask_about(const char *cmd, const char *domain);

/* For --json: the answer without its "ok". */
void ctl_print_json(json_t *answer);

/* Text of others as JSON: what is not UTF-8 becomes '?'.  Ends the program when there is no memory. */
json_t *ctl_text_json(const char *text);

/* A member of an object; 0 or "" when it is missing. */
json_int_t ctl_number(const json_t *object, const char *key);
const char *ctl_text(const json_t *object, const char *key);

/* The first object of an array that has this number as `key`; NULL: none. */
const json_t *ctl_find(const json_t *array, const char *key, json_int_t number);

/* What to print before text of that colour, CTL_PLAIN behind it; "" where colours do not belong: stdout is
 * no terminal, or NO_COLOR is set, or TERM is dumb. */
enum ctl_colour { CTL_PLAIN, CTL_BOLD, CTL_RED, CTL_YELLOW };
const char *ctl_colour(enum ctl_colour colour);

/* Bytes in three digits and a unit: "1.5G". */
const char *ctl_size(json_int_t bytes, char out[16]);

/* Text for a terminal: control characters become '?'. */
const char *ctl_clean(const char *text, char *out, size_t size);

#endif
