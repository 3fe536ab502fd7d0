// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stubdom: storage domains: made, listed, ended, and what they said.  A domain that does not come to serve is destroyed
 * again; it does not run before dom0 has marked it.  Its bases are looked at here (stubdom_look.h), where somebody may have
 * them open for writing; in the domain they are read-only disks, and nobody there can tell.
 *
 * Deliberately absent: starting one by itself when a guest wants it.  A toolstack does not wait for that.
 */
#include "ephemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "store.h"
#include "stubdom_find.h"
#include "stubdom_look.h"
#include "stubdom_rules.h"
#include "stubdom_show.h"
#include "storage.h"
#include "paths.h"
#include "util.h"

#define STUB_IMAGE "/usr/lib/blkback-ephem/stubdom"
#define STUB_WAIT  120000 /* ms from its creation until it serves */

static const char stub_help[] =
    "usage: ephemctl stubdom create NAME --base BASE=PATH... --pool DEVICE [--per-guest]\n"
    "           [--pairs] [--memory MIB] [--option S.K=V]... [--backend DOMAIN] [--image DIR]\n"
    "           [--overwrite] [--dry-run]\n"
    "       ephemctl stubdom list [--json]\n"
    "       ephemctl stubdom destroy NAME [--force]\n"
    "       ephemctl stubdom logs NAME [--lines N]\n"
    "       ephemctl stubdom pairs\n"
    "Storage domains: the backend in a Xen domain of its own, so that keys are not in dom0's "
    "memory\n"
    "and dom0 reads no guest's requests.  A guest names it in its disk lines:\n"
    "  backend=NAME,format=raw,vdev=xvda,access=rw,target=/bases/BASE\n"
    "\n"
    "  --base BASE=PATH   a base by the name that guests use: a block device; at most 24\n"
    "  --pool DEVICE      a block device that it may overwrite; it gets ciphertext only\n"
    "  --per-guest        for one guest alone: all of the pool is its own\n"
    "  --memory MIB       at least 128 (that, and 6 for each base beyond two)\n"
    "  --option S.K=V     a line of blkback-ephem.conf there: section, key and value; at most 16\n"
    "  --backend DOMAIN   the domain that has base and pool (dom0)\n"
    "  --image DIR        vmlinuz and initramfs (" STUB_IMAGE ")\n"
    "  --pairs            for HVM guests with a stub domain device model; no guest starts unless\n"
    "                     'ephemctl stubdom pairs' runs in dom0: it tells whose stub domain is "
    "whose\n"
    "  --overwrite        the pool, whatever lies on it\n"
    "  --dry-run          print the configuration for xl, and make nothing\n"
    "  --force            destroy it though guests have disks there: those are dead then\n"
    "  --lines N          the last N lines (40)\n"
    "  --json             the same as JSON\n"
    "  --help             this text\n";

enum stub_option {
    STUB_BASE = 256,
    STUB_POOL,
    STUB_ALONE,
    STUB_MIB,
    STUB_SET,
    STUB_HOST,
    STUB_FROM,
    STUB_OVER,
    STUB_PAIRS,
    STUB_DRY
};

static const struct option stub_options[] = {{"base", required_argument, NULL, STUB_BASE},
                                             {"pool", required_argument, NULL, STUB_POOL},
                                             {"per-guest", no_argument, NULL, STUB_ALONE},
                                             {"memory", required_argument, NULL, STUB_MIB},
                                             {"option", required_argument, NULL, STUB_SET},
                                             {"backend", required_argument, NULL, STUB_HOST},
                                             {"image", required_argument, NULL, STUB_FROM},
                                             {"overwrite", no_argument, NULL, STUB_OVER},
                                             {"pairs", no_argument, NULL, STUB_PAIRS},
                                             {"dry-run", no_argument, NULL, STUB_DRY},
                                             {NULL, 0, NULL, 0}};

static int stub_say(const char *why)
{
    char clean[STUB_WHY + STORE_TEXT];

    fprintf(stderr, "ephemctl stubdom: %s\n", ctl_clean(why, clean, sizeof(clean)));
    return EXIT_FAILURE;
}

