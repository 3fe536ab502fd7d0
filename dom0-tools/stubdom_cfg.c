// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_cfg: the pool is xvda, bases follow.  Each part is told to the domain on its kernel's command line
 * (blkback-ephem/stubdom/words.h), since it must not guess.  What xl or the kernel would read otherwise than it is
 * written is refused, not quoted.
 */
#include "stubdom_cfg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STUB_LINE 2047 /* of x86's COMMAND_LINE_SIZE */

/* xl's configuration cannot say it */
#define STUB_PAUSED                                                                                \
    "# With --pairs: xl create -p, then xenstore-write /local/domain/DOMID/blkback-ephem/pairs "   \
    "1, then "                                                                                     \
    "xl unpause.\n"

static const char stub_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
static const char stub_small[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";

__attribute__((format(printf, 2, 3))) static int stub_refuse(char why[STUB_WHY], const char *format,
                                                             ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, STUB_WHY, format, args);
    va_end(args);
    return -EINVAL;
}

bool stub_is_name(const char *name)
{
    return name[strspn(name, "0123456789")] && name[0] != '.' && name[0] != '-' &&
           strlen(name) < STUB_NAME && !name[strspn(name, stub_letters)];
}

/* A path that is the same for us and xl. */
static bool stub_is_path(const char *path)
{
    if (path[0] != '/' || strlen(path) > 900 || path[strlen(path) - 1] == ',')
        return false;
    for (; *path; path++)
        if (*path <= ' ' || *path > '~' || strchr("'\"\\", *path))
            return false;
    return true;
}

int stub_add_base(struct stub_wish *wish, const char *text, char why[STUB_WHY])
{
    size_t length = strcspn(text, "=");
    struct stub_base *base = &wish->bases[wish->base_count];

    if (!text[length] || !length || length >= sizeof(base->name) || text[0] == '.' ||
        strspn(text, stub_small) < length)
        return stub_refuse(
            why, "--base %.60s: say NAME=PATH; NAME is up to 31 of a-z, 0-9, '_', '.', '-'", text);
    if (!stub_is_path(text + length + 1))
        return stub_refuse(
            why, "--base %.80s: the path is absolute, without blanks, quotes, backslashes", text);
    if (wish->base_count == STUB_BASES)
        return stub_refuse(why, "--base: at most %d", STUB_BASES);
    for (size_t i = 0; i < wish->base_count; i++)
        if (strlen(wish->bases[i].name) == length && !strncmp(wish->bases[i].name, text, length))
            return stub_refuse(why, "--base %.*s is there twice", (int)length, text);
    wish->base_count++;
    snprintf(base->name, sizeof(base->name), "%.*s", (int)length, text);
    base->path = text + length + 1;
    return 0;
}

int stub_add_option(struct stub_wish *wish, const char *text, char why[STUB_WHY])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz-";
    size_t section = strspn(text, letters);
    size_t key = text[section] == '.' ? strspn(text + section + 1, letters) : 0;
    const char *value = text + section + 1 + key;

    if (!section || !key || value[0] != '=' || !value[1] || section + 1 + key > 30 ||
        strlen(value + 1) > 60)
        return stub_refuse(why, "--option %.60s: say SECTION.KEY=VALUE, as pool.quota=1G", text);
    for (const char *c = value + 1; *c; c++)
        if (*c <= ' ' || *c > '~' || strchr("'\"\\", *c))
            return stub_refuse(why, "--option %.60s: no blanks, quotes, backslashes", text);
    if (wish->option_count == STUB_OPTIONS)
        return stub_refuse(why, "--option: at most %d", STUB_OPTIONS);
    wish->options[wish->option_count++] = text;
    return 0;
}

