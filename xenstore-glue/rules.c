// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rules: the only user of libinih, which reads INI in a lenient way: it lets lines continue, ignores
 * what stands behind a section's name, and cuts long lines in two.  So it gets its lines one by one
 * from us, without what it would be lenient about; that is also how errors know their line.
 */
#include "rules.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static const struct {
    const char *section, *key;
} rules_keys[RULES_KEYS] = {
    [RULES_POOL] = {"pool", "pool"},
    [RULES_RAM_BUDGET] = {"pool", "ram-budget"},
    [RULES_QUOTA] = {"pool", "quota"},
    [RULES_LOW_WATER] = {"pool", "low-water"},
    [RULES_INTEGRITY] = {"pool", "integrity"},
    [RULES_IOPS] = {"limits", "iops"},
    [RULES_BANDWIDTH] = {"limits", "bandwidth"},
    [RULES_EPHEMERAL] = {"guard", "ephemeral"},
    [RULES_STRICT] = {"guard", "strict"},
    [RULES_ENFORCE] = {"guard", "enforce"},
};

struct rules_reader {
    struct rules *rules;
    const struct rules_text *in;
    size_t at;
    unsigned int line;
    unsigned int seen; /* bit n: key n, in this file */
    int err;
    char *text;
};

/* Tells what is wrong with the current line; nothing is read behind it. */
static void rules_bad(struct rules_reader *r, const char *what, const char *why)
{
    r->err = store_fail(r->text, -EINVAL, PATH_SHOWN ":%u: %s%s%s", r->in->file, r->line, what,
                        what[0] ? ": " : "", why);
}

static bool rules_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool rules_section(const char *name, size_t length)
{
    for (enum rules_key i = 0; i < RULES_KEYS; i++)
        if (strlen(rules_keys[i].section) == length && !memcmp(rules_keys[i].section, name, length))
            return true;
    return false;
}

/* What libinih would pass over in silence. */
static void rules_look(struct rules_reader *r, const char *line)
{
    const char *close = line[0] == '[' ? strchr(line, ']') : NULL;
    char what[64];

    if (close && !rules_section(line + 1, (size_t)(close - line - 1))) {
        snprintf(what, sizeof(what), "%.*s", (int)min_u32((uint32_t)(close - line - 1), 40),
                 line + 1);
        rules_bad(r, what, "no such section: write [pool], [limits] or [guard]");
    }
    while (close && rules_blank(*++close))
        ;
    if (close && *close && *close != ';' && *close != '#')
        rules_bad(r, "", "something stands behind the section's name: give it a line of its own");
}

static char *rules_line(char *out, int room, void *arg)
{
    struct rules_reader *r = arg;
    size_t left = r->in->length - r->at;

    if (r->err || !left)
        return NULL;
    const char *from = r->in->at + r->at;
    const char *end = memchr(from, '\n', left);
    size_t length = end ? (size_t)(end - from) : left;
    r->at += length + (end ? 1 : 0);
    r->line++;
    if (r->line == 1 && length >= 3 && !memcmp(from, "\xef\xbb\xbf", 3)) {
        from += 3; /* a byte order mark */
        length -= 3;
    }
    for (; length && rules_blank(*from); length--)
        from++;
    if (memchr(from, '\0', length))
        rules_bad(r, "", "a NUL byte: this is no text file");
    else if (length + 2 > (size_t)room)
        rules_bad(r, "", "the line is too long: shorten it to 198 characters");
    if (r->err)
        return NULL;
    memcpy(out, from, length);
    out[length] = '\0';
    rules_look(r, out);
    return r->err ? NULL : out;
}

/* RULES_KEYS when there is none, which has been said. */
static enum rules_key rules_find(struct rules_reader *r, const char *section, const char *key)
{
    char what[64];

    for (enum rules_key i = 0; i < RULES_KEYS; i++)
        if (!strcmp(rules_keys[i].section, section) && !strcmp(rules_keys[i].key, key))
            return i;
    snprintf(what, sizeof(what), "%.40s", key);
    rules_bad(r, what,
              !section[0] ? "stands before any section: write [pool], [limits] or [guard] above it"
              : !strcmp(section, "pool")
                  ? "no such key in [pool]: write pool, ram-budget, quota, low-water or "
                    "integrity"
              : !strcmp(section, "limits")
                  ? "no such key in [limits]: write iops or bandwidth"
                  : "no such key in [guard]: write ephemeral, strict or enforce");
    return RULES_KEYS;
}

