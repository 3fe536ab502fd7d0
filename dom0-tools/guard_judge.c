// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guard_judge: ours is what blkback-ephemd serves: a backend of the kind vbd3 in dom0 whose script is
 * block-ephem, between the two directories that belong together; and what a storage domain of ours
 * serves, by libxl's copy, which is dom0's alone.  The daemon looks at the same
 * script, so no disk is ours here and somebody else's there.
 *
 * Read-only is what dom0 says it is: the mode in dom0's own directories, which kernel and qemu obey.
 * A backend in another domain obeys whom it likes; libxl's copy tells what was meant.
 */
#include "guard_judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "paths.h"
#include "storage.h"
#include "util.h"

#define JUDGE_SCRIPT "/block-ephem"

/* A number or a word up to the next slash, which is passed over; -EINVAL when it does not fit. */
static int judge_component(const char **at, char *out, size_t size)
{
    size_t length = strcspn(*at, "/");

    if (!length || length >= size)
        return -EINVAL;
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length + ((*at)[length] == '/' ? 1 : 0);
    return 0;
}

static int judge_id(const char **at, uint32_t max, uint32_t *out)
{
    char part[16];

    return judge_component(at, part, sizeof(part)) ? -EINVAL : path_parse_id(part, max, out);
}

static int judge_word(const char **at, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(*at, word, length))
        return -EINVAL;
    *at += length;
    return 0;
}

int guard_parse_backend(const char *path, struct guard_backend *out)
{
    const char *at = path;

    if (judge_word(&at, "/local/domain/") || judge_id(&at, PATH_DOMIDS - 1, &out->host) ||
        judge_word(&at, "backend/") || judge_component(&at, out->kind, sizeof(out->kind)) ||
        judge_id(&at, PATH_DOMIDS - 1, &out->domid) || judge_id(&at, UINT32_MAX, &out->devid))
        return -EINVAL;
    return *at || at[-1] == '/' ? -EINVAL : 0;
}

const char *guard_kind(unsigned int n)
{
    static const char *const kinds[] = {"vbd", "vbd3", "qdisk", "tap", "virtio_disk"};

    return n < ARRAY_SIZE(kinds) ? kinds[n] : NULL;
}

/* Whether a frontend's disk is looked at where it is served. */
static bool judge_elsewhere(const struct guard_fact *fact, const struct guard_backend *backend)
{
    if (backend->host)
        return fact->in_libxl;
    for (unsigned int i = 0; guard_kind(i); i++)
        if (!strcmp(guard_kind(i), backend->kind))
            return true;
    return false;
}

static bool judge_script(const char *script)
{
    size_t length = strlen(script), end = sizeof(JUDGE_SCRIPT) - 1;

    return length >= end && !strcmp(script + length - end, JUDGE_SCRIPT);
}

/* Both directories name each other, or the one that is missing from what was read. */
static bool judge_paired(const struct guard_fact *fact, const struct guard_backend *backend)
{
    const struct path_vbd id = {.domid = fact->domid, .devid = backend->devid};
    char frontend[PATH_ROOM], device[16];

    snprintf(device, sizeof(device), "%u", backend->devid);
    if (backend->domid != fact->domid || strcmp(device, fact->device))
        return false;
    path_frontend(frontend, &id, NULL);
    return fact->source == GUARD_FRONTEND || !strcmp(frontend, fact->frontend);
}

enum guard_verdict guard_judge(const struct guard_fact *fact)
{
    struct guard_backend backend;
    bool known = !guard_parse_backend(fact->backend, &backend) && judge_paired(fact, &backend);

    /* A frontend only leads to what one of the other two tells of; what it leads to is judged there. */
    if (fact->source == GUARD_FRONTEND)
        return known && judge_elsewhere(fact, &backend) ? GUARD_OURS : GUARD_FOREIGN;
    if (fact->source == GUARD_BACKEND && !fact->from_dom0)
        return GUARD_FOREIGN;
    if (known && backend.host && fact->storage && !strcmp(backend.kind, STORAGE_KIND))
        return GUARD_OURS;
    if (known && !backend.host && !strcmp(backend.kind, "vbd3") && judge_script(fact->script))
        return GUARD_OURS;
    return !strcmp(fact->mode, "r") ? GUARD_READ_ONLY : GUARD_FOREIGN;
}

/* With a foreign disk. */
static enum guard_act judge_refusal(const struct guard_case *c)
{
    if (c->phase != GUARD_LOOSE || !c->ran || c->strict)
        return GUARD_REFUSE;
    return GUARD_WARN;
}

enum guard_act guard_decide(const struct guard_case *c)
{
    if (!c->guarded)
        return c->phase == GUARD_LOOSE ? GUARD_LEAVE : GUARD_FREE;
    if (c->phase == GUARD_LOOSE && !c->ran)
        return GUARD_HOLD;
    if (c->foreign)
        return judge_refusal(c);
    /* A toolstack that destroys a domain takes its disks away first. */
    if (c->phase == GUARD_LOOSE || (c->phase == GUARD_REFUSED && c->empty))
        return GUARD_LEAVE;
    return c->ran && c->phase == GUARD_REFUSED ? GUARD_FREE : GUARD_TRY;
}
