// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xlcfg: one pass, read downward like the grammar: statements, values, lists, tokens.
 *
 * Deliberately narrower than xl in one place: a second `disk =`, which makes xl forget the first.
 */
#include "xlcfg.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define XLCFG_DEPTH 16 /* of lists in lists */

struct xlcfg_reader {
    struct xlcfg *cfg;
    const char *text;
    size_t at, length;
    unsigned int line;
    bool assigned; /* there was a `disk =` */
};

static int xlcfg_bad(struct xlcfg_reader *r, const char *why)
{
    r->cfg->line = r->line;
    snprintf(r->cfg->why, XLCFG_WHY, "%s", why);
    return -EINVAL;
}

/* The next byte; NUL at the end, since none is let in. */
static char xlcfg_peek(const struct xlcfg_reader *r)
{
    return r->at < r->length ? r->text[r->at] : '\0';
}

static bool xlcfg_one_of(const struct xlcfg_reader *r, const char *set)
{
    return xlcfg_peek(r) && strchr(set, xlcfg_peek(r));
}

/* Blanks and a comment; with `lines` also what ends a line. */
static void xlcfg_skip(struct xlcfg_reader *r, bool lines)
{
    while (xlcfg_one_of(r, lines ? " \t\n#" : " \t#")) {
        if (xlcfg_peek(r) == '#')
            while (r->at < r->length && xlcfg_peek(r) != '\n')
                r->at++;
        if (xlcfg_peek(r) == '\n' && !lines)
            return;
        r->line += xlcfg_peek(r) == '\n';
        r->at += r->at < r->length;
    }
}

/* ---- values ---- */

/* A backslash takes the next byte along, a quote too; xl knows a few of these. */
static int xlcfg_string(struct xlcfg_reader *r, struct xlcfg_disk *out)
{
    char quote = xlcfg_peek(r);
    size_t from = ++r->at;

    for (; xlcfg_peek(r) != quote; r->at++) {
        if (xlcfg_peek(r) == '\\') {
            r->at++;
            if (!xlcfg_one_of(r, "'\"\\abfnrtvx01234567\n"))
                return xlcfg_bad(r, "a backslash that xl does not know: write two of them");
        }
        if (r->at >= r->length || xlcfg_peek(r) == '\n')
            return xlcfg_bad(r, "a string has no end: close it in its line");
    }
    *out = (struct xlcfg_disk){.at = from, .length = r->at - from, .line = r->line, .quote = quote};
    r->at++;
    return 0;
}

static int xlcfg_number(struct xlcfg_reader *r)
{
    if (!xlcfg_one_of(r, "0123456789"))
        return xlcfg_bad(r, "neither a quoted string, a number nor a list: put it in quotes");
    while (xlcfg_one_of(r, "0123456789abcdefx"))
        r->at++;
    return 0;
}

static int xlcfg_add_disk(struct xlcfg_reader *r, const struct xlcfg_disk *disk)
{
    if (r->cfg->count == XLCFG_DISKS)
        return xlcfg_bad(r, "more than 256 disks: take some away");
    r->cfg->disks[r->cfg->count++] = *disk;
    return 0;
}

static int xlcfg_value(struct xlcfg_reader *r, bool disks, int depth);

/* Behind its bracket. */
static int xlcfg_list(struct xlcfg_reader *r, bool disks, int depth)
{
    struct xlcfg_disk disk;
    int err;

    if (depth == XLCFG_DEPTH)
        return xlcfg_bad(r, "more than 16 lists within each other: no configuration has them");
    xlcfg_skip(r, true);
    while (xlcfg_peek(r) != ']') {
        if (!disks)
            err = xlcfg_value(r, false, depth + 1);
        else if (!xlcfg_one_of(r, "'\""))
            err = xlcfg_bad(r, "a disk that is no quoted string: put it in quotes");
        else if (!(err = xlcfg_string(r, &disk)))
            err = xlcfg_add_disk(r, &disk);
        if (err)
            return err;
        xlcfg_skip(r, true);
        if (xlcfg_peek(r) == ',')
            r->at++;
        else if (xlcfg_peek(r) != ']')
            return xlcfg_bad(r, "a list goes on without a comma, or has no end: write , or ]");
        xlcfg_skip(r, true);
    }
    r->at++;
    return 0;
}

static int xlcfg_value(struct xlcfg_reader *r, bool disks, int depth)
{
    struct xlcfg_disk string;

    if (xlcfg_peek(r) == '[') {
        r->at++;
        return xlcfg_list(r, disks, depth);
    }
    if (disks)
        return xlcfg_bad(r, "disk is no list: write disk = [ '...' ]");
    return xlcfg_one_of(r, "'\"") ? xlcfg_string(r, &string) : xlcfg_number(r);
}

/* ---- what else a guest may write to ---- */

#define XLCFG_QEMU  "is not looked into: a disk that it gives the device model is not ephemeral"
#define XLCFG_USB   "gives the guest a USB device of the host: what it writes there stays"
#define XLCFG_PCI   "gives the guest a device of the host: what it keeps, or a disk behind it, stays"
#define XLCFG_FILES "gives the guest a directory of dom0: what it writes there stays, unencrypted"

