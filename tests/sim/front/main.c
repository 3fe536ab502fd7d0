// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fxfront [options] [command...]: connects to a block backend as a guest would, then runs the
 * commands given as words, or line by line from stdin if there are none. Run it as domain N with
 * FAKEXEN_DOMID=N (or --domid N) and XENSTORED_PATH set to the socket of `guestxs N`; without
 * XENSTORED_PATH it reads and writes the guest's nodes as dom0, which any number can do at once.
 *
 * Exit: 0 all well, 1 a command failed, 2 usage, 3 the backend broke the protocol, 4 the backend
 * refused to connect (which is what --refused wants: it turns 4 into 0 and success into 1).
 * At the end of the commands the connection is closed cleanly, unless `die` came first.
 *
 * Not done: persistent grants, barriers, surviving a backend that goes away.
 */
#define _GNU_SOURCE
#include "front.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: fxfront [--domid N] [--devid N] [--queues N] [--ring-order K] [--indirect SEGS]\n"
    "               [--protocol x86_64-abi|x86_32-abi] [--depth N] [--span BYTES] [--seed N]\n"
    "               [--mine K/N/SECTORS]\n"
    "               [--set KEY=VALUE]... [--drop KEY]... [--no-clamp] [--refused] [--direct SEGS]\n"
    "               [--manner early,bare,whole,keep,silent,impatient] [COMMAND]...\n"
    "commands: verify COUNT|SECONDSs, pattern|check OFFSET LEN SEED,\n"
    "          checkzero|discard OFFSET LEN, flush, readsha OFFSET LEN, expect-error COMMAND,\n"
    "          info, write-key KEY VALUE, remove-key KEY, wait BACKEND-STATE[,STATE]...,\n"
    "          settle, resized SECTORS, sleep MS, close, reopen, die, pause, request FIELD=N,...,\n"
    "          fire read|write OFFSET LEN SEED, forget, untouched, took LEAST-MS MOST-MS\n";

static const struct option options[] = {
    {"domid", 1, NULL, 'D'},   {"devid", 1, NULL, 'd'},    {"queues", 1, NULL, 'q'},
    {"depth", 1, NULL, 'n'},   {"span", 1, NULL, 'S'},     {"ring-order", 1, NULL, 'o'},
    {"seed", 1, NULL, 'r'},    {"set", 1, NULL, 's'},      {"protocol", 1, NULL, 'p'},
    {"drop", 1, NULL, 'x'},    {"no-clamp", 0, NULL, 'c'}, {"indirect", 1, NULL, 'i'},
    {"refused", 0, NULL, 'R'}, {"help", 0, NULL, 'h'},     {"manner", 1, NULL, 'm'},
    {"direct", 1, NULL, 'e'},  {"mine", 1, NULL, 'M'},     {NULL, 0, NULL, 0},
};

static void add_setting(struct front *front, char *text, bool drop)
{
    char *value = strchr(text, '=');

    if (front->settings == sizeof(front->setting) / sizeof(front->setting[0]) ||
        (!drop && !value)) {
        fputs(usage, stderr);
        exit(2);
    }
    if (!drop)
        *value++ = 0;
    front->setting[front->settings++] = (struct setting){text, drop ? NULL : value};
}

static bool take_manner(struct front *front, char *text)
{
    static const char *const words[] = {"early", "bare", "whole", "keep", "silent", "impatient"};

    for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
        size_t i = 0;

        while (i < sizeof(words) / sizeof(words[0]) && strcmp(words[i], word))
            i++;
        if (i == sizeof(words) / sizeof(words[0]))
            return false;
        front->manner |= 1u << i;
    }
    return true;
}

static bool take_number(struct front *front, int option, uint64_t n)
{
    switch (option) {
    case 'd':
        front->devid = (unsigned)n;
        return true;
    case 'q':
        front->queues = (unsigned)n;
        return n >= 1 && n <= MAX_QUEUES;
    case 'o':
        front->order = (unsigned)n;
        return n <= MAX_ORDER;
    case 'i':
        front->segs = (unsigned)n;
        return n <= MAX_SEGS;
    case 'e':
        front->direct = (unsigned)n;
        return n >= 1 && n <= DIRECT_SEGS;
    case 'n':
        front->depth = (unsigned)n;
        return n >= 1;
    case 'S':
        front->span = n;
        return true;
    case 'r':
        front->seed = n;
        return true;
    default:
        return false;
    }
}

static bool take_mine(struct front *front, const char *text)
{
    unsigned long long mine, sharers, stripe;

    if (sscanf(text, "%llu/%llu/%llu", &mine, &sharers, &stripe) != 3 || mine >= sharers || !stripe)
        return false;
    front->mine = mine;
    front->sharers = sharers;
    front->stripe = stripe;
    return true;
}

static bool take_option(struct front *front, int option, bool *refused)
{
    switch (option) {
    case 'D':
        return setenv("FAKEXEN_DOMID", optarg, 1) == 0;
    case 's':
    case 'x':
        add_setting(front, optarg, option == 'x');
        return true;
    case 'c':
        front->no_clamp = true;
        return true;
    case 'R':
        *refused = true;
        return true;
    case 'm':
        return take_manner(front, optarg);
    case 'M':
        return take_mine(front, optarg);
    case 'p':
        front->protocol = optarg;
        front->abi = abi_find(optarg);
        return front->abi != NULL;
    default:
        return optarg && take_number(front, option, strtoull(optarg, NULL, 0));
    }
}

static int run_line(struct front *front, char *line)
{
    char *words[16] = {NULL};
    char **at = words;
    size_t n = 0;

    for (char *word = strtok(line, " \t\n"); word && n < 15; word = strtok(NULL, " \t\n"))
        words[n++] = word;
    return n && words[0][0] != '#' ? command_run(front, &at) : 0;
}

static int run_stdin(struct front *front)
{
    char line[512];

    while (fgets(line, sizeof(line), stdin))
        if (run_line(front, line))
            return -1;
    return 0;
}

static int run_commands(struct front *front, char **words)
{
    int err = 0;

    if (!*words)
        err = run_stdin(front);
    while (*words && !err)
        err = command_run(front, &words);
    return err;
}

int main(int argc, char **argv)
{
    static struct front front = {.devid = 51712,
                                 .queues = 1,
                                 .segs = 32,
                                 .direct = DIRECT_SEGS,
                                 .depth = 16,
                                 .span = 64u << 20,
                                 .seed = 1,
                                 .protocol = "x86_64-abi"};
    bool refused = false;
    unsigned state;
    int option, err;

    setvbuf(stdout, NULL, _IOLBF, 0);
    front.abi = abi_find(front.protocol);
    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1)
        if (option == 'h' || !take_option(&front, option, &refused)) {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    front.xsh = xs_open(0);
    if (!front.xsh || front_find(&front)) {
        perror("fxfront: xenstore");
        return 1;
    }
    state = front_connect(&front);
    if (state != 4) {
        fprintf(stderr, "fxfront: not connected, backend state %u\n", state);
        return refused && state != 99 ? 0 : 4;
    }
    printf("connected\n");
    err = refused ? -1 : run_commands(&front, argv + optind);
    if (front.connected && front_close(&front)) {
        fprintf(stderr, "fxfront: close: the backend did not follow\n");
        err = -1;
    }
    xs_close(front.xsh);
    return err ? 1 : 0;
}
