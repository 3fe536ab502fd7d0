// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ephemctl: a table of subcommands and the few things they share.
 */
#include "ephemctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *line;
} ctl_commands[] = {
    {"audit", cmd_audit, "is it all as promised, now?  Looks for itself"},
    {"forget", cmd_forget, "let a guest that was suspended start anew"},
    {"list", cmd_list, "guests and their ephemeral volumes"},
    {"refresh", cmd_refresh, "look now whether bases have grown"},
    {"status", cmd_status, "what guests use: pool, memory, requests, held writes"},
};

#define CTL_COMMANDS (sizeof(ctl_commands) / sizeof(ctl_commands[0]))

static void ctl_help(FILE *to)
{
    fputs("usage: ephemctl COMMAND [ARGUMENT]... [--json]\n"
          "Asks blkback-ephemd about the guests whose disks are ephemeral.\n\n",
          to);
    for (size_t i = 0; i < CTL_COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", ctl_commands[i].name, ctl_commands[i].line);
    fputs("\n'ephemctl COMMAND --help' says more.  Exit status: 0, 1 failed, 2 wrong usage;\n"
          "of audit 3, too: there are warnings.\n"
          "EPHEM_CONTROL names another control socket than " CLIENT_SOCKET ".\n",
          to);
}

int ctl_options(int argc, char **argv, const char *help, int most, const char **words, bool *json)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;

    *json = false;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j') {
            *json = true;
        } else if (option == 'h') {
            fputs(help, stdout);
            return 0;
        } else {
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

json_int_t ctl_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
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
