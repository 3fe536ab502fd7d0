// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * plug_node: one node at a time, but for what plug_transact() runs.  A token is compared with every state that
 * is acted upon: what a device's folders say may be about another attachment than ours by now.
 */
#include "plug_node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int plug_fail(struct plug *plug, int err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(plug->text, sizeof(plug->text), fmt, args);
    va_end(args);
    return err;
}

int plug_get(struct plug *plug, const char *node, char *out, size_t size)
{
    char path[PATH_ROOM];

    path_backend(path, &plug->id, node);
    return xenstore_read(plug->xs, path, out, size);
}

int plug_state(struct plug *plug, uint64_t *state)
{
    char path[PATH_ROOM];

    path_backend(path, &plug->id, "state");
    return xenstore_read_u64(plug->xs, path, 8, state);
}

int plug_own_state(struct plug *plug, uint64_t *state)
{
    char token[PLUG_TOKEN];
    int err = plug_state(plug, state);
    int none = err ? 0 : plug_get(plug, "token", token, sizeof(token));

    if (none == -ENOENT)
        token[0] = '\0'; /* attached by an earlier release */
    else if (none)
        return none == -E2BIG || none == -EINVAL ? -ENOENT : none;
    return err ? err : strcmp(token, plug->token) ? -ENOENT : 0;
}

int plug_put(struct plug *plug, bool frontend, const char *node, const char *value)
{
    char path[PATH_ROOM];

    (frontend ? path_frontend : path_backend)(path, &plug->id, node);
    return xenstore_write(plug->xs, path, value);
}

int plug_transact(struct plug *plug, int (*body)(struct xenstore *xs, void *arg), void *arg)
{
    plug->text[0] = '\0';
    int err = xenstore_transact(plug->xs, body, arg);
    if (err && !plug->text[0])
        plug_fail(plug, err, "xenstore: %s", strerror(-err));
    return err;
}
