// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_mark: files are read anew each time, so a change counts from the next look on.  The files go
 * by names, and names change: a domain that was once found to be guarded stays so until the file of
 * that name says otherwise.  A mark can be had by renaming, and not be lost by it.
 */
#include "guard_mark.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "paths.h"
#include "rules.h"
#include "stubdom.h"
#include "xs.h"

static int mark_node(void *from, const char *path, char *out, size_t size, bool *ours)
{
    struct xenstore *xs = from;
    int err = xenstore_read(xs, path, out, size);

    *ours = false;
    return err ? err : xenstore_is_ours(xs, path, ours);
}

/* What xl receives is NAME--incoming until it runs, and then at once NAME (xl_migrate.c). */
static void mark_rules(const char *config_dir, const char *name, struct guard_mark *mark)
{
    static const char incoming[] = "--incoming";
    char known[GUARD_NAME];
    struct rules rules;

    snprintf(known, sizeof(known), "%s", name);
    size_t length = strlen(known);
    if (length >= sizeof(incoming) && !strcmp(known + length - (sizeof(incoming) - 1), incoming))
        known[length - (sizeof(incoming) - 1)] = '\0';
    mark->broken = rules_look_up(&rules, config_dir, known[0] ? known : NULL, mark->text) != 0;
    mark->guarded = mark->broken || (rules.ephemeral && !rules.lenient);
    mark->excepted = !mark->broken && rules.ephemeral && rules.lenient;
    mark->strict = !mark->broken && rules.strict;
}

int guard_mark_read(struct xenstore *xs, const char *config_dir, uint32_t domid,
                    char marked_as[GUARD_NAME], struct guard_mark *mark)
{
    char path[PATH_ROOM], text[WIRE_TEXT];

    *mark = (struct guard_mark){.guest = domid};
    int err = stubdom_resolve(mark_node, xs, domid, &mark->guest, text);
    if (err == -EINVAL)
        mark->guest = domid; /* it says so and is not: it has its own name */
    else if (err)
        return err;
    path_domain(path, mark->guest, "name");
    err = mark_node(xs, path, mark->name, sizeof(mark->name), &mark->from_dom0);
    if (err && err != -ENOENT && err != -E2BIG && err != -EINVAL)
        return err;
    mark_rules(config_dir, mark->name, mark);
    if (!mark->guarded && marked_as[0] && strcmp(marked_as, mark->name))
        mark_rules(config_dir, marked_as, mark);
    else if (mark->guarded && !mark->broken)
        snprintf(marked_as, GUARD_NAME, "%s", mark->name);
    return 0;
}

void guard_mark_show(const struct guard_mark *mark, char out[64])
{
    snprintf(out, 64, "%.63s", mark->from_dom0 ? mark->name : "");
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}
