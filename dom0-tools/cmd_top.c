// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * top: a status answer every few seconds, and what happened in between.  On a terminal each table is
 * painted over the one before; into a pipe or with --batch they follow each other.  With --json each
 * is one line.
 */
#include "ephemctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "rates.h"
#include "util.h"

#define TOP_DELAY "2"
#define TOP_MOST  3600

static const char top_help[] =
    "usage: ephemctl top [-b] [-n COUNT] [-d SECONDS] [--json]\n"
    "What each guest does: bytes read and written, requests and waits for its limits, each a\n"
    "second; microseconds that reads and writes took, the mean and what 99 of 100 stayed\n"
    "below; writes that are held for want of space; the worker's memory, what is taken from\n"
    "the pool and what that has left.  Those with held writes first, then the busiest.\n"
    "The first table has no rates: '-'.  Ctrl-C ends it.\n"
    "\n"
    "  -b, --batch          tables one below the other, as into a pipe\n"
    "  -n, --count COUNT    so many tables, then end\n"
    "  -d, --delay SECONDS  between two, 1 to 3600 (" TOP_DELAY ")\n"
    "  --json               a JSON object a line\n"
    "  --help               this text\n";

struct top {
    const char *batch, *count, *delay;
    uint64_t tables, seconds;
    bool json, paint;
};

static const char *top_rate(const json_t *row, const char *key, char out[16])
{
    const json_t *value = json_object_get(row, key);

    return json_is_integer(value) ? ctl_size(json_integer_value(value), out) : "-";
}

static const char *top_plain(const json_t *row, const char *key, char out[16])
{
    const json_t *value = json_object_get(row, key);

    if (!json_is_integer(value))
        return "-";
    snprintf(out, 16, "%lld", (long long)json_integer_value(value));
    return out;
}

/* What is known and beyond every class */
static const char *top_slowest(const json_t *row, char out[16])
{
    if (json_is_integer(json_object_get(row, "latency")) &&
        json_is_null(json_object_get(row, "latency_99")))
        return ">2s";
    return top_plain(row, "latency_99", out);
}

static void top_row(const json_t *row)
{
    bool held = ctl_number(row, "held") > 0;
    char text[10][16];

    printf("%s%-6lld %-20.20s %7s %7s %7s %7s %7s %7s %6s %7s %7s %7s%s\n",
           ctl_colour(held ? CTL_RED : CTL_PLAIN), (long long)ctl_number(row, "domid"),
           ctl_text(row, "name"), top_rate(row, "read_bytes", text[0]),
           top_rate(row, "write_bytes", text[1]), top_plain(row, "requests", text[2]),
           top_plain(row, "throttled", text[3]), top_plain(row, "latency", text[8]),
           top_slowest(row, text[9]), top_plain(row, "held", text[4]),
           top_rate(row, "ram", text[5]), top_rate(row, "pool", text[6]),
           top_rate(row, "left", text[7]), ctl_colour(CTL_PLAIN));
}

/* How many guests fit; the last line is left free. */
static size_t top_room(const struct top *top)
{
    struct winsize window;

    if (!top->paint || ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) || window.ws_row < 5)
        return SIZE_MAX;
    return window.ws_row - 4u;
}

static void top_table(const struct top *top, const json_t *answer, const json_t *rows)
{
    const json_t *daemon = json_object_get(answer, "daemon");
    size_t i, room = top_room(top), count = json_array_size(rows);
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    json_t *row;

    if (localtime_r(&now, &tm))
        strftime(when, sizeof(when), "%H:%M:%S", &tm);
    if (top->paint)
        fputs("\033[H\033[2J", stdout);
    printf("%s, %zu guest%s, pool %s%s\n", when, count, count == 1 ? "" : "s",
           ctl_text(daemon, "pool"),
           json_is_false(json_object_get(daemon, "xenstore")) ? ", xenstored does not answer" : "");
    printf("%s%-6s %-20s %7s %7s %7s %7s %7s %7s %6s %7s %7s %7s%s\n", ctl_colour(CTL_BOLD),
           "DOMID", "NAME", "READ/s", "WRITE/s", "REQ/s", "WAIT/s", "us", "us 99%", "HELD", "RAM",
           "POOL", "LEFT", ctl_colour(CTL_PLAIN));
    json_array_foreach(rows, i, row)
    {
        if (i < room)
            top_row(row);
    }
    if (count > room)
        printf("... and %zu more\n", count - room);
    if (!top->paint)
        putchar('\n');
}

static double top_now(void)
{
    return (double)clock_ns() / 1e9;
}

/* One line, so that a reader knows where it ends. */
static void top_line(const json_t *rows, double seconds)
{
    json_t *line = json_pack("{s:f, s:O}", "seconds", seconds, "guests", rows);

    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

static int top_run(const struct top *top)
{
    json_t *before = NULL, *now = NULL;
    double then = 0;

    for (uint64_t i = 0; !top->tables || i < top->tables; i++) {
        if (i)
            sleep((unsigned int)top->seconds);
        now = ctl_ask(json_pack("{s:s}", "cmd", "status"));
        if (!now)
            break;
        double at = top_now();
        json_t *rows = rates_between(before, now, at - then);
        if (top->json)
            top_line(rows, before ? at - then : 0.0);
        else
            top_table(top, now, rows);
        json_decref(rows);
        json_decref(before);
        before = now;
        then = at;
        if (fflush(stdout))
            break;
    }
    json_decref(before);
    return now && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_top(int argc, char **argv)
{
    struct top top = {.count = "0", .delay = TOP_DELAY};
    const struct ctl_value values[] = {{"batch", CTL_FLAG | 'b', &top.batch},
                                       {"count", 'n', &top.count},
                                       {"delay", 'd', &top.delay},
                                       {NULL, 0, NULL}};
    int status = ctl_options_with(argc, argv, top_help, 0, NULL, &top.json, values);

    if (status >= 0)
        return status;
    if (parse_u64(top.count, UINT32_MAX, &top.tables) ||
        parse_u64(top.delay, TOP_MOST, &top.seconds) || !top.seconds) {
        fputs("ephemctl top: -n is a number, -d 1 to 3600 seconds\n", stderr);
        return 2;
    }
    top.paint = !top.batch && !top.json && isatty(STDOUT_FILENO);
    return top_run(&top);
}