static const struct xlcfg_note xlcfg_others[] = {
    {0, "device_model_args", XLCFG_QEMU},
    {0, "device_model_args_pv", XLCFG_QEMU},
    {0, "device_model_args_hvm", XLCFG_QEMU},
    {0, "device_model_override", "is another device model: what it does with disks is not known"},
    {0, "usbdevice", XLCFG_USB},
    {0, "usbdev", XLCFG_USB},
    {0, "p9", XLCFG_FILES},
    {0, "pci", XLCFG_PCI},
    {0, "dtdev", XLCFG_PCI},
    {0, "vtpm", "is another domain's disk: what the guest keeps there stays"},
};

/* usbdevice names emulated ones, too: a tablet, for most. */
static bool xlcfg_is_harmless(const char *name, const char *value, size_t length)
{
    if (!strcmp(name, "usbdevice"))
        return !memchr(value, ':', length);
    size_t blank = 0;
    while (blank < length && strchr("[] \t\n", value[blank]))
        blank++;
    return blank == length;
}

static void xlcfg_note(struct xlcfg_reader *r, const char *name, size_t length, size_t value,
                       unsigned int line)
{
    for (size_t i = 0; i < sizeof(xlcfg_others) / sizeof(*xlcfg_others); i++) {
        const struct xlcfg_note *other = &xlcfg_others[i];

        if (strlen(other->name) != length || memcmp(other->name, name, length) ||
            r->cfg->noted == XLCFG_NOTES ||
            xlcfg_is_harmless(other->name, r->text + value, r->at - value))
            continue;
        r->cfg->notes[r->cfg->noted] = *other;
        r->cfg->notes[r->cfg->noted++].line = line;
    }
}

static bool xlcfg_is(const char *word, const char *text, size_t length)
{
    return strlen(word) == length && !memcmp(word, text, length);
}

/* What kind of guest it is.  A later statement counts. */
static void xlcfg_kind(struct xlcfg_reader *r, const char *name, size_t length, size_t value)
{
    static const char *const names[] = {"type", "builder", "device_model_stubdomain_override"};
    const char *text = r->text + value;
    size_t room = r->at - value, which = 0;

    while (which < 3 && !xlcfg_is(names[which], name, length))
        which++;
    if (which < 2)
        r->cfg->hvm = xlcfg_is("\"hvm\"", text, room) || xlcfg_is("'hvm'", text, room);
    else if (which == 2)
        r->cfg->stub = !xlcfg_is("0", text, room);
}

/* ---- statements ---- */

static int xlcfg_statement(struct xlcfg_reader *r)
{
    const char *name = r->text + r->at;
    size_t length = 0;

    while (xlcfg_one_of(r, "abcdefghijklmnopqrstuvwxyz") ||
           (length && xlcfg_one_of(r, "_0123456789"))) {
        r->at++;
        length++;
    }
    if (!length)
        return xlcfg_bad(r, "xl cannot read this: write NAME = VALUE, NAME in lower case");
    bool disks = length == 4 && !memcmp(name, "disk", 4);
    xlcfg_skip(r, false);
    bool adds = xlcfg_peek(r) == '+';
    r->at += adds;
    if (xlcfg_peek(r) != '=')
        return xlcfg_bad(r, "a name without = behind it: write NAME = VALUE in one line");
    r->at++;
    if (disks && !adds && (r->assigned || r->cfg->count))
        return xlcfg_bad(r, "disk is written again, and xl forgets the first: keep one, or use +=");
    r->assigned = r->assigned || (disks && !adds);
    xlcfg_skip(r, false);
    size_t value = r->at;
    unsigned int line = r->line;
    int err = xlcfg_value(r, disks, 0);
    if (err)
        return err;
    xlcfg_note(r, name, length, value, line);
    xlcfg_kind(r, name, length, value);
    xlcfg_skip(r, false);
    if (r->at < r->length && !xlcfg_one_of(r, ";\n"))
        return xlcfg_bad(r, "something stands behind the value: give it a line of its own");
    return 0;
}

/* What no text has; and the carriage returns xl stops at. */
static int xlcfg_look(struct xlcfg_reader *r)
{
    for (size_t i = 0; i < r->length; i++) {
        if (r->text[i] == '\0')
            return xlcfg_bad(r, "a NUL byte: this is no text file");
        if (r->text[i] == '\r')
            return xlcfg_bad(r, "a carriage return, which xl does not read: remove it (dos2unix)");
        r->line += r->text[i] == '\n';
    }
    r->line = 1;
    return 0;
}

int xlcfg_parse(struct xlcfg *cfg, const char *text, size_t length)
{
    struct xlcfg_reader r = {.cfg = cfg, .text = text, .length = length, .line = 1};

    memset(cfg, 0, sizeof(*cfg));
    int err = xlcfg_look(&r);
    while (!err) {
        xlcfg_skip(&r, true);
        if (r.at >= r.length)
            break;
        if (xlcfg_peek(&r) == ';')
            r.at++;
        else
            err = xlcfg_statement(&r);
    }
    return err;
}
