// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_proc: strict where a number is read and tolerant where the kernel may add lines.  Nothing is
 * ever taken for zero because it is missing.
 */
#include "audit_proc.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static const char *proc_skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* What stands behind "key:", or NULL. */
static const char *proc_find(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, key, len) && line[len] == ':')
            return proc_skip_blanks(line + len + 1);
    }
    return NULL;
}

int proc_field(const char *text, const char *key, char *out, size_t size)
{
    const char *value = proc_find(text, key);
    size_t len = value ? strcspn(value, "\n") : 0;

    out[0] = '\0';
    if (!value)
        return -ENOENT;
    if (len >= size)
        return -EINVAL;
    memcpy(out, value, len);
    out[len] = '\0';
    return 0;
}

/* Digits of that base, behind which *end stands. */
static int proc_digits(const char *text, int base, uint64_t *out, const char **end)
{
    char *stop;

    if (!isxdigit((unsigned char)*text))
        return -EINVAL;
    errno = 0;
    *out = strtoull(text, &stop, base);
    *end = stop;
    return errno || stop == text ? -EINVAL : 0;
}

static int proc_value(const char *text, const char *key, int base, uint64_t *out)
{
    const char *value = proc_find(text, key), *end;

    if (!value)
        return -ENOENT;
    int err = proc_digits(value, base, out, &end);
    return err || (*end && !isspace((unsigned char)*end)) ? -EINVAL : 0;
}

int proc_number(const char *text, const char *key, uint64_t *out)
{
    return proc_value(text, key, 10, out);
}

int proc_hex(const char *text, const char *key, uint64_t *out)
{
    return proc_value(text, key, 16, out);
}

int proc_octal(const char *text, const char *key, uint64_t *out)
{
    return proc_value(text, key, 8, out);
}

int proc_numbers(const char *text, const char *key, uint64_t *out, size_t count)
{
    const char *at = proc_find(text, key);

    if (!at)
        return -ENOENT;
    for (size_t i = 0; i < count; i++) {
        if (proc_digits(proc_skip_blanks(at), 10, &out[i], &at))
            return -EINVAL;
    }
    at = proc_skip_blanks(at);
    return *at && *at != '\n' ? -EINVAL : 0;
}

/* A process names itself: only behind the last parenthesis are fields. */
int proc_stat(const char *text, char *state, uint64_t *parent, uint64_t *started)
{
    const char *at = strrchr(text, ')'), *end;

    if (!at || at[1] != ' ' || !isalpha((unsigned char)at[2]) || at[3] != ' ')
        return -EINVAL;
    *state = at[2];
    at += 4;
    if (proc_digits(at, 10, parent, &end))
        return -EINVAL;
    for (int field = 4; field < 22; field++) {
        at = strchr(at, ' ');
        if (!at++)
            return -EINVAL;
    }
    return proc_digits(at, 10, started, &end);
}

static int proc_limit_value(const char **at, uint64_t *out)
{
    static const char unlimited[] = "unlimited";

    *at = proc_skip_blanks(*at);
    if (strncmp(*at, unlimited, sizeof(unlimited) - 1))
        return proc_digits(*at, 10, out, at);
    *at += sizeof(unlimited) - 1;
    *out = PROC_UNLIMITED;
    return 0;
}

int proc_limit(const char *text, const char *name, uint64_t *soft, uint64_t *hard)
{
    size_t len = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) || line[len] != ' ')
            continue;
        line += len;
        return proc_limit_value(&line, soft) || proc_limit_value(&line, hard) ? -EINVAL : 0;
    }
    return -ENOENT;
}

/* ---- smaps ---- */

struct proc_mapping {
    uint64_t bytes; /* of addresses, in KiB */
    char mode[5];
    bool secret, stand_in, arena; /* by name */
    uint64_t resident, swapped;
    bool locked, undumped, unforked;
};

static bool proc_has_flag(const char *flags, const char *flag)
{
    for (const char *at = flags; (at = strstr(at, flag)); at++)
        if ((at == flags || at[-1] == ' ') && (!at[2] || at[2] == ' ' || at[2] == '\n'))
            return true;
    return false;
}

/* "FROM-TO MODE OFFSET DEVICE INODE [PATH]" */
static int proc_mapping_begin(const char *line, struct proc_mapping *out)
{
    unsigned long long from, to;
    int at = 0;

    *out = (struct proc_mapping){.bytes = 0};
    if (sscanf(line, "%llx-%llx %4s %*x %*x:%*x %*u%n", &from, &to, out->mode, &at) != 3 ||
        to < from)
        return -EINVAL;
    const char *path = proc_skip_blanks(line + at);
    out->bytes = (to - from) >> 10;
    out->secret = !strncmp(path, "/secretmem", 10);
    out->stand_in = !strncmp(path, "/memfd:secret ", 14);
    out->arena = !strncmp(path, "/memfd:arena", 12);
    return 0;
}

static void proc_mapping_count(const struct proc_mapping *map, struct proc_memory *all)
{
    bool key = map->mode[1] == '-' && map->bytes == 4, heap = map->mode[1] == 'w';
    bool stands_in = map->stand_in && map->locked && map->undumped && map->unforked;

    all->swapped += map->swapped;
    all->secret_heaps += map->secret && heap;
    all->secret_keys += map->secret && key;
    all->locked_heaps += stands_in && heap && map->bytes >= 1024;
    all->locked_keys += stands_in && key && map->mode[0] == 'r';
    all->arenas += map->arena;
    all->bare_arenas += map->arena && !(map->locked && map->undumped);
    if (map->mode[1] == 'w' && map->mode[3] == 'p' && !map->locked)
        all->unlocked += map->resident;
}

/* A line of a mapping that has begun. */
static int proc_mapping_line(const char *line, struct proc_mapping *map)
{
    static const char flags[] = "VmFlags:";
    char words[512];
    int err = 0;

    if (!strncmp(line, "Rss:", 4))
        err = proc_number(line, "Rss", &map->resident);
    else if (!strncmp(line, "Swap:", 5))
        err = proc_number(line, "Swap", &map->swapped);
    else if (!strncmp(line, flags, sizeof(flags) - 1)) {
        err = proc_field(line, "VmFlags", words, sizeof(words));
        map->locked = proc_has_flag(words, "lo");
        map->undumped = proc_has_flag(words, "dd");
        map->unforked = proc_has_flag(words, "dc");
    }
    return err;
}

int proc_memory(const char *text, struct proc_memory *out)
{
    struct proc_mapping map = {.bytes = 0};
    bool begun = false, told = true;

    *out = (struct proc_memory){.arenas = 0};
    for (const char *line = text; *line;) {
        const char *next = strchr(line, '\n');
        size_t word = strcspn(line, " :\n");

        if (line[word] == ' ') { /* no field: an address range */
            if (!told || proc_mapping_begin(line, &map))
                return -EINVAL;
            begun = true;
            told = false;
        } else if (!begun || proc_mapping_line(line, &map)) {
            return -EINVAL;
        } else if (!strncmp(line, "VmFlags:", 8)) {
            proc_mapping_count(&map, out);
            told = true;
        }
        line = next ? next + 1 : line + strlen(line);
    }
    return begun && told ? 0 : -EINVAL;
}
