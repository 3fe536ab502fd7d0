// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xs: the only user of libxenstore.  Deliberately synchronous: xenstored answers in microseconds,
 * and a daemon that cannot ask it has nothing else to do.
 */
#include "xs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "paths.h"
#include "util.h"

#define XENSTORE_TRIES 16

struct xenstore {
    struct xs_handle *questions;
    struct xs_handle *watches;
    xs_transaction_t transaction;
    uint32_t self;
    bool lost;
};

static int xenstore_fail(struct xenstore *xs)
{
    switch (errno) {
    case ENOENT:
    case EACCES:
    case EINVAL:
    case EEXIST:
    case EAGAIN:
    case E2BIG:
    case ENOSPC:
    case EROFS:
    case EPERM:
    case EBUSY:
    case EISDIR:
    case ENOTEMPTY:
    case ENOSYS:
        return -errno;
    default:
        xs->lost = true;
        return errno ? -errno : -EIO;
    }
}

int xenstore_open(struct xenstore **out)
{
    struct xenstore *xs = calloc(1, sizeof(*xs));

    if (!xs)
        return -ENOMEM;
    xs->transaction = XBT_NULL;
    xs->questions = xs_open(0);
    if (xs->questions)
        xs->watches = xs_open(0);
    if (!xs->watches) {
        int err = errno ? -errno : -EIO;
        xenstore_close(xs);
        return err;
    }
    uint64_t self;
    if (!xenstore_read_u64(xs, "domid", PATH_DOMIDS - 1, &self))
        xs->self = (uint32_t)self;
    *out = xs;
    return 0;
}

uint32_t xenstore_self(const struct xenstore *xs)
{
    return xs->self;
}

void xenstore_close(struct xenstore *xs)
{
    if (!xs)
        return;
    xs_close(xs->questions);
    xs_close(xs->watches);
    free(xs);
}

bool xenstore_lost(const struct xenstore *xs)
{
    return xs->lost;
}

int xenstore_fd(const struct xenstore *xs)
{
    return xs_fileno(xs->watches);
}

int xenstore_watch(struct xenstore *xs, const char *path, const char *token)
{
    return xs_watch(xs->watches, path, token) ? 0 : xenstore_fail(xs);
}

void xenstore_unwatch(struct xenstore *xs, const char *path, const char *token)
{
    if (!xs->lost)
        xs_unwatch(xs->watches, path, token);
}

bool xenstore_event(struct xenstore *xs, char *token, char *path, size_t size)
{
    char **event = xs_check_watch(xs->watches);

    if (!event) {
        if (errno != EAGAIN)
            xs->lost = true;
        return false;
    }
    snprintf(token, size, "%s", event[XS_WATCH_TOKEN]);
    snprintf(path, size, "%s", event[XS_WATCH_PATH]);
    free(event);
    return true;
}

int xenstore_read(struct xenstore *xs, const char *path, char *out, size_t size)
{
    unsigned int len = 0;
    char *value = xs_read(xs->questions, xs->transaction, path, &len);
    int err = 0;

    out[0] = '\0';
    if (!value)
        return xenstore_fail(xs);
    if (len >= size)
        err = -E2BIG;
    else if (memchr(value, 0, len))
        err = -EINVAL;
    else
        memcpy(out, value, len + 1);
    free(value);
    return err;
}

bool xenstore_is_there(struct xenstore *xs, const char *path)
{
    char value[2];

    return xenstore_read(xs, path, value, sizeof(value)) != -ENOENT;
}

int xenstore_read_u64(struct xenstore *xs, const char *path, uint64_t max, uint64_t *out)
{
    char value[32];
    int err = xenstore_read(xs, path, value, sizeof(value));

    if (err)
        return err == -E2BIG ? -EINVAL : err;
    return parse_u64(value, max, out) ? -EINVAL : 0;
}

/* The first entry is the owner's, who may do everything, and what it grants is for everybody else. */
int xenstore_is_ours(struct xenstore *xs, const char *path, bool *ours)
{
    unsigned int count = 0;
    struct xs_permissions *perms = xs_get_permissions(xs->questions, xs->transaction, path, &count);

    *ours = false;
    if (!perms)
        return xenstore_fail(xs);
    *ours = count && perms[0].id == 0 && !(perms[0].perms & XS_PERM_WRITE);
    for (unsigned int i = 1; i < count; i++)
        *ours = *ours && (perms[i].id == 0 || !(perms[i].perms & XS_PERM_WRITE));
    free(perms);
    return 0;
}

int xenstore_list(struct xenstore *xs, const char *path, char ***names, unsigned int *count)
{
    *names = xs_directory(xs->questions, xs->transaction, path, count);
    return *names ? 0 : xenstore_fail(xs);
}

int xenstore_write(struct xenstore *xs, const char *path, const char *value)
{
    if (xs_write(xs->questions, xs->transaction, path, value, (unsigned int)strlen(value)))
        return 0;
    return xenstore_fail(xs);
}

int xenstore_write_u64(struct xenstore *xs, const char *path, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return xenstore_write(xs, path, text);
}

int xenstore_remove(struct xenstore *xs, const char *path)
{
    return xs_rm(xs->questions, xs->transaction, path) ? 0 : xenstore_fail(xs);
}

int xenstore_make_dir(struct xenstore *xs, const char *path, uint32_t owner, uint32_t reader)
{
    struct xs_permissions perms[] = {{.id = owner, .perms = XS_PERM_NONE},
                                     {.id = reader, .perms = XS_PERM_READ}};

    if (xs_mkdir(xs->questions, xs->transaction, path) &&
        xs_set_permissions(xs->questions, xs->transaction, path, perms, ARRAY_SIZE(perms)))
        return 0;
    return xenstore_fail(xs);
}

int xenstore_transact(struct xenstore *xs, int (*body)(struct xenstore *xs, void *arg), void *arg)
{
    int err = -EAGAIN;

    for (int tries = 0; tries < XENSTORE_TRIES && err == -EAGAIN && !xs->lost; tries++) {
        xs->transaction = xs_transaction_start(xs->questions);
        if (xs->transaction == XBT_NULL)
            return xenstore_fail(xs);
        err = body(xs, arg);
        bool ended = xs_transaction_end(xs->questions, xs->transaction, err != 0);
        xs->transaction = XBT_NULL;
        if (!ended && !err)
            err = xenstore_fail(xs);
    }
    return err;
}
