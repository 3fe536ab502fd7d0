// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ephemctl: a table of subcommands and the few things they share.
 */
#include "ephemctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *line;
} ctl_commands[] = {
    {"audit", cmd_audit, "is it all as promised, now?  Looks for itself"},
    {"attach", cmd_attach, "an ephemeral disk for a domain, whatever its toolstack"},
    {"convert", cmd_convert, "an xl configuration to its ephemeral twin"},
    {"detach", cmd_detach, "take such a disk away"},
    {"disable", cmd_disable, "a domain may have other writable disks, from its next start"},
    {"enable", cmd_enable, "a domain may have ephemeral disks only, from its next start"},
    {"forget", cmd_forget, "let a guest that was suspended start anew"},
    {"list", cmd_list, "guests and their ephemeral volumes"},
    {"metrics", cmd_metrics, "what status knows, as Prometheus text"},
    {"pool", cmd_pool, "pools: what is taken, what is left, who has it"},
    {"refresh", cmd_refresh, "look now whether bases have grown"},
    {"scan", cmd_scan, "every domain's volumes: ephemeral, plain, read-only, encrypted"},
    {"status", cmd_status, "what guests use: pool, memory, requests, held writes"},
    {"stubdom", cmd_stubdom, "storage domains: the backend in a domain of its own"},
    {"top", cmd_top, "throughput, held writes, memory and pool of each guest, live"},
};

#define CTL_VALUES   8   /* options with a value, of one command */
#define CTL_LONG     256 /* above all letters */
#define CTL_COMMANDS (sizeof(ctl_commands) / sizeof(ctl_commands[0]))

