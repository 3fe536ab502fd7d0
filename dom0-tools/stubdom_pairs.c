// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom_pairs: `ephemctl stubdom pairs`: dom0's word to storage domains, which domain belongs to which guest.  They
 * may not read that, and must not guess: two guests that were taken for one would share a key.  A storage domain whose
 * PATH_PAIRS is there gives no disk to a domain that is not named in it, so it waits for this program.
 *
 * What it knows is what the toolstack wrote where nobody else may write (stubdom.h).  It keeps nothing: words are
 * written anew when it starts, and taken back when their domain has gone.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ephemctl.h"
#include "paths.h"
#include "storage.h"
#include "stubdom.h"
#include "stubdom_find.h"
#include "stubdom_show.h"

#define PAIRS_PATH (PATH_ROOM + 64)
#define PAIRS_LOOK 2000 /* ms between looks that nothing asked for */
#define PAIRS_REST 200  /* ms between looks at least: a storage domain's writes ask for them */

struct pairs {
    struct xenstore *xs;
    uint32_t storage;          /* the domain whose turn it is */
    bool fresh;                /* words of an earlier run are not believed */
    bool refused[PATH_DOMIDS]; /* and told of once */
};

static int pairs_read(void *from, const char *path, char *out, size_t size, bool *ours)
{
    struct xenstore *xs = from;
    int err = xenstore_read(xs, path, out, size);

    *ours = false;
    return err ? err : xenstore_is_ours(xs, path, ours);
}

static void pairs_word(const struct pairs *pairs, const char *name, char path[PAIRS_PATH])
{
    snprintf(path, PAIRS_PATH, "/local/domain/%u/" PATH_PAIRS "%s%.16s", pairs->storage,
             name ? "/" : "", name ? name : "");
}

/* Words of domains that have gone, and on the first look all. */
static void pairs_sweep(const struct pairs *pairs)
{
    char path[PAIRS_PATH], domain[PATH_ROOM], **names;
    unsigned int count;
    uint32_t domid;

    pairs_word(pairs, NULL, path);
    if (xenstore_list(pairs->xs, path, &names, &count))
        return;
    for (unsigned int i = 0; i < count; i++) {
        if (path_parse_id(names[i], PATH_DOMIDS - 1, &domid))
            continue;
        path_domain(domain, domid, NULL);
        if (!pairs->fresh && xenstore_is_there(pairs->xs, domain))
            continue;
        pairs_word(pairs, names[i], path);
        xenstore_remove(pairs->xs, path);
    }
    free(names);
}

struct pairs_one {
    const struct pairs *pairs;
    const char *name;
    uint32_t domid, guest;
    char text[WIRE_TEXT];
    bool told; /* the word is there */
};

static int pairs_tell_body(struct xenstore *xs, void *arg)
{
    struct pairs_one *one = arg;
    char path[PAIRS_PATH], domain[PATH_ROOM];

    pairs_word(one->pairs, one->name, path);
    path_domain(domain, one->domid, NULL);
    one->told = xenstore_is_there(xs, path);
    if (one->told || !xenstore_is_there(xs, domain))
        return 0;
    int err = stubdom_resolve(pairs_read, xs, one->domid, &one->guest, one->text);
    return err ? err : xenstore_write_u64(xs, path, one->guest);
}

/* One that has disks there. */
static void pairs_tell(struct pairs *pairs, const char *name, uint32_t domid)
{
    struct pairs_one one = {.pairs = pairs, .name = name, .domid = domid};
    char clean[WIRE_TEXT];

    int err = xenstore_transact(pairs->xs, pairs_tell_body, &one);
    if (err && one.text[0] && !pairs->refused[domid])
        fprintf(stderr, "ephemctl stubdom pairs: %s\n", ctl_clean(one.text, clean, sizeof(clean)));
    else if (!err && one.guest)
        fprintf(stderr, "ephemctl stubdom pairs: storage domain %u: domain %u is guest %u's\n",
                pairs->storage, domid, one.guest);
    pairs->refused[domid] = err && one.text[0];
}

static void pairs_look(struct pairs *pairs)
{
    char path[PAIRS_PATH], **names;
    unsigned int count;
    uint32_t domid;

    pairs_sweep(pairs);
    snprintf(path, sizeof(path), "/local/domain/%u/" PATH_DRIVER, pairs->storage);
    if (xenstore_list(pairs->xs, path, &names, &count))
        return;
    for (unsigned int i = 0; i < count; i++)
        if (!path_parse_id(names[i], PATH_DOMIDS - 1, &domid))
            pairs_tell(pairs, names[i], domid);
    free(names);
}

/* All storage domains that want words; a watch on each one's backends fires again and again. */
static int pairs_look_all(struct pairs *pairs)
{
    char path[PAIRS_PATH], **names;
    unsigned int count;

    int err = xenstore_list(pairs->xs, "/local/domain", &names, &count);
    if (err)
        return err;
    for (unsigned int i = 0; i < count; i++) {
        bool is = false;

        if (path_parse_id(names[i], PATH_DOMIDS - 1, &pairs->storage) ||
            storage_is_one(pairs->xs, pairs->storage, &is) || !is)
            continue;
        pairs_word(pairs, NULL, path);
        if (!xenstore_is_there(pairs->xs, path))
            continue;
        pairs_look(pairs);
        snprintf(path, sizeof(path), "/local/domain/%u/" PATH_DRIVER, pairs->storage);
        xenstore_watch(pairs->xs, path, "disks"); /* the second time it is there already */
    }
    free(names);
    pairs->fresh = false;
    return xenstore_lost(pairs->xs) ? -EPIPE : 0;
}

int stub_pairs(int argc, char **argv)
{
    static const struct timespec rest = {.tv_nsec = PAIRS_REST * 1000000l};
    static struct pairs pairs = {.fresh = true};
    char token[64], path[64];

    (void)argv;
    if (argc > 1) {
        fputs("ephemctl stubdom pairs: takes nothing; try --help\n", stderr);
        return 2;
    }
    int err = xenstore_open(&pairs.xs);
    if (!err)
        err = xenstore_watch(pairs.xs, "@introduceDomain", "new");
    if (!err)
        err = xenstore_watch(pairs.xs, "@releaseDomain", "gone");
    while (!err) {
        struct pollfd wait = {.fd = xenstore_fd(pairs.xs), .events = POLLIN};

        err = pairs_look_all(&pairs);
        if (!err)
            nanosleep(&rest, NULL);
        if (!err)
            poll(&wait, 1, PAIRS_LOOK);
        while (xenstore_event(pairs.xs, token, path, sizeof(path)))
            continue;
    }
    xenstore_close(pairs.xs);
    fprintf(stderr, "ephemctl stubdom pairs: xenstore: %s: run it as root, in dom0\n",
            strerror(-err));
    return EXIT_FAILURE;
}
