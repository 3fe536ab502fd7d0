// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_report: rows, what they add up to, and the table.  Everything is kept as the JSON it may be
 * printed as, clean already, so that table and JSON cannot differ and neither can be broken from
 * outside.
 */
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ephemctl.h"

#define AUDIT_DETAIL 240
#define AUDIT_READ   ((size_t)32 << 20)

static const char *const audit_words[] = {
    [AUDIT_OK] = "ok", [AUDIT_WARN] = "warn", [AUDIT_UNKNOWN] = "unknown", [AUDIT_FAIL] = "FAIL"};

_Noreturn static void audit_no_memory(void)
{
    fputs("ephemctl audit: no memory for the report\n", stderr);
    exit(EXIT_FAILURE);
}

json_t *audit_clean(const char *text)
{
    char clean[AUDIT_DETAIL + 4];
    size_t at = 0;

    for (; text[at] && at < AUDIT_DETAIL; at++)
        clean[at] = text[at] < ' ' || text[at] > '~' ? '?' : text[at];
    strcpy(clean + at, text[at] ? "..." : "");
    json_t *value = json_string(clean);
    if (!value)
        audit_no_memory();
    return value;
}

void audit_add(json_t *checks, enum audit_verdict verdict, const char *check, const char *remedy,
               const char *fmt, ...)
{
    char detail[4 * AUDIT_PATH];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    json_t *row = json_pack("{s:o, s:s, s:o, s:s?}", "check", audit_clean(check), "verdict",
                            audit_words[verdict], "detail", audit_clean(detail), "remedy", remedy);
    if (!row || json_array_append_new(checks, row))
        audit_no_memory();
}

char *audit_read(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t room = 16384, len = 0;
    char *text = fd < 0 ? NULL : malloc(room);
    int err = fd < 0 ? errno : ENOMEM;

    while (text) {
        ssize_t got = read(fd, text + len, room - len - 1);

        if (got < 0 && errno == EINTR)
            continue;
        err = got < 0 ? errno : 0;
        if (got <= 0)
            break;
        len += (size_t)got;
        if (room - len > 1)
            continue;
        room *= 2;
        err = EFBIG;
        char *more = room <= AUDIT_READ ? realloc(text, room) : NULL;
        if (!more)
            break;
        text = more;
    }
    if (fd >= 0)
        close(fd);
    if (text && !err) {
        text[len] = '\0';
        return text;
    }
    free(text);
    errno = err;
    return NULL;
}

static void audit_count(const json_t *part, json_int_t counts[4])
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(part, "checks"), i, row)
    {
        for (size_t v = 0; v < 4; v++)
            counts[v] += !strcmp(ctl_text(row, "verdict"), audit_words[v]);
    }
}

int audit_conclude(json_t *report)
{
    json_int_t counts[4] = {0};
    size_t i, worst = AUDIT_OK;
    json_t *guest, *sums = json_object();

    json_array_foreach(json_object_get(report, "guests"), i, guest) audit_count(guest, counts);
    audit_count(json_object_get(report, "host"), counts);
    for (size_t v = 0; v < 4; v++) {
        if (counts[v])
            worst = v;
        if (json_object_set_new(sums, audit_words[v], json_integer(counts[v])))
            audit_no_memory();
    }
    if (json_object_set_new(report, "counts", sums) ||
        json_object_set_new(report, "verdict", json_string(audit_words[worst])))
        audit_no_memory();
    return worst == AUDIT_OK ? 0 : worst == AUDIT_WARN ? 3 : 1;
}

static void audit_print_rows(const json_t *part)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(part, "checks"), i, row)
    {
        printf("  %-7s  %-16s %s\n", ctl_text(row, "verdict"), ctl_text(row, "check"),
               ctl_text(row, "detail"));
        if (*ctl_text(row, "remedy"))
            printf("           %-16s -> %s\n", "", ctl_text(row, "remedy"));
    }
}

void audit_print(const json_t *report)
{
    const json_t *sums = json_object_get(report, "counts");
    size_t i;
    json_t *guest;

    json_array_foreach(json_object_get(report, "guests"), i, guest)
    {
        printf("guest %lld %s\n", (long long)ctl_number(guest, "domid"), ctl_text(guest, "name"));
        audit_print_rows(guest);
    }
    puts("host");
    audit_print_rows(json_object_get(report, "host"));
    printf("%s: %lld ok, %lld warn, %lld unknown, %lld FAIL\n", ctl_text(report, "verdict"),
           (long long)ctl_number(sums, "ok"), (long long)ctl_number(sums, "warn"),
           (long long)ctl_number(sums, "unknown"), (long long)ctl_number(sums, "FAIL"));
}