/* 0, or -EINVAL and `why`. */
static int stub_take(struct stub_wish *wish, int option, bool *dry, char why[STUB_WHY])
{
    switch (option) {
    case STUB_BASE:
        return stub_add_base(wish, optarg, why);
    case STUB_POOL:
        wish->pool = optarg;
        return 0;
    case STUB_ALONE:
        wish->per_guest = true;
        return 0;
    case STUB_MIB:
        if (parse_u64(optarg, 65536, &wish->memory) || !wish->memory)
            wish->memory = 1;
        return 0;
    case STUB_SET:
        return stub_add_option(wish, optarg, why);
    case STUB_HOST:
        wish->host = optarg;
        return 0;
    case STUB_FROM:
        wish->image = optarg;
        return 0;
    case STUB_PAIRS:
        wish->pairs = true;
        return 0;
    case STUB_OVER:
        wish->force = true;
        return 0;
    case STUB_DRY:
        *dry = true;
        return 0;
    default:
        snprintf(why, STUB_WHY, "try 'ephemctl stubdom --help'");
        return -EINVAL;
    }
}

/* -1: go on; else the exit status. */
static int stub_read(int argc, char **argv, struct stub_wish *wish, bool *dry)
{
    char why[STUB_WHY] = "";
    int option, err = 0;

    while (!err && (option = getopt_long(argc, argv, "", stub_options, NULL)) != -1)
        err = stub_take(wish, option, dry, why);
    if (!err && argc - optind != 1) {
        snprintf(why, sizeof(why), "create takes one name; try --help");
        err = -EINVAL;
    }
    if (!err) {
        wish->name = argv[optind];
        err = stub_check(wish, why);
    }
    if (!err)
        err = stub_rules_judge(wish, why);
    if (!err)
        return -1;
    stub_say(why);
    return 2;
}

static int stub_image(const struct stub_wish *wish)
{
    static const char *const files[] = {"vmlinuz", "initramfs"};
    char path[1024], why[STUB_WHY];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", wish->image, files[i]);
        if (!access(path, R_OK))
            continue;
        snprintf(why, sizeof(why), "%.200s: %s: make it by 'make stubdom', or name another --image",
                 path, strerror(errno));
        return stub_say(why);
    }
    return 0;
}

/* A new file; 0, or the exit status. */
static int stub_save(const struct stub_wish *wish, const char *text, char path[STUB_PATH])
{
    char why[STUB_WHY];

    stub_path(wish->name, path);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        int made = mkdir(path, 0700);
        *at = '/';
        if (made && errno != EEXIST)
            break;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        snprintf(why, sizeof(why), "%.60s is there already: ephemctl stubdom destroy %.60s",
                 wish->name, wish->name);
    else if (fd < 0)
        snprintf(why, sizeof(why), "%.200s: %s", path, strerror(errno));
    if (fd < 0)
        return stub_say(why);
    size_t length = strlen(text);
    ssize_t done = write(fd, text, length);
    if (!close(fd) && done == (ssize_t)length)
        return 0;
    unlink(path);
    return stub_say("its configuration cannot be written");
}

/* Until it serves.  0, or -ETIMEDOUT, or -ENOENT when it has gone. */
static int stub_await(struct xenstore *xs, uint32_t domid)
{
    const uint64_t end = loop_now() + STUB_WAIT;
    char path[PATH_ROOM], alive[PATH_ROOM], value[16], token[32];

    path_domain(path, domid, PATH_SERVING);
    path_domain(alive, domid, "name");
    int err = xenstore_watch(xs, path, "serving");
    if (!err)
        err = xenstore_watch(xs, "@releaseDomain", "gone");
    while (!err) {
        struct pollfd wait = {.fd = xenstore_fd(xs), .events = POLLIN};
        uint64_t now = loop_now();

        if (!xenstore_read(xs, path, value, sizeof(value)) && !strcmp(value, PATH_SERVES))
            return 0;
        bool there = xenstore_is_there(xs, alive);
        if (xenstore_lost(xs))
            return -EPIPE;
        if (!there)
            return -ENOENT;
        if (now >= end)
            return -ETIMEDOUT;
        poll(&wait, 1, (int)(end - now < 1000 ? end - now : 1000));
        while (xenstore_event(xs, token, value, sizeof(value)))
            continue;
    }
    return err;
}

