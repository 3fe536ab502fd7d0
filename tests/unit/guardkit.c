// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guardkit: stands for xs.c and guard_xen.c.  A pause is given up only where it was taken.
 */
#include "guardkit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guard_xen.h"
#include "unit.h"
#include "xs.h"

/* ---- xenstore ---- */

struct guardkit_store store;

void store_put(const char *path, const char *value)
{
    CU_ASSERT_FATAL(store.count < GUARDKIT_NODES);
    store.nodes[store.count].theirs = false;
    snprintf(store.nodes[store.count].path, sizeof(store.nodes->path), "%s", path);
    snprintf(store.nodes[store.count++].value, sizeof(store.nodes->value), "%s", value);
}

void store_drop(const char *below)
{
    unsigned int kept = 0;

    for (unsigned int i = 0; i < store.count; i++)
        if (strncmp(store.nodes[i].path, below, strlen(below)))
            store.nodes[kept++] = store.nodes[i];
    store.count = kept;
}

static int question(void)
{
    return store.fails && !--store.fails ? -EIO : 0;
}

int xenstore_read(struct xenstore *xs, const char *path, char *out, size_t size)
{
    int err = question();

    (void)xs;
    for (unsigned int i = 0; i < store.count && !err; i++)
        if (!strcmp(store.nodes[i].path, path)) {
            snprintf(out, size, "%s", store.nodes[i].value);
            return strlen(store.nodes[i].value) < size ? 0 : -E2BIG;
        }
    out[0] = '\0';
    return err ? err : -ENOENT;
}

int xenstore_is_ours(struct xenstore *xs, const char *path, bool *ours)
{
    int err = question();

    (void)xs;
    *ours = !err;
    for (unsigned int i = 0; i < store.count && !err; i++)
        if (!strncmp(store.nodes[i].path, path, strlen(path))) {
            *ours = !store.nodes[i].theirs;
            return 0;
        }
    return err ? err : -ENOENT;
}

int xenstore_list(struct xenstore *xs, const char *path, char ***names, unsigned int *count)
{
    size_t length = strlen(path);
    int err = question();

    (void)xs;
    *count = 0;
    *names = calloc(GUARDKIT_NODES, sizeof(char *) + 32);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*names);
    for (unsigned int i = 0; i < store.count && !err; i++) {
        const char *at = store.nodes[i].path + length;
        char *name = (char *)(*names + GUARDKIT_NODES) + 32 * (size_t)*count;

        if (strncmp(store.nodes[i].path, path, length) || *at != '/')
            continue;
        snprintf(name, 32, "%.*s", (int)strcspn(at + 1, "/"), at + 1);
        if (*count && !strcmp((*names)[*count - 1], name))
            continue;
        (*names)[(*count)++] = name;
    }
    if (*count)
        return 0;
    free(*names);
    return err ? err : -ENOENT;
}

int xenstore_transact(struct xenstore *xs, int (*body)(struct xenstore *xs, void *arg), void *arg)
{
    return body(xs, arg);
}

int xenstore_watch(struct xenstore *xs, const char *path, const char *token)
{
    (void)xs, (void)path;
    CU_ASSERT_STRING_EQUAL(token, "d5");
    store.watches++;
    return 0;
}

void xenstore_unwatch(struct xenstore *xs, const char *path, const char *token)
{
    (void)xs, (void)path, (void)token;
    store.watches--;
}

bool xenstore_lost(const struct xenstore *xs)
{
    (void)xs;
    return false;
}

/* ---- the hypervisor ---- */

struct guardkit_xen xen;

void xen_runs(void)
{
    xen.ran = xen.ran || !(xen.toolstack + xen.ours);
}

int guard_xen_ask(struct guard_xen *handle, uint32_t domid, struct guard_info *out)
{
    (void)handle;
    if (xen.ask_fails || xen.gone)
        return xen.gone ? -ESRCH : -EIO;
    *out = (struct guard_info){.domid = domid,
                               .uuid = GUARDKIT_UUID,
                               .ran = xen.ran,
                               .paused = xen.toolstack + xen.ours,
                               .dying = xen.dying};
    return 0;
}

int guard_xen_pause(struct guard_xen *handle, uint32_t domid)
{
    (void)handle;
    CU_ASSERT_EQUAL(domid, GUARDKIT_DOMID);
    if (xen.pause_fails)
        return -EOVERFLOW;
    xen.ours++;
    return 0;
}

int guard_xen_unpause(struct guard_xen *handle, uint32_t domid)
{
    (void)handle;
    CU_ASSERT_EQUAL(domid, GUARDKIT_DOMID);
    if (xen.unpause_fails)
        return -EINVAL;
    CU_ASSERT_FATAL(xen.ours > 0); /* another's would be given up */
    xen.ours--;
    xen_runs();
    return 0;
}
