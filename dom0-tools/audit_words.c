// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * audit_words: the rest of audit_proc: command line, mounts, the daemon's notes, our targets.
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

bool proc_true(const char *value)
{
    return *value == '1' || *value == 'y' || *value == 'Y' || *value == 't' || *value == 'T' ||
           !strncasecmp(value, "on", 2);
}

/* "ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [TAG]... - TYPE SOURCE SUPER" */
int proc_mount(const char **text, struct proc_mount *out)
{
    char options[256], line[2048];
    size_t len = strcspn(*text, "\n");

    if (!len)
        return -ENOENT;
    snprintf(line, sizeof(line), "%.*s", (int)min_u64(len, sizeof(line)), *text);
    *text += len + ((*text)[len] == '\n');
    const char *type = strstr(line, " - ");
    if (!type || len >= sizeof(line) ||
        sscanf(line, "%*u %*u %u:%u %*s %255s %255s", &out->major, &out->minor, out->place,
               options) != 4 ||
        sscanf(type, " - %31s %*s %255s", out->type, line) != 2)
        return -EINVAL;
    /* The mount's own options, and those of its file system. */
    out->writable = !strncmp(options, "rw", 2) && !strncmp(line, "rw", 2);
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
