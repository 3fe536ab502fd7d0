// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_find: xenstore's side of storage domains.  A domain's name is dom0's to write; its `data` and `backend`
 * folders are its own, bounded by its quota.
 */
#include "stubdom_find.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "paths.h"
#include "storage.h"
#include "textfile.h"

extern char **environ;

void stub_path(const char *name, char path[STUB_PATH])
{
    const char *dir = getenv("EPHEM_STUBDOM_DIR");

    snprintf(path, STUB_PATH, "%.256s/%.64s.cfg", dir ? dir : STUB_DIR, name);
}

int stub_domid(struct xenstore *xs, const char *name, uint32_t *domid)
{
    char **names, path[PATH_ROOM], value[STUB_NAME];
    unsigned int count;
    bool found = false;

    int err = xenstore_list(xs, "/local/domain", &names, &count);
    for (unsigned int i = 0; !err && !found && i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, domid) || !*domid)
            continue;
        path_domain(path, *domid, "name");
        found = !xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, name);
    }
    if (!err)
        free(names);
    return err ? err : found ? 0 : -ENOENT;
}

/* Folders of guests stay, empty, when their disks have gone: those are dom0's. */
static int stub_count(struct xenstore *xs, struct stub_domain *out)
{
    char **guests, **disks, path[PATH_ROOM], below[PATH_ROOM];
    unsigned int count, each;

    path_domain(path, out->domid, PATH_DRIVER);
    int err = xenstore_list(xs, path, &guests, &count);
    if (err)
        return err == -ENOENT ? 0 : err;
    for (unsigned int i = 0; i < count; i++) {
        uint32_t domid;

        if (path_parse_id(guests[i], PATH_DOMIDS - 1, &domid))
            continue;
        snprintf(below, sizeof(below), "/local/domain/%u/" PATH_DRIVER "/%u", out->domid, domid);
        each = 0;
        if (!xenstore_list(xs, below, &disks, &each))
            free(disks);
        out->guests += each > 0;
        out->disks += each;
    }
    free(guests);
    return 0;
}

int stub_find(struct xenstore *xs, uint32_t domid, struct stub_domain *out)
{
    char path[PATH_ROOM], value[16];
    bool is;

    *out = (struct stub_domain){.domid = domid};
    int err = storage_is_one(xs, domid, &is);
    if (err || !is)
        return err ? err : -ENOENT;
    path_domain(path, domid, STORAGE_NODE);
    err = xenstore_read(xs, path, out->shape, sizeof(out->shape));
    if (err)
        return err;
    path_domain(path, domid, PATH_SERVING);
    out->serving = !xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, PATH_SERVES);
    return stub_count(xs, out);
}

int stub_xl(const char *verb, const char *option, const char *word)
{
    char *argv[5] = {(char *)(uintptr_t) "xl", (char *)(uintptr_t)verb};
    int status, at = 2;
    pid_t pid;

    if (option)
        argv[at++] = (char *)(uintptr_t)option;
    argv[at] = (char *)(uintptr_t)word;
    int err = posix_spawnp(&pid, "xl", NULL, NULL, argv, environ);
    if (err) {
        fprintf(stderr, "ephemctl stubdom: xl cannot be run: %s: is this dom0?\n", strerror(err));
        return -EIO;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -EIO;
    return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* ---- bases ---- */

/* A line of /sys; "" when it is not there. */
static void bases_sys(const char *loop, const char *node, char out[STUB_BASE_PATH])
{
    char path[300];

    out[0] = '\0';
    snprintf(path, sizeof(path), "/sys/block/%.64s/loop/%s", loop, node);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(out, STUB_BASE_PATH, file))
        out[0] = '\0';
    fclose(file);
    out[strcspn(out, "\n")] = '\0';
}

/* The file behind a loop device, where all of it is shown. */
static void bases_file(const char *device, char out[STUB_BASE_PATH])
{
    char real[PATH_MAX], number[STUB_BASE_PATH];

    out[0] = '\0';
    if (!realpath(device, real) || strncmp(real, "/dev/loop", 9))
        return;
    bases_sys(real + 5, "offset", number);
    if (strcmp(number, "0"))
        return;
    bases_sys(real + 5, "sizelimit", number);
    if (!strcmp(number, "0"))
        bases_sys(real + 5, "backing_file", out);
}

int stub_bases_read(struct stub_bases *out, const char *name, char why[STUB_WHY])
{
    char path[STUB_PATH], what[STUB_WHY];
    struct textfile file;

    stub_path(name, path);
    int err = textfile_read(path, &file);
    if (err) {
        snprintf(why, STUB_WHY, "there is no storage domain %.60s: ephemctl stubdom create", name);
        return err;
    }
    err = stub_bases_parse(out, file.text, file.length, what);
    if (err)
        snprintf(why, STUB_WHY, "%.60s: %.200s", name, what);
    free(file.text);
    for (size_t i = 0; !err && i < out->count; i++)
        bases_file(out->bases[i].path, out->bases[i].file);
    return err;
}

static bool bases_same(const char *path, const char *real, const char *other)
{
    char theirs[PATH_MAX];

    return other[0] &&
           (!strcmp(path, other) || (real && realpath(other, theirs) && !strcmp(real, theirs)));
}

const char *stub_bases_find(const void *bases, const char *path)
{
    const struct stub_bases *known = bases;
    char room[PATH_MAX];
    const char *real = realpath(path, room);

    for (size_t i = 0; i < known->count; i++)
        if (bases_same(path, real, known->bases[i].path) ||
            bases_same(path, real, known->bases[i].file))
            return known->bases[i].name;
    return NULL;
}