/* A switch of [guard]. */
static int rules_switch(struct rules *rules, enum rules_key key, const char *value,
                        char text[STORE_TEXT])
{
    static const char *const words[] = {"off", "no", "0", "on", "yes", "1"};
    size_t i = 0;

    while (i < ARRAY_SIZE(words) && strcmp(words[i], value))
        i++;
    if (i == ARRAY_SIZE(words))
        return store_fail(text, -EINVAL, "'%.40s': write on or off", value);
    if (key == RULES_EPHEMERAL)
        rules->ephemeral = i > 2;
    else if (key == RULES_STRICT)
        rules->strict = i > 2;
    else
        rules->lenient = i <= 2;
    return 0;
}

static int rules_set(struct rules *rules, enum rules_key key, const char *value,
                     char text[STORE_TEXT])
{
    struct store_pool_spec spec;

    if (!strcmp(rules_keys[key].section, "guard"))
        return rules_switch(rules, key, value, text);
    if (key != RULES_POOL)
        return store_set_limit(&rules->limits, rules_keys[key].key, value, text);
    int err = store_parse_pool(value, &spec, text);
    if (!err && copy_string(rules->pool, RULES_SPEC, value))
        err = store_fail(text, -EINVAL, "too long: use a shorter path");
    return err;
}

static int rules_value(void *arg, const char *section, const char *name, const char *value)
{
    struct rules_reader *r = arg;
    char why[STORE_TEXT];

    if (r->err)
        return 0;
    enum rules_key key = rules_find(r, section, name);
    if (key == RULES_KEYS)
        return 0;
    if (r->seen & 1u << key) {
        rules_bad(r, name, "written twice in this file: keep one");
        return 0;
    }
    if (rules_set(r->rules, key, value, why)) {
        /* A pool's own words begin with what it is. */
        rules_bad(r, key == RULES_POOL ? "" : name, why);
        return 0;
    }
    r->seen |= 1u << key;
    r->rules->place[key] = (struct rules_place){.own = r->in->own, .line = r->line};
    return 1;
}

int rules_parse(struct rules *rules, const struct rules_text *in, char text[STORE_TEXT])
{
    struct rules_reader r = {.rules = rules, .in = in, .text = text};
    int result = ini_parse_stream(rules_line, &r, rules_value, &r);

    if (result < 0 && !r.err)
        return store_fail(text, -ENOMEM, PATH_SHOWN ": out of memory", in->file);
    /* libinih's own complaint is the line it could not take apart; the earlier one counts. */
    if (result > 0 && (!r.err || (unsigned int)result < r.line)) {
        r.line = (unsigned int)result;
        rules_bad(&r, "", "neither [SECTION] nor KEY=VALUE: correct it, or put # before it");
    }
    return r.err;
}

/* The place an operator would change: the domain's own file, if any key in question is from there. */
static struct rules_place rules_culprit(const struct rules *rules, const char *key)
{
    struct rules_place place = {.line = 0};

    for (enum rules_key i = 0; i < RULES_KEYS; i++)
        if (!strcmp(rules_keys[i].key, key))
            place = rules->place[i];
    for (enum rules_key i = RULES_POOL; i <= RULES_QUOTA && !place.own; i++)
        if (i != RULES_RAM_BUDGET && rules->place[i].own &&
            (i == RULES_POOL || strcmp(key, "integrity")))
            place = rules->place[i];
    return place;
}

int rules_finish(struct rules *rules, const char *file, const char *own, char text[STORE_TEXT])
{
    char why[STORE_TEXT];
    const char *key;

    if (!rules->pool[0])
        return store_fail(text, -EINVAL,
                          "no pool: write pool=dir:/PATH below [pool] in " PATH_SHOWN
                          ", or pass --pool dir:PATH",
                          file);
    int err = store_parse_pool(rules->pool, &rules->spec, text);
    if (err)
        return err;
    if (!store_check_limits(&rules->spec, &rules->limits, &key, why))
        return 0;
    struct rules_place place = rules_culprit(rules, key);
    return store_fail(text, -EINVAL, PATH_SHOWN ":%u: %s: %s", place.own ? own : file, place.line,
                      key, why);
}