int stub_check(struct stub_wish *wish, char why[STUB_WHY])
{
    if (!stub_is_name(wish->name))
        return stub_refuse(
            why,
            "'%.60s' is no name: up to %d letters, digits, '_', '.', '-', not digits "
            "alone",
            wish->name, STUB_NAME - 1);
    if (!wish->pool || !stub_is_path(wish->pool))
        return stub_refuse(why, "--pool takes the absolute path of a block device");
    for (size_t i = 0; i < wish->base_count; i++)
        if (!strcmp(wish->bases[i].path, wish->pool))
            return stub_refuse(why, "%.80s is a base and the pool: name two devices", wish->pool);
    if (wish->host && (!stub_is_name(wish->host) || !strcmp(wish->host, "Domain-0")))
        return stub_refuse(
            why, "--backend: '%.60s' is no other domain's name: without it it is dom0", wish->host);
    if (!stub_is_path(wish->image))
        return stub_refuse(why, "--image takes an absolute path");
    if (!wish->memory)
        wish->memory = STUB_LEAST + (wish->base_count > 2 ? (wish->base_count - 2) * STUB_EACH : 0);
    if (wish->memory < STUB_LEAST)
        return stub_refuse(why, "--memory is a number of MiB, at least %d", STUB_LEAST);
    return 0;
}

struct stub_out {
    char *text;
    size_t size, at;
};

__attribute__((format(printf, 2, 3))) static void stub_put(struct stub_out *out, const char *format,
                                                           ...)
{
    va_list args;

    va_start(args, format);
    int length = vsnprintf(out->text + out->at, out->size - out->at, format, args);
    va_end(args);
    out->at += (size_t)length < out->size - out->at ? (size_t)length : out->size - out->at - 1;
}

static void stub_put_disk(struct stub_out *out, const struct stub_wish *wish, char letter,
                          const char *access, const char *path)
{
    stub_put(out, "  'format=raw,backendtype=phy,vdev=xvd%c,access=%s,%s%s%starget=%s',\n", letter,
             access, wish->host ? "backend=" : "", wish->host ? wish->host : "",
             wish->host ? "," : "", path);
}

int stub_write(const struct stub_wish *wish, char out[STUB_TEXT], char why[STUB_WHY])
{
    struct stub_out cfg = {.text = out, .size = STUB_TEXT};
    char line[4096];
    struct stub_out words = {.text = line, .size = sizeof(line)};

    stub_put(&words,
             "console=hvc0 quiet loglevel=4 panic=1 init_on_free=1 secretmem.enable=1 "
             "ephem.shape=%s ephem.pool=xvda%s",
             wish->per_guest ? "per-guest" : "shared", wish->force ? ",force" : "");
    for (size_t i = 0; i < wish->base_count; i++)
        stub_put(&words, " ephem.base.%s=xvd%c", wish->bases[i].name, (char)('b' + i));
    for (size_t i = 0; i < wish->option_count; i++)
        stub_put(&words, " ephem.opt.%s", wish->options[i]);
    if (words.at > STUB_LINE)
        return stub_refuse(why, "too many bases and options for a kernel's command line");
    stub_put(&cfg,
             "# Written by ephemctl stubdom create.\n%s"
             "name = \"%s\"\ntype = \"pvh\"\ndriver_domain = 1\nvcpus = 1\n"
             "memory = %llu\nmaxmem = %llu\n"
             "kernel = \"%s/vmlinuz\"\nramdisk = \"%s/initramfs\"\ncmdline = \"%s\"\n"
             "on_poweroff = \"destroy\"\non_reboot = \"destroy\"\non_crash = \"destroy\"\n"
             "disk = [\n",
             wish->pairs ? STUB_PAUSED : "", wish->name, (unsigned long long)wish->memory,
             (unsigned long long)wish->memory, wish->image, wish->image, line);
    stub_put_disk(&cfg, wish, 'a', "rw", wish->pool);
    for (size_t i = 0; i < wish->base_count; i++)
        stub_put_disk(&cfg, wish, (char)('b' + i), "ro", wish->bases[i].path);
    stub_put(&cfg, "]\n");
    return cfg.at + 1 < cfg.size ? 0 : stub_refuse(why, "the configuration gets too long");
}