static void ctl_help(FILE *to)
{
    fputs("usage: ephemctl COMMAND [ARGUMENT]... [--json]\n"
          "Guests whose disks are ephemeral: what they have, what they use, and who is one.\n\n",
          to);
    for (size_t i = 0; i < CTL_COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", ctl_commands[i].name, ctl_commands[i].line);
    fputs("\n'ephemctl COMMAND --help' says more.  Exit status: 0, 1 failed, 2 wrong usage;\n"
          "of audit 3, too: there are warnings.\n"
          "EPHEM_CONTROL names another control socket than " CLIENT_SOCKET ".\n",
          to);
}

/* Which of `values` the option is; 0, or -1 when it was there before. */
static int ctl_take(const struct ctl_value *values, int option)
{
    static const char *seen[CTL_VALUES];
    const struct ctl_value *value = &values[option >= CTL_LONG ? option - CTL_LONG : 0];

    while (option < CTL_LONG && (value->letter & ~CTL_FLAG) != option)
        value++;
    if (seen[value - values]) {
        fprintf(stderr, "ephemctl: --%s is there twice: keep one\n", value->name);
        return -1;
    }
    seen[value - values] = *value->value = value->letter & CTL_FLAG ? value->name : optarg;
    return 0;
}

int ctl_options_with(int argc, char **argv, const char *help, int most, const char **words,
                     bool *json, const struct ctl_value *values)
{
    struct option options[CTL_VALUES + 3] = {{"json", no_argument, NULL, 'j'},
                                             {"help", no_argument, NULL, 'h'}};
    char letters[2 * CTL_VALUES + 1] = "";
    int option;

    for (int i = 0; values && values[i].name && i < CTL_VALUES; i++) {
        bool flag = values[i].letter & CTL_FLAG;
        int letter = values[i].letter & ~CTL_FLAG;

        options[i + 2] = (struct option){values[i].name, flag ? no_argument : required_argument,
                                         NULL, CTL_LONG + i};
        if (letter)
            snprintf(letters + strlen(letters), 3, "%c%s", letter, flag ? "" : ":");
    }
    *json = false;
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (option == 'j') {
            *json = true;
        } else if (option == 'h') {
            fputs(help, stdout);
            return 0;
        } else if (option == '?' || ctl_take(values, option)) {
            fprintf(stderr, "Try 'ephemctl %s --help'.\n", argv[0]);
            return 2;
        }
    }
    if (argc - optind > most) {
        fprintf(stderr, "ephemctl %s: unexpected argument; try --help\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < most; i++)
        words[i] = optind + i < argc ? argv[optind + i] : NULL;
    return -1;
}

int ctl_options(int argc, char **argv, const char *help, int most, const char **words, bool *json)
{
    return ctl_options_with(argc, argv, help, most, words, json, NULL);
}

/* Nothing an answer says may move the operator's cursor. */
static void ctl_tidy(json_t *value)
{
    const char *key, *text = json_string_value(value);
    json_t *member;
    size_t i;

    json_array_foreach(value, i, member) ctl_tidy(member);
    json_object_foreach(value, key, member) ctl_tidy(member);
    if (!text)
        return;
    char *clean = strdup(text);
    if (!clean || json_string_set(value, ctl_clean(text, clean, strlen(text) + 1))) {
        fputs("ephemctl: no memory for the answer\n", stderr);
        exit(EXIT_FAILURE);
    }
    free(clean);
}

json_t *ctl_ask(json_t *question)
{
    char text[CLIENT_TEXT], clean[CLIENT_TEXT];
    json_t *answer = NULL;

    if (client_ask(question, &answer, text))
        fprintf(stderr, "ephemctl: %s\n", ctl_clean(text, clean, sizeof(clean)));
    ctl_tidy(answer);
    return answer;
}

json_t *ctl_ask_about(const char *cmd, const char *domain)
{
    json_t *question = json_pack("{s:s}", "cmd", cmd);

    /* No guest has a name that is not UTF-8, and JSON could not carry it. */
    if (domain && json_object_set_new(question, "domain", json_string(domain))) {
        fputs("ephemctl: no such guest: its name is not UTF-8\n", stderr);
        json_decref(question);
        return NULL;
    }
    return ctl_ask(question);
}

void ctl_print_json(json_t *answer)
{
    json_object_del(answer, "ok");
    json_dumpf(answer, stdout, JSON_INDENT(2));
    putchar('\n');
}

json_t *ctl_text_json(const char *text)
{
    json_t *value = json_string(text);
    char *plain = value ? NULL : strdup(text);

    for (char *c = plain; c && *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (plain)
        value = json_string(plain);
    free(plain);
    if (!value) {
        fputs("ephemctl: no memory for the answer\n", stderr);
        exit(EXIT_FAILURE);
    }
    return value;
}

json_int_t ctl_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const json_t *ctl_find(const json_t *array, const char *key, json_int_t number)
{
    size_t i;
    json_t *object;

    json_array_foreach(array, i, object)
    {
        if (ctl_number(object, key) == number)
            return object;
    }
    return NULL;
}

const char *ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

const char *ctl_size(json_int_t bytes, char out[16])
{
    static const char units[] = "BKMGTPE";
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    if (unit && value < 9.95)
        snprintf(out, 16, "%.1f%c", value, units[unit]);
    else
        snprintf(out, 16, "%.0f%c", value, units[unit]);
    return out;
}

const char *ctl_colour(enum ctl_colour colour)
{
    static const char *const codes[] = {[CTL_PLAIN] = "\033[0m",
                                        [CTL_BOLD] = "\033[1m",
                                        [CTL_RED] = "\033[1;31m",
                                        [CTL_YELLOW] = "\033[33m"};
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

    return (none && *none) || !term || !strcmp(term, "dumb") || !isatty(STDOUT_FILENO)
               ? ""
               : codes[colour];
}

const char *ctl_clean(const char *text, char *out, size_t size)
{
    size_t at = 0;

    for (; text[at] && at + 1 < size; at++)
        out[at] = (unsigned char)text[at] < ' ' || text[at] == 0x7f ? '?' : text[at];
    out[at] = '\0';
    return out;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
        ctl_help(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; argc >= 2 && i < CTL_COMMANDS; i++)
        if (!strcmp(argv[1], ctl_commands[i].name))
            return ctl_commands[i].run(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "ephemctl: no command '%s'\n", argv[1]);
    ctl_help(stderr);
    return 2;
}