/* It is made, and does not run yet: marks it as ours, and then lets it.  0 or negative errno. */
static int stub_mark(struct xenstore *xs, const struct stub_wish *wish, uint32_t domid)
{
    char mark[PATH_ROOM], number[16];
    int err = 0;

    path_domain(mark, domid, PATH_PAIRS);
    if (wish->pairs)
        err = xenstore_write(xs, mark, "1");
    path_domain(mark, domid, STORAGE_NODE);
    if (!err)
        err = xenstore_write(xs, mark, wish->per_guest ? "per-guest" : "shared");
    snprintf(number, sizeof(number), "%u", domid);
    return err ? err : stub_xl("unpause", NULL, number);
}

static const char *stub_reason(int err)
{
    return err == -ENOENT      ? "it has ended"
           : err == -ETIMEDOUT ? "it takes too long"
           : err == -EPIPE     ? "xenstore does not answer any more"
                               : strerror(-err);
}

/* Marks it and waits until it serves.  0, or the exit status, and then nothing is left. */
static int stub_start(struct xenstore *xs, const struct stub_wish *wish, const char *path,
                      long said)
{
    char number[16], why[STUB_WHY];
    uint32_t domid = 0;

    int err = stub_domid(xs, wish->name, &domid);
    if (!err)
        err = stub_mark(xs, wish, domid);
    if (!err)
        err = stub_await(xs, domid);
    if (!err) {
        printf("%s is domain %u and serves\n", wish->name, domid);
        return EXIT_SUCCESS;
    }
    bool shown = !stub_show_log(wish->name, 12, said, stderr);
    snprintf(number, sizeof(number), "%u", domid);
    if (err != -ENOENT && domid)
        stub_xl("destroy", NULL, number);
    unlink(path);
    snprintf(why, sizeof(why), "%.60s does not serve: %s: %s", wish->name, stub_reason(err),
             shown ? "what it said stands above"
                   : "what it said is not known: start xenconsoled with --log=guest");
    return stub_say(why);
}

static int stub_create(int argc, char **argv)
{
    struct stub_wish wish = {.image = STUB_IMAGE};
    char path[STUB_PATH], why[STUB_WHY], text[STORE_TEXT];
    struct xenstore *xs = NULL;
    static char cfg[STUB_TEXT];
    bool dry = false;
    uint32_t domid;

    int status = stub_read(argc, argv, &wish, &dry);
    if (status >= 0)
        return status;
    if (stub_write(&wish, cfg, why))
        return stub_say(why);
    if (dry)
        return fputs(cfg, stdout) < 0;
    if (stub_image(&wish))
        return EXIT_FAILURE;
    if (!wish.host && stub_look(&wish, text))
        return stub_say(text);
    int err = xenstore_open(&xs);
    if (err || !stub_domid(xs, wish.name, &domid)) {
        snprintf(why, sizeof(why), "%.60s: %s", wish.name,
                 err ? "xenstore cannot be reached: run it as root, in dom0"
                     : "there is a domain of that name");
        status = stub_say(why);
    } else {
        long said = stub_log_size(wish.name);

        status = stub_save(&wish, cfg, path);
        if (!status && stub_xl("create", "-qp", path)) {
            unlink(path);
            status = stub_say("xl could not create it");
        } else if (!status) {
            status = stub_start(xs, &wish, path, said);
        }
    }
    xenstore_close(xs);
    return status;
}

int cmd_stubdom(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"create", stub_create},
                 {"list", stub_list},
                 {"destroy", stub_destroy},
                 {"logs", stub_logs},
                 {"pairs", stub_pairs}};

    if (argc > 1 && !strcmp(argv[1], "--help")) {
        fputs(stub_help, stdout);
        return EXIT_SUCCESS;
    }
    signal(SIGIO, SIG_IGN); /* somebody opens a base for writing while store looks for that */
    for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
        if (!strcmp(argv[1], verbs[i].name))
            return verbs[i].run(argc - 1, argv + 1);
    fputs("ephemctl stubdom: say create, list, destroy, logs or pairs; try --help\n", stderr);
    return 2;
}
