// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_words: the rest of audit_proc: command line, mounts, swap, the daemon's notes, our targets.
 */
#include "audit_proc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

int proc_word(const char *cmdline, const char *key, char *out, size_t size)
{
    size_t len = strlen(key);
    int err = -ENOENT;

    out[0] = '\0';
    for (const char *at = cmdline; *at; at += strcspn(at, " \n")) {
        at += strspn(at, " \n");
        if (strncmp(at, key, len) || (at[len] && !strchr("= \n", at[len])))
            continue;
        const char *value = at + len + (at[len] == '=');
        size_t room = strcspn(value, " \n");
        err = room >= size ? -EINVAL : 0;
        snprintf(out, size, "%.*s", (int)min_u64(room, size), value);
    }
    return err;
}

/* Cuts the next word off, which may be empty: a mount's source can be. */
static char *proc_cut(char **at)
{
    char *word = *at, *blank = strchr(word, ' ');

    *at = blank ? blank + 1 : word + strlen(word);
    if (blank)
        *blank = '\0';
    return word;
}

/* The kernel begins mount options with one of the two; what is neither counts as writable. */
static bool proc_is_readonly(const char *options)
{
    return !strncmp(options, "ro", 2) && (!options[2] || options[2] == ',');
}

/* "ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [TAG]... - TYPE SOURCE SUPER" */
int proc_mount(char **text, struct proc_mount *out)
{
    char *words[6], *line = *text, *end = strchr(line, '\n'), more;

    if (!*line)
        return -ENOENT;
    *text = end ? end + 1 : line + strlen(line);
    if (!end)
        return -EINVAL;
    *end = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = proc_cut(&line);
    while (*line && strcmp(proc_cut(&line), "-"))
        ;
    char *type = proc_cut(&line), *source = proc_cut(&line);
    if (sscanf(words[2], "%u:%u%c", &out->major, &out->minor, &more) != 2 || !*words[5] || !*type ||
        !*line)
        return -EINVAL;
    out->fs_writable = !proc_is_readonly(line);
    out->writable = out->fs_writable && !proc_is_readonly(words[5]);
    unescape_octal(words[4]);
    unescape_octal(source);
    out->place = words[4];
    out->type = type;
    out->source = source;
    return 0;
}

int proc_swaps(char **text)
{
    if (strncmp(*text, "Filename", 8))
        return -EINVAL;
    *text += strcspn(*text, "\n");
    *text += **text == '\n';
    return 0;
}

int proc_swap(char **text, const char **path, bool *block)
{
    char *line = *text, *end = line + strcspn(line, "\n");

    if (!*line)
        return -ENOENT;
    *text = *end ? end + 1 : end;
    *end = '\0';
    char *type = line + strcspn(line, " \t");
    *block = strstr(type, "partition");
    *type = '\0';
    unescape_octal(line);
    *path = line;
    return 0;
}

int proc_note(const char *text, struct proc_note *out)
{
    unsigned long long pid, started, stubdom = 0;
    char newline = '\0';
    int at = 0;

    memset(out, 0, sizeof(*out));
    if (sscanf(text, "%llu %llu %63[^ \n]%n", &pid, &started, out->uuid, &at) != 3 || !pid ||
        pid > INT32_MAX || !started)
        return -EINVAL;
    text += at;
    if (*text == ' ') {
        at = 0;
        if (sscanf(text, " %llu %63[^ \n]%n", &stubdom, out->stubdom_uuid, &at) != 2 || !stubdom)
            return -EINVAL;
        text += at;
    }
    newline = *text;
    if (newline != '\n' || text[1])
        return -EINVAL;
    out->pid = pid;
    out->started = started;
    out->stubdom = stubdom;
    return 0;
}

int proc_base(const char *params, char *out, size_t size)
{
    out[0] = '\0';
    if (!strncmp(params, "aio:", 4))
        params += 4;
    if (!strncmp(params, "blank:", 6))
        return 0;
    if (!strncmp(params, "cow:", 4))
        params += 4;
    if (params[0] != '/' || copy_string(out, size, params))
        return -EINVAL;
    char *more = strstr(out, ",size=");
    if (more)
        *more = '\0';
    return 0;
}
