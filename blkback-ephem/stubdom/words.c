// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * words: strict: a word of ours that is not understood is an error, since a domain that guesses could serve what nobody
 * meant.
 */
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORDS_OURS "ephem."
#define WORDS_ROOM 160 /* for one word of ours */

__attribute__((format(printf, 2, 3))) static int words_refuse(char text[WORDS_TEXT],
                                                              const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(text, WORDS_TEXT, format, args);
    va_end(args);
    return -EINVAL;
}

/* "xvda" to "xvdz". */
static bool words_device(const char *text, char out[WORDS_DEVICE])
{
    if (strncmp(text, "xvd", 3) || text[3] < 'a' || text[3] > 'z' || text[4])
        return false;
    memcpy(out, text, 5);
    return true;
}

static bool words_taken(const struct words *words, const char *device)
{
    bool taken = !strcmp(words->pool, device);

    for (size_t i = 0; i < words->base_count; i++)
        taken = taken || !strcmp(words->bases[i].device, device);
    return taken;
}

static int words_pool(struct words *words, char *value, char text[WORDS_TEXT])
{
    char device[WORDS_DEVICE];
    char *comma = strchr(value, ',');

    if (comma && !strcmp(comma, ",force")) {
        words->force = true;
        *comma = '\0';
    }
    if (!words_device(value, device))
        return words_refuse(text, "ephem.pool=%.40s: say xvda to xvdz, or xvda,force", value);
    if (words->pool[0] || words_taken(words, device))
        return words_refuse(text, "ephem.pool=%s: said twice, or a base", device);
    memcpy(words->pool, device, sizeof(device));
    return 0;
}

static int words_base(struct words *words, const char *name, const char *value,
                      char text[WORDS_TEXT])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    struct words_base *base = &words->bases[words->base_count];
    char device[WORDS_DEVICE];

    if (!name[0] || strlen(name) >= WORDS_NAME || name[0] == '.' || name[strspn(name, letters)])
        return words_refuse(
            text, "ephem.base.%.40s: a base's name is up to %d of a-z, 0-9, '_', '.', '-'", name,
            WORDS_NAME - 1);
    if (!words_device(value, device))
        return words_refuse(text, "ephem.base.%s=%.40s: say xvda to xvdz", name, value);
    for (size_t i = 0; i < words->base_count; i++)
        if (!strcmp(words->bases[i].name, name))
            return words_refuse(text, "ephem.base.%s is said twice", name);
    if (words_taken(words, device))
        return words_refuse(text, "ephem.base.%s=%s: that device is another's", name, device);
    if (words->base_count == WORDS_BASES)
        return words_refuse(text, "ephem.base.%s: at most %d bases", name, WORDS_BASES);
    words->base_count++;
    snprintf(base->name, sizeof(base->name), "%.31s", name);
    memcpy(base->device, device, sizeof(device));
    return 0;
}

static int words_shape(struct words *words, const char *value, char text[WORDS_TEXT])
{
    words->shared = !strcmp(value, "shared");
    if (words->shaped || (!words->shared && strcmp(value, "per-guest") != 0))
        return words_refuse(text, "ephem.shape=%.40s: say shared or per-guest, once", value);
    words->shaped = true;
    return 0;
}

static int words_option(struct words *words, const char *key, const char *value,
                        char text[WORDS_TEXT])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
    char *option = words->options[words->option_count];
    size_t length = strlen(key), section = strspn(key, letters);
    const char *rest = key + section + (key[section] == '.');

    if (!section || key[section] != '.' || length > 30 || !rest[0] || rest[strspn(rest, letters)] ||
        !value[0] || strlen(value) > 60)
        return words_refuse(text, "ephem.opt.%.40s: say ephem.opt.SECTION.KEY=VALUE", key);
    for (size_t i = 0; i < words->option_count; i++)
        if (!strncmp(words->options[i], key, length) && words->options[i][length] == '=')
            return words_refuse(text, "ephem.opt.%s is said twice", key);
    if (words->option_count == WORDS_OPTIONS)
        return words_refuse(text, "ephem.opt.%s: at most %d options", key, WORDS_OPTIONS);
    words->option_count++;
    snprintf(option, sizeof(words->options[0]), "%.30s=%.60s", key, value);
    return 0;
}

/* Its lines go into messages and into a file. */
static bool words_plain(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (word[i] < '!' || word[i] > '~')
            return false;
    return true;
}

/* One word of ours, behind "ephem."; it may be written to. */
static int words_take(struct words *words, char *word, char text[WORDS_TEXT])
{
    char *value = strchr(word, '=');

    if (!value)
        return words_refuse(text, WORDS_OURS "%.40s: has no value", word);
    *value++ = '\0';
    if (!strcmp(word, "pool"))
        return words_pool(words, value, text);
    if (!strcmp(word, "shape"))
        return words_shape(words, value, text);
    if (!strncmp(word, "base.", 5))
        return words_base(words, word + 5, value, text);
    if (!strncmp(word, "opt.", 4))
        return words_option(words, word + 4, value, text);
    return words_refuse(
        text, WORDS_OURS "%.40s: not known: pool, shape, base.NAME, opt.SECTION.KEY", word);
}

int words_parse(const char *line, struct words *words, char text[WORDS_TEXT])
{
    static const char blanks[] = " \t\n";
    size_t prefix = strlen(WORDS_OURS);

    *words = (struct words){.shaped = false};
    for (line += strspn(line, blanks); *line; line += strspn(line, blanks)) {
        size_t length = strcspn(line, blanks);
        char word[WORDS_ROOM];

        if (!strncmp(line, WORDS_OURS, prefix)) {
            if (!words_plain(line, length))
                return words_refuse(text, "a word that begins with " WORDS_OURS
                                          " has a byte that is not plain ASCII");
            if (length >= sizeof(word))
                return words_refuse(text, "%.40s...: too long", line);
            memcpy(word, line + prefix, length - prefix);
            word[length - prefix] = '\0';
            int err = words_take(words, word, text);
            if (err)
                return err;
        }
        line += length;
    }
    if (!words->pool[0])
        return words_refuse(text, "no pool: say ephem.pool=xvda");
    if (!words->shaped)
        return words_refuse(text, "say ephem.shape=shared or ephem.shape=per-guest");
    return 0;
}
