// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules_edit: finds the bytes to be exchanged, then copies once.  Lines are taken apart as libinih does:
 * = or : behind a key, a comment behind a blank and a semicolon.
 */
#include "rules_edit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The bytes from `from` to `to` give way. */
struct edit_place {
    size_t from, to;
    bool has_key, has_section;
};

struct edit_line {
    const char *at; /* without blanks before it */
    size_t length;
};

static bool edit_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool edit_is(const char *name, const char *at, size_t length)
{
    return strlen(name) == length && !memcmp(name, at, length);
}

/* The value's bytes in a line "KEY=VALUE ; COMMENT", if that is the key. */
static bool edit_value(const struct edit_line *line, const char *key, size_t *from, size_t *to)
{
    size_t name = 0, end;

    while (name < line->length && line->at[name] != '=' && line->at[name] != ':')
        name++;
    if (name == line->length)
        return false;
    *from = name + 1;
    while (name && edit_blank(line->at[name - 1]))
        name--;
    if (!edit_is(key, line->at, name))
        return false;
    while (*from < line->length && edit_blank(line->at[*from]))
        ++*from;
    for (end = *from; end < line->length; end++)
        if (line->at[end] == ';' && edit_blank(line->at[end - 1]))
            break;
    while (end > *from && edit_blank(line->at[end - 1]))
        end--;
    *to = end;
    return true;
}

static void edit_look(const char *text, const struct edit_line *line,
                      const struct rules_edit_key *set, bool *inside, struct edit_place *place)
{
    size_t at = (size_t)(line->at - text), from, to;
    const char *close;

    if (!line->length || line->at[0] == ';' || line->at[0] == '#')
        return;
    if (line->at[0] == '[') {
        close = memchr(line->at, ']', line->length);
        *inside = close && edit_is(set->section, line->at + 1, (size_t)(close - line->at - 1));
    } else if (*inside && edit_value(line, set->key, &from, &to)) {
        *place = (struct edit_place){.from = at + from, .to = at + to, .has_key = true};
        return;
    }
    if (*inside) {
        place->from = place->to = at + line->length;
        place->has_section = true;
    }
}

static struct edit_place edit_find(const char *text, size_t length,
                                   const struct rules_edit_key *set)
{
    struct edit_place place = {.from = length, .to = length};
    bool inside = false;

    for (size_t at = 0; at < length && !place.has_key;) {
        const char *end = memchr(text + at, '\n', length - at);
        struct edit_line line = {.at = text + at};

        line.length = end ? (size_t)(end - line.at) : length - at;
        at += line.length + 1;
        if (line.at == text && line.length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
            line.at += 3; /* a byte order mark */
            line.length -= 3;
        }
        for (; line.length && edit_blank(*line.at); line.length--)
            line.at++;
        edit_look(text, &line, set, &inside, &place);
    }
    return place;
}

static char *edit_put(char *to, const char *from)
{
    return stpcpy(to, from);
}

char *rules_edit(const char *text, size_t length, const struct rules_edit_key *set,
                 size_t *new_length)
{
    struct edit_place place = edit_find(text, length, set);
    char *out = malloc(length + strlen(set->section) + strlen(set->key) + strlen(set->value) + 8);

    if (!out)
        return NULL;
    memcpy(out, text, place.from);
    char *to = out + place.from;
    if (!place.has_key) {
        if (!place.has_section) {
            to = edit_put(to, length && text[length - 1] != '\n' ? "\n" : "");
            to = edit_put(to, length ? "\n[" : "[");
            to = edit_put(edit_put(to, set->section), "]");
        }
        to = edit_put(edit_put(edit_put(to, "\n"), set->key), "=");
    }
    to = edit_put(to, set->value);
    if (!place.has_key && place.to == length)
        to = edit_put(to, "\n");
    memcpy(to, text + place.to, length - place.to);
    *new_length = (size_t)(to - out) + length - place.to;
    out[*new_length] = '\0';
    return out;
}
